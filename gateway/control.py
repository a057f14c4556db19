"""The daemon's own small socket: one JSON line asks, one JSON line answers.

A Unix socket that its owner and group may use. A request is `{"ask": "status"}`, with what else the
question needs: `{"ask": "test", "seconds": 600}`.
"""

from __future__ import annotations

import asyncio
import json
import socket
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.errors import ControlError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    # What answers a question; it is given the whole request, and says "error" in its answer.
    Answerer = Callable[[Mapping[str, Any]], dict[str, object]]

MAX_REQUEST_BYTES = 4096
ANSWER_TIMEOUT_S = 5.0  # the daemon answers from memory; longer means that it hangs


class ControlServer:
    """Answers questions about the running daemon."""

    def __init__(self, path: str, answers: Mapping[str, Answerer]) -> None:
        self._path = Path(path)
        self._answers = answers
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen. ControlError if the socket cannot be made there."""
        try:
            self._path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            if self._path.is_socket():
                self._path.unlink()  # a killed daemon leaves it behind; the journal's lock
                # has already shown that no other daemon runs
            self._server = await asyncio.start_unix_server(
                self._serve, self._path, limit=MAX_REQUEST_BYTES
            )
            self._path.chmod(stat.S_IRUSR | stat.S_IWUSR | stat.S_IRGRP | stat.S_IWGRP)
        except OSError as error:
            raise ControlError(
                f"no control socket: {error}", where=str(self._path), hint="set [control] socket"
            ) from error

    async def close(self) -> None:
        """Stop listening, and leave no socket behind."""
        if self._server:
            self._server.close()
            self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                answer = self._answer(await reader.readline())
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        except (TimeoutError, ValueError, OSError):
            pass  # the one who asked went away or sent more than a request: nobody to tell
        finally:
            writer.close()

    def _answer(self, line: bytes) -> dict[str, object]:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):  # the latter for a line of brackets
            return {"error": "not JSON"}
        ask = request.get("ask") if isinstance(request, dict) else None
        if not isinstance(ask, str) or ask not in self._answers:
            return {"error": f"ask one of {sorted(self._answers)}"}
        return self._answers[ask](request)


def ask(path: str, question: str, **more: object) -> dict[str, Any]:
    """Ask a running daemon; ControlError if none answers."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(ANSWER_TIMEOUT_S)
            sock.connect(path)
            sock.sendall(json.dumps({"ask": question, **more}).encode() + b"\n")
            with sock.makefile("rb") as stream:
                answer = json.loads(stream.readline())
    except (OSError, ValueError) as error:
        raise ControlError(
            f"no answer: {error}", where=path, hint="is hearth running? systemctl status hearth"
        ) from error
    if not isinstance(answer, dict) or "error" in answer:
        raise ControlError(f"refused: {answer}", where=path)
    return answer
