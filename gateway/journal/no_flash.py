"""A journal whose folder cannot be used at all: events are accepted, and go on from memory.

Every lane has one segment that refuses whatever is asked of it, so that nothing else has to know
about this: appends fail as on broken flash, nobody is told that anything was stored, and the
forwarder takes the events from memory.
"""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from gateway.journal.geometry import URGENT_SEGMENT
from gateway.journal.segment import Segment

if TYPE_CHECKING:
    from gateway.journal.files import Files


class NoFlash:
    """`Files` that refuses everything for one reason."""

    def __init__(self, reason: OSError) -> None:
        self._reason = reason

    def segment(self) -> Segment:
        """A segment that cannot be written."""
        return Segment(self, Path("no-flash"), -1, URGENT_SEGMENT)

    def close(self, fd: int) -> None:
        """Nothing is open."""

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise OSError(self._reason.errno or errno.EIO, self._reason.strerror or str(self._reason))

    open = pread = pwrite = fdatasync = allocate = size = drop_cache = _refuse
    make_dir = list_dir = sync_dir = rename = unlink = free_bytes = _refuse


if TYPE_CHECKING:
    _: type[Files] = NoFlash
