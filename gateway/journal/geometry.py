"""How a quota is divided into segments. Pure arithmetic."""

from __future__ import annotations

import msgspec

from gateway.journal.format import BLOCK
from gateway.model import Lane

URGENT_SEGMENT = 256 * 1024  # about 2,000 calls; small, so that little is lost with one bad block
ROUTINE_SEGMENT = 4 * 1024 * 1024
MIN_SEGMENT = 64 * 1024  # still takes several commits of the largest events
MIN_SEGMENTS = 4  # one written, one spare, one being freed, one to read from
URGENT_SHARE = 16  # one part in this many is the urgent lane's own
MAX_URGENT_SEGMENTS = 64  # 16 MiB of calls are more than a lifetime of them
META_BYTES = 2 * BLOCK
MIN_QUOTA = META_BYTES + MIN_SEGMENTS * (URGENT_SEGMENT + MIN_SEGMENT)


class LaneGeometry(msgspec.Struct, frozen=True):
    """Segments of one lane."""

    segment_bytes: int
    segments: int

    @property
    def total_bytes(self) -> int:
        """Disk use of the lane."""
        return self.segment_bytes * self.segments


def divide(quota_bytes: int) -> dict[Lane, LaneGeometry]:
    """The lanes' shares of a quota; ValueError if it is below MIN_QUOTA."""
    if quota_bytes < MIN_QUOTA:
        raise ValueError(f"a quota of {quota_bytes} bytes; the least is {MIN_QUOTA}")
    count = quota_bytes // URGENT_SHARE // URGENT_SEGMENT
    urgent = LaneGeometry(URGENT_SEGMENT, max(MIN_SEGMENTS, min(MAX_URGENT_SEGMENTS, count)))
    rest = quota_bytes - META_BYTES - urgent.total_bytes
    size = ROUTINE_SEGMENT
    while size > MIN_SEGMENT and rest // size < 2 * MIN_SEGMENTS:
        size //= 2
    return {Lane.URGENT: urgent, Lane.ROUTINE: LaneGeometry(size, rest // size)}
