"""A disk in memory that remembers every call, so that any legal state after a power cut can be made.

It is the journal's filesystem port (`gateway/journal/files.py`). `ops` is the recording of what
changes the medium; `medium.py` says what of it may be there after a power cut.
"""

from __future__ import annotations

import errno
import itertools
import threading
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import NamedTuple

from medium import SECTOR as SECTOR
from medium import (
    Drop,
    Grow,
    Image,
    Link,
    Medium,
    Op,
    Rename,
    Sync,
    SyncDir,
    SyncFailed,
    Unlink,
    Write,
)
from tree import Tree

PAGE = 4096
SECTORS_A_PAGE = PAGE // SECTOR


class ShortWrite(OSError):
    """Raised by a `fail`: the disk takes the first `written` bytes, then refuses."""

    def __init__(self, code: int, written: int) -> None:
        super().__init__(code, "short write")
        self.written = written


class _Handle(NamedTuple):
    node: int
    path: Path


class SimDisk:
    """`Files` in memory. `fail(call, path)` is asked before every call and may raise."""

    def __init__(self, image: Image | None = None, *, room: int = 1 << 40) -> None:
        self.start = Tree.of(image or {})
        self.tree = self.start.copy()
        self.ops: list[Op] = []
        self.room = room
        self.fail: Callable[[str, Path | None], None] = lambda call, path: None
        self.bad: dict[Path, set[int]] = {}  # sectors that cannot be read
        self._nodes = itertools.count(max((*self.tree.folders, *self.tree.files)) + 1)
        self._fds: dict[int, _Handle] = {}
        self._numbers = itertools.count(3)
        self._lock = threading.RLock()

    # --- the port ------------------------------------------------------------------------------

    def open(self, path: Path, *, create: bool = False) -> int:
        self.fail("open", path)
        with self._lock:
            node = self.tree.find(path)
            if node is None:
                if not create:
                    raise FileNotFoundError(errno.ENOENT, "no such file", str(path))
                node = self._link(path, folder=False)
            if node in self.tree.folders:
                raise IsADirectoryError(errno.EISDIR, "a folder", str(path))
            fd = next(self._numbers)
            self._fds[fd] = _Handle(node, path)
            return fd

    def close(self, fd: int) -> None:
        path = self._fds.pop(fd).path  # given back even if the system reports an error
        self.fail("close", path)

    def pread(self, fd: int, length: int, offset: int) -> bytes:
        node, path = self._fds[fd]
        self.fail("pread", path)
        with self._lock:
            data = bytes(self.tree.files[node][offset : offset + length])
            self._need(path, pages(offset, len(data)))
            return data

    def pwrite(self, fd: int, data: bytes | bytearray, offset: int) -> None:
        node, path = self._fds[fd]
        try:
            self.fail("pwrite", path)
        except ShortWrite as short:
            self._write(node, path, bytes(data[: short.written]), offset)
            raise
        self._write(node, path, bytes(data), offset)

    def fdatasync(self, fd: int) -> None:
        node, path = self._fds[fd]
        try:
            self.fail("fdatasync", path)
        except OSError:
            self._note(SyncFailed(node))
            raise
        self._note(Sync(node))

    def allocate(self, fd: int, size: int) -> None:
        node, path = self._fds[fd]
        try:
            self.fail("allocate", path)
        except OSError:
            self._grow(node, size // 2 // 4096 * 4096)  # as far as it came
            raise
        self._grow(node, size)
        self._note(Sync(node))

    def size(self, fd: int) -> int:
        node, path = self._fds[fd]
        self.fail("size", path)
        return len(self.tree.files[node])

    def drop_cache(self, fd: int) -> None:
        node, path = self._fds[fd]
        self.fail("drop_cache", path)
        with self._lock:
            self._note(Drop(node))
            self.tree.files[node][:] = self.medium(len(self.ops)).cache.files[node]

    def make_dir(self, path: Path) -> None:
        self.fail("make_dir", path)
        path.mkdir(parents=True, exist_ok=True)  # the lock file in it is a real one
        with self._lock:
            if not self.tree.files and len(self.tree.folders) == 1:
                self.start.make_folders(path, self._nodes)  # where the journal's folder stands
                self.tree = self.start.copy()  # is not the journal's doing
            elif self.tree.find(path) is None:
                self._link(path, folder=True)
                self._note(SyncDir(self._place(path.parent), path.parent))

    def list_dir(self, path: Path) -> list[str]:
        self.fail("list_dir", path)
        with self._lock:
            return sorted(self.tree.folder(path))

    def sync_dir(self, path: Path) -> None:
        self.fail("sync_dir", path)
        with self._lock:
            self.tree.folder(path)
            self._note(SyncDir(self.tree.find(path) or 0, path))

    def rename(self, old: Path, new: Path) -> None:
        self.fail("rename", old)
        with self._lock:
            self._need_name(old)
            self._change(
                Rename(self._place(old.parent), old.name, self._place(new.parent), new.name)
            )

    def unlink(self, path: Path) -> None:
        self.fail("unlink", path)
        with self._lock:
            self._need_name(path)
            self._change(Unlink(self._place(path.parent), path.name))

    def free_bytes(self, path: Path) -> int:
        self.fail("free_bytes", path)
        return self.room

    # --- what tests ask ------------------------------------------------------------------------

    @property
    def open_files(self) -> int:
        """Descriptors that were not given back."""
        return len(self._fds)

    def image(self) -> Image:
        """Everything as written, whether synced or not."""
        with self._lock:
            return self.tree.image()

    def medium(self, calls: int) -> Medium:
        """What the first `calls` recorded calls made certain, and what they left loose."""
        medium = Medium(self.start)
        for op in self.ops[:calls]:
            medium.apply(op)
        return medium

    def crash_state(self, calls: int, rng: Random) -> Image:
        """A legal content of the medium if power went after the first `calls` recorded calls."""
        return self.medium(calls).sample(rng)

    def killed(self, calls: int) -> SimDisk:
        """The disk after so many calls as the next process finds it: the system has gone on."""
        disk = SimDisk()
        disk.start = self.start
        disk.ops = self.ops[:calls]
        disk.tree = disk.medium(calls).cache
        disk._nodes = self._nodes
        return disk

    # --- inside --------------------------------------------------------------------------------

    def _note(self, op: Op) -> None:
        with self._lock:
            self.ops.append(op)

    def _change(self, op: Link | Rename | Unlink) -> None:
        self.tree.apply(op)
        self.ops.append(op)

    def _link(self, path: Path, *, folder: bool) -> int:
        node = next(self._nodes)
        self._change(Link(self._place(path.parent), path.name, node, folder))
        return node

    def _need_name(self, path: Path) -> None:
        if self.tree.find(path) is None:
            raise FileNotFoundError(errno.ENOENT, "no such file", str(path))

    def _place(self, path: Path) -> int:
        self.tree.folder(path)
        return self.tree.find(path) or 0

    def _write(self, node: int, path: Path, data: bytes, offset: int) -> None:
        """A page that is written whole need not be read, and the card puts a good one there."""
        if not data:
            return  # pwrite(2) of nothing makes no file longer
        whole = set(range(-(-offset // PAGE), (offset + len(data)) // PAGE))
        with self._lock:
            self._need(path, pages(offset, len(data)) - whole)
            if path in self.bad:
                self.bad[path] -= {s for s in self.bad[path] if s // SECTORS_A_PAGE in whole}
            content = self.tree.files[node]
            if offset + len(data) > len(content):
                content.extend(bytes(offset + len(data) - len(content)))
                self.ops.append(Grow(node, len(content)))
            content[offset : offset + len(data)] = data
            self.ops.append(Write(node, offset, data))

    def _need(self, path: Path, wanted: set[int]) -> None:
        """Have these pages in the page cache; EIO if one cannot be read."""
        if not wanted.isdisjoint(self._bad_pages(path)):
            raise OSError(errno.EIO, "unreadable sector", str(path))

    def _bad_pages(self, path: Path) -> set[int]:
        return {sector // SECTORS_A_PAGE for sector in self.bad.get(path, ())}

    def _grow(self, node: int, size: int) -> None:
        with self._lock:
            content = self.tree.files[node]
            there = min(len(content), size)
            self.room -= max(0, size - len(content))
            content.extend(bytes(size - there))
            self.ops.append(Grow(node, len(content)))
            if there:
                self._write(node, Path(), bytes(there), 0)


def pages(offset: int, length: int) -> set[int]:
    """The pages that these bytes lie in."""
    return set(range(offset // PAGE, (offset + length + PAGE - 1) // PAGE))
