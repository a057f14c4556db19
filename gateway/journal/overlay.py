"""`Files` that tell what is changed: one that does it, one over a folder that is not touched.

With the second the journal's own recovery can be run to see what it would do.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from gateway.journal.files import OsFiles
from gateway.journal.format import BLOCK

if TYPE_CHECKING:
    from pathlib import Path

CREATED = -1  # stands for the descriptor of a file that exists in the overlay alone


class Telling(OsFiles):
    """The system's files; `changes` says what was changed."""

    def __init__(self) -> None:
        super().__init__()
        self._names: dict[int, str] = {}
        self.changes: list[str] = []

    def open(self, path: Path, *, create: bool = False) -> int:
        """Open, and remember the name."""
        fd = super().open(path, create=create)
        self._names[fd] = _name(path)
        return fd

    def pwrite(self, fd: int, data: bytes | bytearray, offset: int) -> None:
        """Write, and tell."""
        super().pwrite(fd, data, offset)
        self.changes.append(_written(self._names[fd], data, offset))

    def allocate(self, fd: int, size: int) -> None:
        """Allocate, and tell it as one change."""
        told = len(self.changes)
        super().allocate(fd, size)
        self.changes[told:] = [_created(self._names[fd], size)]

    def rename(self, old: Path, new: Path) -> None:
        """Rename, and tell."""
        super().rename(old, new)
        self.changes.append(_renamed(old, new))

    def unlink(self, path: Path) -> None:
        """Remove, and tell."""
        super().unlink(path)
        self.changes.append(_removed(path))


class Overlay:
    """Reads what is there, below what was written here. `changes` says what would change."""

    def __init__(self) -> None:
        self._below = OsFiles(read_only=True)
        self._opened: dict[int, _Shadow] = {}
        self._names: dict[Path, Path | None] = {}  # where that lies below; None: gone
        self._created: set[Path] = set()
        self.changes: list[str] = []

    def open(self, path: Path, *, create: bool = False) -> int:
        """Open a file, or pretend to create one."""
        try:
            below = self._below.open(self._existing(path))
            size = self._below.size(below)
        except FileNotFoundError:
            if not create:
                raise
            below, size = CREATED, 0
            self._created.add(path)
        number = len(self._opened)
        self._opened[number] = _Shadow(path, below, size)
        return number

    def close(self, fd: int) -> None:
        """Give the descriptor back; what was written stays known under no name."""
        if self._opened[fd].below != CREATED:
            self._below.close(self._opened[fd].below)

    def pread(self, fd: int, length: int, offset: int) -> bytes:
        """What is there, with what was written here."""
        shadow = self._opened[fd]
        length = max(0, min(length, shadow.size - offset))
        data = bytearray(length)
        if shadow.below != CREATED:
            below = self._below.pread(shadow.below, length, offset)
            data[: len(below)] = below
        for at, block in shadow.blocks.items():
            start, end = max(at, offset), min(at + BLOCK, offset + length)
            if start < end:
                data[start - offset : end - offset] = block[start - at : end - at]
        return bytes(data)

    def pwrite(self, fd: int, data: bytes | bytearray, offset: int) -> None:
        """Keep it in memory, block by block."""
        shadow = self._opened[fd]
        self.changes.append(_written(shadow.name, data, offset))
        end = offset + len(data)
        for at in range(offset // BLOCK * BLOCK, end, BLOCK):
            block = bytearray(self.pread(fd, BLOCK, at).ljust(BLOCK, b"\0"))
            start, stop = max(at, offset), min(at + BLOCK, end)
            block[start - at : stop - at] = data[start - offset : stop - offset]
            shadow.blocks[at] = block
        shadow.size = max(shadow.size, end)

    def fdatasync(self, fd: int) -> None:
        """Nothing to do."""

    def allocate(self, fd: int, size: int) -> None:
        """Pretend that it is full of zeros."""
        shadow = self._opened[fd]
        shadow.size = size
        self.changes.append(_created(shadow.name, size))

    def size(self, fd: int) -> int:
        """Its length, with what was written here."""
        return self._opened[fd].size

    def drop_cache(self, fd: int) -> None:
        """Nothing to do."""

    def make_dir(self, path: Path) -> None:
        """Pretend, if it is missing."""
        if path not in self._created and not self._is_folder(path):
            self.changes.append(f"create the folder {path.name}")
            self._created.add(path)

    def list_dir(self, path: Path) -> list[str]:
        """The names that would be there."""
        there = set(self._below.list_dir(self._existing(path))) if self._is_folder(path) else set()
        names = {name: old for name, old in self._names.items() if name.parent == path}
        there |= {name.name for name, old in names.items() if old}
        there -= {name.name for name, old in names.items() if not old}
        return sorted(there | {name.name for name in self._created if name.parent == path})

    def sync_dir(self, path: Path) -> None:
        """Nothing to do."""

    def rename(self, old: Path, new: Path) -> None:
        """Remember the new name."""
        self.changes.append(_renamed(old, new))
        self._names[new] = self._existing(old)
        self._names[old] = None
        self._created.discard(old)

    def unlink(self, path: Path) -> None:
        """Remember that it is gone."""
        self.changes.append(_removed(path))
        self._names[path] = None
        self._created.discard(path)

    def free_bytes(self, path: Path) -> int:
        """As it is."""
        return self._below.free_bytes(path)

    def _existing(self, path: Path) -> Path:
        """Where it lies below; FileNotFoundError if nothing there has that name any more."""
        for place in (path, *path.parents):
            if place in self._names:
                old = self._names[place]
                if old is None:
                    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
                return old / path.relative_to(place)
        return path

    def _is_folder(self, path: Path) -> bool:
        try:
            return self._existing(path).is_dir()
        except FileNotFoundError:
            return False


class _Shadow:
    """One opened file: the descriptor below, and the blocks written here by their offsets."""

    def __init__(self, path: Path, below: int, size: int) -> None:
        self.name = _name(path)
        self.below = below
        self.size = size
        self.blocks: dict[int, bytearray] = {}


def _name(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _written(name: str, data: bytes | bytearray, offset: int) -> str:
    return f"{'write' if any(data) else 'erase'} {len(data)} bytes of {name} at {offset}"


def _created(name: str, size: int) -> str:
    return f"create {name}, {size} bytes"


def _renamed(old: Path, new: Path) -> str:
    return f"rename {_name(old)} to {new.name}"


def _removed(path: Path) -> str:
    return f"remove {_name(path)}"
