"""One writer a journal: `lock` in its folder, held with flock(2), with the holder's process id."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from gateway.errors import JournalLocked
from gateway.journal.files import OsFiles

if TYPE_CHECKING:
    from pathlib import Path

NAME = "lock"


def lock(folder: Path) -> int:
    """Take the lock, until the returned descriptor is closed or the process ends.

    Raises:
        JournalLocked: another process has it.
        OSError: the folder cannot be used.
    """
    fd = OsFiles().open(folder / NAME, create=True)
    if not _try(fd):
        holder = _holder(fd)
        os.close(fd)
        raise JournalLocked(
            f"process {holder} has this journal open",
            where=str(folder),
            hint="is hearth already running? systemctl status hearth",
        )
    with suppress(OSError):  # the number is a courtesy; a full or read-only disk may refuse it
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd


def owner(folder: Path) -> str:
    """The process that has it now; nothing if it is free."""
    try:
        fd = OsFiles(read_only=True).open(folder / NAME)
    except FileNotFoundError:
        return ""
    try:
        return "" if _try(fd) else _holder(fd)
    finally:
        os.close(fd)


def _try(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(fd: int) -> str:
    return os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
