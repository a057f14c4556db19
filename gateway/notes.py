"""What a device must remember over a restart: a few values in one small file, replaced whole.

    <journal>/notes/band-1.json     {"history.heart_rate": "2026-11-25T06:10:00"}

Readings are events and belong into the journal. A note is where a driver left off.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Protocol

from gateway.durable_file import UNREADABLE, DurableFile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gateway.journal.files import Files

Note = str | int | float | bool

MAX_BYTES = 64 * 1024  # a driver that needs more needs something else

log = logging.getLogger("hearth.notes")


class Notes(Protocol):
    """The notes of one device."""

    def get(self, key: str) -> Note | None:
        """The value of a key, if there is one."""
        ...

    async def put(self, values: Mapping[str, Note]) -> None:
        """Set some values, all or none; on flash when it returns.

        Raises:
            JournalWriteFailed: the flash refused; the values are known until the next restart.
        """
        ...


class FileNotes:
    """Notes in a file. What cannot be read of it is not believed, and is written over."""

    def __init__(self, path: Path, files: Files | None = None) -> None:
        self._file = DurableFile(path, files)
        self._values = _read(self._file)

    def get(self, key: str) -> Note | None:
        """The value of a key, if there is one."""
        return self._values.get(key)

    async def put(self, values: Mapping[str, Note]) -> None:
        """Set some values, all or none; on flash when it returns.

        Raises:
            JournalWriteFailed: the flash refused; the values are known until the next restart.
        """
        self._values |= values
        data = json.dumps(self._values, ensure_ascii=False, indent=1).encode()
        await self._file.replace(data)


def _read(file: DurableFile) -> dict[str, Note]:
    try:
        return file.load(dict[str, Note], MAX_BYTES) or {}
    except UNREADABLE as error:
        log.warning("the notes of %s are lost: %s", file.path.stem, error)
        return {}
