"""What is kept of reminders over a power cut: they themselves, how far each got, what is untold.

One small file, replaced whole. What changed and what is to be told of it are written together, so
that each is known once: after a power cut an occurrence is not rung again, and its event is told,
at the worst twice.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from gateway.durable_file import UNREADABLE, DurableFile
from gateway.model import Kind, Scalar, Stamp, TimeQuality
from gateway.reminders.reminder import MOST_REMINDERS, Reminder

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.journal.files import Files

# 200 reminders of 200 Chinese characters, and MOST_UNTOLD events, are half of it.
MAX_BYTES = 1024 * 1024
# Events that wait because the journal takes none. Then the oldest go, and are counted.
MOST_UNTOLD = 500

log = logging.getLogger("hearth.reminders")


class Ringing(msgspec.Struct):
    """An occurrence that rings until somebody acknowledges it."""

    occurrence: str  # local time, as the rule says it
    at_ms: int
    times: int  # how often it was said
    last_ms: int  # when it was said last


class Progress(msgspec.Struct):
    """How far one reminder got. Times are ms since 1970-01-01 UTC."""

    settled_ms: int | None = None  # every occurrence up to here rang, or was told as not rung
    rung_ms: int = 0  # the last that rang
    ringing: Ringing | None = None
    # When it was set, if the time was not known then: boot and uptime.
    set_boot: bytes = b""
    set_uptime_ms: int = 0


class Untold(msgspec.Struct, eq=False):
    """An event on its way to the journal."""

    kind: Kind
    detail: dict[str, Scalar]


class Anchor(msgspec.Struct, frozen=True):
    """A moment at which the clock was right, for a restart of hearth during a long outage."""

    boot: bytes
    uptime_ms: int
    wall_ms: int

    def stamp(self) -> Stamp:
        """As a stamp."""
        return Stamp(self.boot, self.uptime_ms, self.wall_ms, TimeQuality.SYNCHRONISED)


class Contents(msgspec.Struct):
    """The file."""

    reminders: list[Reminder] = []
    progress: dict[str, Progress] = {}
    untold: list[Untold] = []
    dropped: int = 0  # events that went before the journal took them
    anchor: Anchor | None = None


class Book:
    """The file, and what is in it now. `tellable` events have been on flash, if it takes any."""

    def __init__(self, path: Path, files: Files | None = None) -> None:
        """Read the file; an empty book if there is none, or none that can be believed."""
        self._file = DurableFile(path, files)
        self.damage = ""
        self.now = self._read()
        self.tellable = list(self.now.untold)

    def tell(self, kind: Kind, detail: dict[str, Scalar]) -> None:
        """Have an event told, once it is kept."""
        self.now.untold.append(Untold(kind, detail))
        surplus = len(self.now.untold) - MOST_UNTOLD
        if surplus > 0:
            del self.now.untold[:surplus]
            self.now.dropped += surplus

    def told(self, event: Untold) -> None:
        """The journal has an event."""
        self.now.untold = [it for it in self.now.untold if it is not event]
        self.tellable = [it for it in self.tellable if it is not event]

    async def save(self) -> None:
        """Keep it as it is now. JournalWriteFailed if the flash refuses."""
        untold = list(self.now.untold)
        try:
            await self._file.replace(msgspec.json.encode(self.now))
        finally:
            # What flash refuses is told all the same: the journal forwards it from memory.
            self.tellable = [it for it in untold if any(it is still for still in self.now.untold)]

    def _read(self) -> Contents:
        try:
            found = self._file.load(Contents, MAX_BYTES) or Contents()
            if len(found.reminders) > MOST_REMINDERS:
                raise ValueError(f"more than {MOST_REMINDERS} reminders")
        except UNREADABLE as error:
            log.warning("the reminders are lost: %s", error)
            self.damage = str(error) or type(error).__name__
            with suppress(OSError):
                self._file.path.replace(self._file.path.with_suffix(".damaged"))
            return Contents()
        return found
