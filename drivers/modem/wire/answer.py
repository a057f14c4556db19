"""The answer to one AT command, from bytes: its own lines, and how it ended.

A modem says other things in between (a message came, the signal changed, somebody rings) whenever
it likes, so only lines that begin as the answer must are taken. It may echo the command; that is
passed over too. A modem that never stops is not listened to for ever.
"""

from __future__ import annotations

import re

import msgspec

from gateway.errors import DecodeError

PROMPT = "> "
MAX_LINES = 100
MAX_LINE_BYTES = 1024
_ENDLESS = "the modem talks without an end"

_FINAL = re.compile(r"OK|ERROR|\+CM[ES] ERROR:.*|NO CARRIER|BUSY|NO ANSWER|COMMAND NOT SUPPORT.*")


class Answer(msgspec.Struct, frozen=True):
    """A whole answer."""

    final: str  # OK, ERROR, +CME ERROR: ..., or PROMPT
    lines: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the modem did it, or waits for more."""
        return self.final in {"OK", PROMPT}


class AnswerReader:
    """Reads the answer to one command."""

    def __init__(self, prefix: str = "", *, prompts: bool = False) -> None:
        """Args: prefix: of the lines that belong to the answer; prompts: a prompt may end it."""
        self._prefix = prefix
        self._prompts = prompts
        self._buffer = b""
        self._seen = 0
        self._lines: list[str] = []

    def feed(self, data: bytes) -> Answer | None:
        """More bytes; the answer once it is whole.

        Raises:
            DecodeError: it talks and talks.
        """
        self._buffer += data
        while True:
            line, end, rest = self._buffer.partition(b"\n")
            if not end:
                break
            self._buffer = rest
            self._seen += 1
            if self._seen > MAX_LINES:
                raise DecodeError(_ENDLESS)
            answer = self._line(line.decode("ascii", "replace").strip())
            if answer:
                return answer
        if self._prompts and self._buffer.lstrip(b"\r") == PROMPT.encode():
            return Answer(PROMPT, tuple(self._lines))
        if len(self._buffer) > MAX_LINE_BYTES:
            raise DecodeError(_ENDLESS)
        return None

    def _line(self, line: str) -> Answer | None:
        if _FINAL.fullmatch(line):
            return Answer(line, tuple(self._lines))
        if self._prefix and line.startswith(self._prefix):
            self._lines.append(line.removeprefix(self._prefix).strip())
        return None
