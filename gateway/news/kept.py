"""What a power cut leaves of the news: one small file, replaced whole."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec

from gateway.durable_file import UNREADABLE, DurableFile

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.journal.files import Files

MAX_BYTES = 256 * 1024  # 50 notices of 200 Chinese characters are a quarter of it

log = logging.getLogger("hearth.news")


class Weather(msgspec.Struct, frozen=True):
    """A report, and until when it holds (ms since 1970-01-01 UTC)."""

    text: str
    until_ms: int


class Notice(msgspec.Struct):
    """A notice, from when and until when it holds; `at_ms` 0 is since it came."""

    id: str
    text: str
    at_ms: int
    until_ms: int
    said: bool = False


class _Contents(msgspec.Struct):
    weather: Weather | None = None
    notices: dict[str, Notice] = {}


class Kept:
    """The file, and what is in it now."""

    def __init__(self, path: Path, files: Files | None = None) -> None:
        """What can be believed of the file; lost news come again."""
        self._file = DurableFile(path, files)
        contents = self._read()
        self.weather = contents.weather
        self.notices = contents.notices

    async def save(self) -> None:
        """Keep it as it is now. JournalWriteFailed if the flash refuses."""
        contents = _Contents(self.weather, self.notices)
        await self._file.replace(msgspec.json.encode(contents))

    def _read(self) -> _Contents:
        try:
            return self._file.load(_Contents, MAX_BYTES) or _Contents()
        except UNREADABLE as error:
            log.warning("the news are lost: %s", error)
            return _Contents()
