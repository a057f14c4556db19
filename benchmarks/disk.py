"""A filesystem of its own: the block layer's counters then count the journal and nothing else."""

from __future__ import annotations

import os
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

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


def _run(*command: str) -> str:
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        detail = getattr(error, "stderr", "") or str(error)
        raise Unavailable(f"{command[0]}: {detail.strip()}") from error
