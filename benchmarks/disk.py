"""Disks to measure on.

A filesystem of its own, so that the block layer's counters count one thing and nothing else; files
whose flush takes as long as a card's; a page cache that has forgotten everything.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.journal.files import OsFiles

if TYPE_CHECKING:
    from collections.abc import Iterator


class Unavailable(Exception):
    """No loop device, no mount, or not root."""


@contextmanager
def ext4(mib: int) -> Iterator[tuple[Path, Path]]:
    """(mount point, the block device's `stat` file) of a fresh ext4 in a loop device."""
    if os.geteuid() != 0:
        raise Unavailable("needs root")
    with tempfile.TemporaryDirectory(prefix="hearth-bench-") as scratch:
        image, mount = Path(scratch, "image"), Path(scratch, "mount")
        mount.mkdir()
        with image.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, mib << 20)
        _run("mkfs.ext4", "-q", "-F", "-b", "4096", str(image))  # a Pi's block size
        device = _run("losetup", "--find", "--show", str(image)).strip()
        try:
            _run("mount", "-t", "ext4", "-o", "noatime", device, str(mount))
            try:
                yield mount, Path("/sys/block", Path(device).name, "stat")
            finally:
                _run("umount", str(mount))
        finally:
            _run("losetup", "--detach", device)


def written_bytes(stat: Path) -> int:
    """Bytes written to the device so far (sectors of 512, field 7 of block/stat)."""
    return int(stat.read_text().split()[6]) * 512


class SlowFiles(OsFiles):
    """The system's own files, and each flush takes `flush_s` longer: simulated, like a card's.

    A card does one thing at a time, so flushes wait for each other, in the order they came.
    """

    def __init__(self, flush_s: float) -> None:
        super().__init__()
        self._flush_s = flush_s
        self._lock = threading.Lock()
        self._free_at = 0.0

    def fdatasync(self, fd: int) -> None:
        """The real flush, then the card's time."""
        super().fdatasync(fd)
        with self._lock:
            now = time.monotonic()
            self._free_at = max(self._free_at, now) + self._flush_s
            wait_s = self._free_at - now
        time.sleep(wait_s)


def drop_page_cache() -> bool:
    """Let the next read of any file ask the disk; whether that could be done (root may)."""
    os.sync()
    try:
        Path("/proc/sys/vm/drop_caches").write_text("1")
    except OSError:
        return False
    return True


def _run(*command: str) -> str:
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        detail = getattr(error, "stderr", "") or str(error)
        raise Unavailable(f"{command[0]}: {detail.strip()}") from error
