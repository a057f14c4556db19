"""The filesystem port: the only way the journal reaches a disk.

Tests put another `Files` in its place to record every call, and to tear, drop, reorder or fail it.
Every method raises OSError as the system gives it; the journal decides what that means.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from fcntl import F_GETFL, fcntl
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

_ZEROS = bytes(1 << 20)


class Files(Protocol):
    """What the journal asks of a filesystem. Descriptors are plain ints."""

    def open(self, path: Path, *, create: bool = False) -> int:
        """Open for reading and writing."""
        ...

    def close(self, fd: int) -> None:
        """Give the descriptor back."""
        ...

    def pread(self, fd: int, length: int, offset: int) -> bytes:
        """Up to `length` bytes; fewer only at the end of the file."""
        ...

    def pwrite(self, fd: int, data: bytes | bytearray, offset: int) -> None:
        """Write all of `data`, or raise."""
        ...

    def fdatasync(self, fd: int) -> None:
        """Return when what was written to this file is on the medium."""
        ...

    def allocate(self, fd: int, size: int) -> None:
        """Reserve `size` bytes and write them full of zeros, durably."""
        ...

    def size(self, fd: int) -> int:
        """Length of the file in bytes."""
        ...

    def drop_cache(self, fd: int) -> None:
        """Forget what is cached of this file, so that the next read asks the medium."""
        ...

    def make_dir(self, path: Path) -> None:
        """Create a directory, readable by its owner alone; fine if it exists."""
        ...

    def list_dir(self, path: Path) -> list[str]:
        """Names in a directory, sorted."""
        ...

    def sync_dir(self, path: Path) -> None:
        """Return when the names in this directory are on the medium."""
        ...

    def rename(self, old: Path, new: Path) -> None:
        """Give a file another name in the same filesystem."""
        ...

    def unlink(self, path: Path) -> None:
        """Remove a file."""
        ...

    def free_bytes(self, path: Path) -> int:
        """Room that an ordinary user has on this filesystem, in bytes."""
        ...


class OsFiles:
    """The operating system's own. With `read_only` nothing can be changed by accident."""

    def __init__(self, *, read_only: bool = False) -> None:
        self._flags = os.O_CLOEXEC | (os.O_RDONLY if read_only else os.O_RDWR)

    def open(self, path: Path, *, create: bool = False) -> int:
        """Open for reading and writing; a created file is its owner's alone.

        On a filesystem that was mounted, or fell, read-only an existing file is opened for reading:
        what it holds can still be forwarded, and a write to it is refused.
        """
        try:
            return os.open(path, self._flags | (os.O_CREAT if create else 0), 0o600)
        except OSError as error:
            if error.errno != errno.EROFS:
                raise
            return os.open(path, os.O_CLOEXEC | os.O_RDONLY)

    def close(self, fd: int) -> None:
        """Uses close(2)."""
        os.close(fd)

    def pread(self, fd: int, length: int, offset: int) -> bytes:
        """Uses pread(2), repeated until the length or the end of the file is reached."""
        data = os.pread(fd, length, offset)
        while 0 < len(data) < length:
            more = os.pread(fd, length - len(data), offset + len(data))
            if not more:
                break
            data += more
        return data

    def pwrite(self, fd: int, data: bytes | bytearray, offset: int) -> None:
        """Uses pwrite(2), repeated after a short write."""
        try:
            done = os.pwrite(fd, data, offset)
        except OSError as error:
            if error.errno == errno.EBADF and _opened_for_reading(fd):
                raise OSError(errno.EROFS, os.strerror(errno.EROFS)) from error
            raise
        while done < len(data):
            done += os.pwrite(fd, memoryview(data)[done:], offset + done)

    def fdatasync(self, fd: int) -> None:
        """Uses fdatasync(2)."""
        os.fdatasync(fd)

    def allocate(self, fd: int, size: int) -> None:
        """Uses posix_fallocate(3), then zeros: a written extent needs no metadata at a commit."""
        os.posix_fallocate(fd, 0, size)
        for offset in range(0, size, len(_ZEROS)):
            self.pwrite(fd, _ZEROS[: size - offset], offset)
        os.fsync(fd)

    def size(self, fd: int) -> int:
        """Uses fstat(2)."""
        return os.fstat(fd).st_size

    def drop_cache(self, fd: int) -> None:
        """Uses posix_fadvise(2) with POSIX_FADV_DONTNEED; pages not yet written stay."""
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)

    def make_dir(self, path: Path) -> None:
        """Uses mkdir(2), with its parents; new names are on the medium when it returns."""
        new = [folder for folder in (path, *path.parents) if not folder.exists()]
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in new:
            with suppress(PermissionError):  # a folder may be entered that may not be read
                self.sync_dir(folder.parent)

    def list_dir(self, path: Path) -> list[str]:
        """Uses readdir(3), and sorts."""
        return sorted(os.listdir(path))  # noqa: PTH208 - names are what is wanted

    def sync_dir(self, path: Path) -> None:
        """Uses fsync(2), of the directory itself."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def rename(self, old: Path, new: Path) -> None:
        """Uses rename(2)."""
        old.rename(new)

    def unlink(self, path: Path) -> None:
        """Uses unlink(2)."""
        path.unlink()

    def free_bytes(self, path: Path) -> int:
        """Uses statvfs(3)."""
        stat = os.statvfs(path)
        return stat.f_bavail * stat.f_frsize


def _opened_for_reading(fd: int) -> bool:
    return fcntl(fd, F_GETFL) & os.O_ACCMODE == os.O_RDONLY
