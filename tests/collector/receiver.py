"""A webhook's far end, of raw sockets, so that it can misbehave as servers do."""

import asyncio
import base64
import contextlib
import json
import ssl
from typing import NamedTuple

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.hmac import HMAC

SECRET = bytes(range(32))
WRITTEN = f"whsec_{base64.b64encode(SECRET).decode()}"


class Request(NamedTuple):
    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def alarm(self):
        return json.loads(self.body)

    def is_signed(self, secret=SECRET) -> bool:
        """By the specification, with another library's HMAC."""
        signed = f"{self.headers['webhook-id']}.{self.headers['webhook-timestamp']}.".encode()
        mac = HMAC(secret, hashes.SHA256())
        mac.update(signed + self.body)
        wanted = "v1," + base64.b64encode(mac.finalize()).decode()
        return wanted in self.headers["webhook-signature"].split(" ")


def answer(status: str, *headers: str, body: bytes = b"") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


OK = answer("200 OK")


async def hang(writer) -> None:
    await asyncio.Event().wait()


async def drip(writer) -> None:
    """One byte of a header that never ends, now and then."""
    writer.write(b"HTTP/1.1 200 OK\r\nx-drip: ")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.01)


async def reset(writer) -> None:
    writer.transport.abort()


async def gigabyte(writer) -> None:
    """A body that is far too much."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n")
    await _pour(writer)


async def gigabyte_of_header(writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nx-much: ")
    await _pour(writer)


async def garbage(writer) -> None:
    writer.write(b"\x00\xff\xfe SSH-2.0 nonsense\r\n\r\n")
    await writer.drain()


async def _pour(writer) -> None:
    for _ in range(1024):
        writer.write(b"x" * (1 << 20))
        await writer.drain()


class Receiver:
    """Answers with what `behave(request)` returns: bytes, or a coroutine function of the writer."""

    def __init__(self, behave=lambda request: OK, tls: ssl.SSLContext | None = None) -> None:
        self.behave = behave
        self.requests: list[Request] = []
        self._tls = tls
        self._tasks = set()

    @property
    def url(self) -> str:
        scheme = "https" if self._tls else "http"
        return f"{scheme}://127.0.0.1:{self.port}/alarms"

    @property
    def ids(self) -> list[str]:
        return [request.headers["webhook-id"] for request in self.requests]

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader, writer) -> None:
        self._tasks.add(asyncio.current_task())
        try:
            with contextlib.suppress(OSError, EOFError, asyncio.IncompleteReadError):
                while True:
                    request = await _read(reader)
                    self.requests.append(request)
                    todo = self.behave(request)
                    if not isinstance(todo, bytes):
                        await todo(writer)
                        return
                    writer.write(todo)
                    await writer.drain()
        finally:
            self._tasks.discard(asyncio.current_task())
            writer.close()


async def _read(reader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    line, *fields = head.strip().split("\r\n")
    headers = {name.lower(): value for name, _, value in (it.partition(": ") for it in fields)}
    return Request(line, headers, await reader.readexactly(int(headers["content-length"])))
