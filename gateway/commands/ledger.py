"""Which commands were begun, and what became of them, until they expire: nothing is done twice.

One small file, replaced whole, so that after a power cut a command is noted or it is not:

    {"forgotten_ms": ..., "doubted_ms": ..., "latest_ms": {"<name>": ...},
     "commands": {"<id>": {"digest": ..., ...}}}

A command is noted before it is carried out, and its outcome after. When it has expired its id is
forgotten, for then its expiry speaks against it. The latest expiry that was forgotten is kept: what
expires no later is refused whatever the clock says, so a clock that is set back opens no door.

Of commands that replace what an earlier one of their name set, the time of the latest is kept: who
holds one back and delivers it after its successor undoes nothing.

If the file cannot be read, nobody knows which commands were carried out. Those that were issued
before that was found are then refused (`doubts`): whoever still wants them orders them anew.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec

from gateway.commands.wire import Outcome, Reply
from gateway.durable_file import UNREADABLE, DurableFile
from gateway.errors import CommandRefused, JournalWriteFailed
from gateway.model import Scalar  # noqa: TC001 - msgspec reads it at run time

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.commands.wire import Command
    from gateway.journal.files import Files

MAX_IDS = 1000
# The sender's clock may be ahead of ours by this much.
MAX_SKEW_MS = 5 * 60 * 1000
# JSON of MAX_IDS replies, each as long as a reply may be, with every character escaped.
MAX_BYTES = 8 * 1024 * 1024

log = logging.getLogger("hearth.commands")


class Entry(msgspec.Struct, frozen=True):
    """A command that was begun. Without an outcome it may have been carried out, or not."""

    digest: str  # of its body, hexadecimal
    expires_ms: int
    outcome: Outcome | None = None
    reason: str = ""
    result: dict[str, Scalar] = {}

    def reply(self, command_id: bytes) -> Reply | None:
        """What was answered, if it was answered."""
        if self.outcome is None:
            return None
        return Reply(command_id, self.outcome, self.reason, self.result)


class _Book(msgspec.Struct):
    """What is in the file."""

    forgotten_ms: int = 0
    doubted_ms: int = 0
    latest_ms: dict[str, int] = {}
    commands: dict[str, Entry] = {}


class Ledger:
    """The commands that were begun and have not expired; at most MAX_IDS."""

    def __init__(self, path: Path, files: Files | None = None) -> None:
        self._file = DurableFile(path, files)
        self._lost = False
        self._book = self._read()

    def __len__(self) -> int:
        return len(self._book.commands)

    def find(self, command_id: bytes) -> Entry | None:
        """What is known of the command of this id."""
        return self._book.commands.get(command_id.hex())

    def forgot(self, expires_ms: int) -> bool:
        """Whether a command that expires then may have been forgotten already."""
        return expires_ms <= self._book.forgotten_ms

    def overtaken(self, command: Command) -> bool:
        """Whether one that was issued later has replaced what this one would set."""
        return command.issued_ms < self._book.latest_ms.get(command.name, 0)

    def doubts(self, issued_ms: int, now_ms: int) -> bool:
        """Whether a command issued then may be among those that a lost file told of."""
        if self._lost:
            self._lost = False
            self._book.doubted_ms = now_ms + MAX_SKEW_MS
        return issued_ms <= self._book.doubted_ms

    async def begin(
        self, command: Command, digest: str, now_ms: int | None, *, replaces: bool = False
    ) -> None:
        """Note that a command is about to be carried out; on flash when it returns.

        Args:
            command: the command.
            digest: of its body.
            now_ms: the time, if it is known; what has expired by then is forgotten.
            replaces: whether it replaces what an earlier one of its name set.

        Raises:
            CommandRefused: too many have not expired.
            JournalWriteFailed: the flash refused; it is not noted.
        """
        if now_ms is not None:
            self._forget(now_ms)
        if len(self) >= MAX_IDS and self.find(command.id) is None:
            raise CommandRefused("ledger full", hint="let some of the earlier commands expire")
        self._book.commands[command.id.hex()] = Entry(digest, command.expires_ms)
        if replaces:
            self._book.latest_ms[command.name] = command.issued_ms
        try:
            await self._write()
        except JournalWriteFailed:
            del self._book.commands[command.id.hex()]
            raise

    async def end(self, command: Command, digest: str, reply: Reply) -> None:
        """Note what became of a command; on flash when it returns.

        Raises:
            JournalWriteFailed: the flash refused; it is known until the next restart.
        """
        self._book.commands[command.id.hex()] = Entry(
            digest, command.expires_ms, reply.outcome, reply.reason, reply.result
        )
        await self._write()

    def _forget(self, now_ms: int) -> None:
        old = [key for key, entry in self._book.commands.items() if entry.expires_ms <= now_ms]
        for key in old:
            entry = self._book.commands.pop(key)
            self._book.forgotten_ms = max(self._book.forgotten_ms, entry.expires_ms)

    async def _write(self) -> None:
        await self._file.replace(msgspec.json.encode(self._book))

    def _read(self) -> _Book:
        try:
            return self._file.load(_Book, MAX_BYTES) or _Book()
        except UNREADABLE as error:
            log.warning("which commands were carried out is lost: %s", error)
            self._lost = True
            return _Book()
