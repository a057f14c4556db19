"""Answers `GET /metrics`. One request a connection, little time for it, few at once.

It runs in the daemon's own loop: what it tells is read between two steps of everything else, so it
is of one moment, and a scraper that asks for nothing or reads nothing costs a socket for some
seconds.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector, exposition
from prometheus_client.openmetrics import exposition as openmetrics

from gateway.errors import ControlError

if TYPE_CHECKING:
    from prometheus_client.registry import Collector

# A scraper is near, or waits for its own time-out of 10 s (Prometheus' default) anyway.
TIMEOUT_S = 5.0
MAX_REQUEST_BYTES = 8192
OPENMETRICS = "application/openmetrics-text"
MAX_CONNECTIONS = 8  # two Prometheus servers, and a person with a browser


class _Answer(NamedTuple):
    status: str
    body: bytes = b""
    kind: str = "text/plain; charset=utf-8"
    more: str = ""


class MetricsServer:
    """Figures, on one address."""

    def __init__(self, address: tuple[str, int], figures: Collector) -> None:
        """Args: host and port; what is told, beside the process's own memory and time."""
        self._address = address
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(figures)
        ProcessCollector(registry=self._registry)
        self._server: asyncio.Server | None = None
        self._connections = 0

    async def start(self) -> None:
        """Listen. ControlError if that cannot be done there."""
        host, port = self._address
        try:
            self._server = await asyncio.start_server(
                self._serve, host, port, limit=MAX_REQUEST_BYTES
            )
        except OSError as error:
            raise ControlError(
                f"no metrics: {error}",
                where=f"{host}:{port}",
                hint="is that port taken? listen on another",
            ) from error

    async def close(self) -> None:
        """Stop listening."""
        if self._server:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._connections >= MAX_CONNECTIONS:
            writer.close()
            return
        self._connections += 1
        try:
            async with asyncio.timeout(TIMEOUT_S):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(_encoded(self._answer(head), body=not head.startswith(b"HEAD ")))
                await writer.drain()
        except (TimeoutError, EOFError, ValueError, OSError, asyncio.LimitOverrunError):
            pass  # the one who asked went away, was too slow or sent too much: nobody to tell
        finally:
            self._connections -= 1
            writer.close()

    def _answer(self, head: bytes) -> _Answer:
        request, _, headers = head.decode("latin-1").partition("\r\n")
        method, _, rest = request.partition(" ")
        path = rest.partition(" ")[0].partition("?")[0]
        if method not in {"GET", "HEAD"}:
            return _Answer("405 Method Not Allowed", more="Allow: GET, HEAD\r\n")
        if path != "/metrics":
            return _Answer("404 Not Found", b"/metrics\n")
        if OPENMETRICS in _accepted(headers):
            body: bytes = openmetrics.generate_latest(self._registry)  # type: ignore[no-untyped-call]
            return _Answer("200 OK", body, openmetrics.CONTENT_TYPE_LATEST)
        body = exposition.generate_latest(self._registry)
        return _Answer("200 OK", body, exposition.CONTENT_TYPE_PLAIN_0_0_4)


def _accepted(headers: str) -> str:
    """The value of Accept, or nothing."""
    for line in headers.split("\r\n"):
        name, _, value = line.partition(":")
        if name.strip().lower() == "accept":
            return value.strip()
    return ""


def _encoded(answer: _Answer, *, body: bool) -> bytes:
    head = (
        f"HTTP/1.1 {answer.status}\r\nContent-Type: {answer.kind}\r\n"
        f"Content-Length: {len(answer.body)}\r\n{answer.more}Connection: close\r\n\r\n"
    )
    return head.encode("latin-1") + (answer.body if body else b"")
