"""A small file that is replaced whole: after a power cut it is the old one or the new one."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

import msgspec

from gateway.errors import JournalWriteFailed
from gateway.journal.files import OsFiles

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.journal.files import Files


T = TypeVar("T")

# What `load` raises of a file that cannot be believed; the last is for a file of brackets.
UNREADABLE = (OSError, ValueError, RecursionError)


class DurableFile:
    """One file; who writes it again while it is being written waits."""

    def __init__(self, path: Path, files: Files | None = None) -> None:
        self.path = path
        self._files = files or OsFiles()
        self._writing = asyncio.Lock()

    def load(self, into: type[T], most: int) -> T | None:
        """Its JSON as `into`; None if there is no such file.

        Raises:
            OSError, ValueError, RecursionError (UNREADABLE): it cannot be read, has more than
                `most` bytes, or is not what it must be.
        """
        try:
            fd = self._files.open(self.path)
        except FileNotFoundError:
            return None
        try:
            data = self._files.pread(fd, most + 1, 0)
        finally:
            self._files.close(fd)
        if len(data) > most:
            raise ValueError(f"more than {most} bytes")
        return msgspec.json.decode(data, type=into)

    async def replace(self, data: bytes) -> None:
        """Give it this content; on flash when it returns.

        Raises:
            JournalWriteFailed: the flash refused; the file is as it was.
        """
        saving = asyncio.ensure_future(self._save(data))
        saving.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.shield(saving)  # who stops waiting does not leave half a file to the next

    async def _save(self, data: bytes) -> None:
        async with self._writing:
            try:
                await asyncio.to_thread(self._write, data)
            except OSError as error:
                raise JournalWriteFailed(
                    f"a note could not be kept: {error}", where=self.path.name
                ) from error

    def _write(self, data: bytes) -> None:
        """The new file is whole on flash before it takes the old one's name."""
        files = self._files
        files.make_dir(self.path.parent)
        fresh = self.path.with_suffix(".new")
        with suppress(FileNotFoundError):
            files.unlink(fresh)  # of a power cut; it may be longer
        fd = files.open(fresh, create=True)
        try:
            files.pwrite(fd, data, 0)
            files.fdatasync(fd)
        finally:
            files.close(fd)
        files.rename(fresh, self.path)
        files.sync_dir(self.path.parent)
