"""A disk in memory that remembers every call, so that any legal state after a power cut can be made.

What a disk may do with writes that no fdatasync covered: keep any subset of their 512-byte sectors.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from pathlib import Path
from random import Random

SECTOR = 512

Image = dict[Path, bytes]


class SimDisk:
    """`Files` in memory. `ops` is the recording; `fail` may raise before any call."""

    def __init__(self, image: Image | None = None, *, room: int = 1 << 40) -> None:
        self.data: dict[Path, bytearray] = {p: bytearray(b) for p, b in (image or {}).items()}
        self.start: Image = dict(image or {})
        self.ops: list[tuple] = []
        self.room = room
        self.fail: Callable[[str, Path | None], None] = lambda call, path: None
        self._fds: dict[int, Path] = {}
        self._lock = threading.RLock()

    def open(self, path: Path, *, create: bool = False) -> int:
        with self._lock:
            if path not in self.data:
                if not create:
                    raise FileNotFoundError(errno.ENOENT, "no such file", str(path))
                self.data[path] = bytearray()
            fd = max(self._fds, default=2) + 1
            self._fds[fd] = path
            return fd

    def close(self, fd: int) -> None:
        del self._fds[fd]

    def pread(self, fd: int, length: int, offset: int) -> bytes:
        self.fail("pread", self._fds[fd])
        with self._lock:
            return bytes(self.data[self._fds[fd]][offset : offset + length])

    def pwrite(self, fd: int, data: bytes, offset: int) -> None:
        path = self._fds[fd]
        self.fail("pwrite", path)
        with self._lock:
            self.data[path][offset : offset + len(data)] = data
            self.ops.append(("write", path, offset, bytes(data)))

    def fdatasync(self, fd: int) -> None:
        path = self._fds[fd]
        self.fail("fdatasync", path)
        with self._lock:
            self.ops.append(("sync", path))

    def allocate(self, fd: int, size: int) -> None:
        path = self._fds[fd]
        self.fail("allocate", path)
        with self._lock:
            self.data[path] = bytearray(size)
            self.room -= size
            self.ops.append(("allocate", path, size))

    def size(self, fd: int) -> int:
        return len(self.data[self._fds[fd]])

    def make_dir(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)  # the lock file is a real one

    def list_dir(self, path: Path) -> list[str]:
        inside = {p.relative_to(path).parts[0] for p in self.data if path in p.parents}
        return sorted(inside)

    def sync_dir(self, path: Path) -> None:
        self.ops.append(("sync_dir", path))

    def rename(self, old: Path, new: Path) -> None:
        with self._lock:
            for path in [p for p in self.data if p == old or old in p.parents]:
                self.data[new / path.relative_to(old)] = self.data.pop(path)

    def unlink(self, path: Path) -> None:
        del self.data[path]

    def free_bytes(self, path: Path) -> int:
        return self.room

    def image(self) -> Image:
        """Everything as written, whether synced or not."""
        with self._lock:
            return {path: bytes(data) for path, data in self.data.items()}

    def crash_state(self, calls: int, rng: Random) -> Image:
        """A legal content of the medium if power went after the first `calls` recorded calls."""
        durable = {path: bytearray(data) for path, data in self.start.items()}
        loose: dict[Path, list[tuple[int, bytes]]] = {}
        for op in self.ops[:calls]:
            match op:
                case ("allocate", path, size):
                    durable[path] = bytearray(size)
                case ("write", path, offset, data):
                    loose.setdefault(path, []).extend(_sectors(offset, data))
                case ("sync", path):
                    for offset, data in loose.pop(path, []):
                        durable[path][offset : offset + len(data)] = data
        share = rng.choice([0.0, 0.1, 0.5, 0.9, 1.0])
        for path, writes in loose.items():
            for offset, data in writes:
                if rng.random() < share:
                    durable[path][offset : offset + len(data)] = data
        return {path: bytes(data) for path, data in durable.items()}


def _sectors(offset: int, data: bytes) -> list[tuple[int, bytes]]:
    """A write cut at sector borders."""
    pieces, at = [], 0
    while at < len(data):
        length = min(SECTOR - (offset + at) % SECTOR, len(data) - at)
        pieces.append((offset + at, data[at : at + length]))
        at += length
    return pieces
