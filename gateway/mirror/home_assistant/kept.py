"""What a restart must not forget: which entities there were, and which topics hold something.

A device that is no longer configured can be taken out of Home Assistant only by who knows its
topics, and an entity that was not told since a restart must not go for that.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec

from gateway.durable_file import UNREADABLE, DurableFile
from gateway.mirror.home_assistant.entity import Entity  # noqa: TC001 - msgspec reads it

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.journal.files import Files

MAX_BYTES = (
    1024 * 1024
)  # an entity takes some 150 bytes; a home with 100 meters of 30 values a half

log = logging.getLogger("hearth.mirror")


class Known(msgspec.Struct):
    """What is known of a device: which kind of device it was then, and its entities by place."""

    kind: str
    entities: dict[str, Entity] = {}


class _Contents(msgspec.Struct):
    devices: dict[str, Known] = {}
    topics: set[str] = set()


class Kept:
    """The file, and what is in it now."""

    def __init__(self, path: Path, files: Files | None = None) -> None:
        """What can be believed of the file; entities that are lost come with their next value."""
        self._file = DurableFile(path, files)
        contents = self._read()
        self.devices = contents.devices
        self.topics = contents.topics  # where something is retained
        self._saved = msgspec.json.encode(contents, order="sorted")

    async def save(self) -> None:
        """Keep it as it is now, if that is new. JournalWriteFailed if the flash refuses."""
        data = msgspec.json.encode(_Contents(self.devices, self.topics), order="sorted")
        if data != self._saved:
            await self._file.replace(data)
            self._saved = data

    def _read(self) -> _Contents:
        try:
            return self._file.load(_Contents, MAX_BYTES) or _Contents()
        except UNREADABLE as error:
            log.warning("what Home Assistant was told is not known any more: %s", error)
            return _Contents()
