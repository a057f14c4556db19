"""What a device must remember over a restart: a few values in one small file, replaced whole.

    <journal>/notes/band-1.json     {"history.heart_rate": "2026-11-25T06:10:00"}

Readings are events and belong into the journal. A note is where a driver left off.
"""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

import msgspec

from gateway.errors import JournalWriteFailed
from gateway.journal.files import OsFiles

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
        self._path = path
        self._files = files or OsFiles()
        self._values = _read(self._files, path)
        self._writing = asyncio.Lock()

    def get(self, key: str) -> Note | None:
        """The value of a key, if there is one."""
        return self._values.get(key)

    async def put(self, values: Mapping[str, Note]) -> None:
        """Set some values, all or none; on flash when it returns.

        Raises:
            JournalWriteFailed: the flash refused; the values are known until the next restart.
        """
        self._values |= values
        saving = asyncio.ensure_future(self._save())
        saving.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.shield(saving)  # who stops waiting does not leave half a file to the next

    async def _save(self) -> None:
        async with self._writing:
            data = json.dumps(self._values, ensure_ascii=False, indent=1).encode()
            try:
                await asyncio.to_thread(self._write, data)
            except OSError as error:
                raise JournalWriteFailed(
                    f"a note could not be kept: {error}", where=self._path.name
                ) from error

    def _write(self, data: bytes) -> None:
        """The new file is whole on flash before it takes the old one's name."""
        files, path = self._files, self._path
        files.make_dir(path.parent)
        fresh = path.with_suffix(".new")
        with suppress(FileNotFoundError):
            files.unlink(fresh)  # of a power cut; it may be longer
        fd = files.open(fresh, create=True)
        try:
            files.pwrite(fd, data, 0)
            files.fdatasync(fd)
        finally:
            files.close(fd)
        files.rename(fresh, path)
        files.sync_dir(path.parent)


def _read(files: Files, path: Path) -> dict[str, Note]:
    try:
        fd = files.open(path)
        try:
            data = files.pread(fd, MAX_BYTES + 1, 0)
        finally:
            files.close(fd)
        return _decode(data)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        log.warning("the notes of %s are lost: %s", path.stem, error)
        return {}


def _decode(data: bytes) -> dict[str, Note]:
    if len(data) > MAX_BYTES:
        raise ValueError(f"more than {MAX_BYTES} bytes")
    return msgspec.json.decode(data, type=dict[str, Note])
