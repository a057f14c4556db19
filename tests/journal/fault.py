"""Flash that refuses: one call, or that call and everything after it."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

from simdisk import ShortWrite, SimDisk

READS = frozenset({"open", "close", "pread", "size", "list_dir", "drop_cache", "free_bytes"})
KINDS = ("EIO", "ENOSPC", "EROFS", "short")


class Fault:
    """A `fail` of a SimDisk: refuses call number `at`, and if it is `lasting` those that follow.

    A card that broke (EIO) refuses everything from then on; one that is full or fell read-only is
    still read, and what exists can be opened.
    """

    def __init__(self, disk: SimDisk, at: int, kind: str, *, lasting: bool) -> None:
        self._disk = disk
        self._at = at
        self._kind = kind
        self._lasting = lasting
        self._lock = threading.Lock()
        self.calls = 0
        self.refused: list[str] = []

    def __call__(self, call: str, path: Path | None) -> None:
        with self._lock:
            number = self.calls
            self.calls += 1
            if number == self._at or (
                self._lasting and number > self._at >= 0 and self._refuses(call, path)
            ):
                self.refused.append(call)
                raise self._error(call)

    @property
    def broken(self) -> bool:
        """Nothing works any more."""
        return bool(self.refused) and self._lasting and self._kind in {"EIO", "short"}

    def _refuses(self, call: str, path: Path | None) -> bool:
        if self._kind in {"EIO", "short"}:
            return True
        exists = path is not None and self._disk.tree.find(path) is not None
        return not (call in READS and exists) and not (call == "make_dir" and exists)

    def _error(self, call: str) -> OSError:
        if self._kind == "short":
            return ShortWrite(errno.ENOSPC, 100) if call == "pwrite" else _os_error("EIO")
        return _os_error(self._kind)


def _os_error(kind: str) -> OSError:
    code = getattr(errno, kind)
    return OSError(code, os.strerror(code))
