"""What is too old to be kept: whole segments, judged by the newest sure time in them.

Only times that the kernel vouched for count. A Pi that woke in the past must not throw away what it
has, and one whose clock jumped to 2038 in a crash is not asked either: the caller says what time it
is, and asks only when that is known.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from gateway.codec import decode_event
from gateway.errors import DecodeError
from gateway.journal.scan import records, scan
from gateway.model import TimeQuality

if TYPE_CHECKING:
    from gateway.journal.log import Log
    from gateway.journal.segment import Segment


def expired_through(log: Log, before_ms: int) -> int:
    """The last seq of the leading segments whose events are all older than `before_ms`; or 0.

    The newest segment is never among them. A segment in which no time is sure is as old as the one
    behind it.
    """
    live, _ = log.segments()
    through = 0
    for segment, following in pairwise(live):
        newest_ms = _newest_sure_ms(segment)
        if newest_ms is None:
            continue
        if newest_ms >= before_ms:
            break
        through = following.first_seq - 1
    return through


def _newest_sure_ms(segment: Segment) -> int | None:
    sure_ms = None
    try:
        data, seed = segment.read_all(), segment.seed
    except OSError:
        return None
    for span in scan(data, seed, segment.first_seq).spans:
        for record in records(data, seed, span.first, span.start):
            try:
                stamp = decode_event(record.payload).stamp
            except DecodeError:
                continue  # intact, and of a kind that this version does not know: no time to read
            if stamp.quality is TimeQuality.SYNCHRONISED:
                sure_ms = max(sure_ms or 0, stamp.wall_ms)
    return sure_ms
