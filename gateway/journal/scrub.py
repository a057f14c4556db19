"""Reading what waits before it is needed: damage that is found early can still be acted upon.

An outage may last weeks, and flash forgets. A scrub reads one segment from the medium (not from the
page cache), checks every record, and tells of what is lost as a gap, as a reader would who came
there later.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from gateway.journal.scan import holes, scan

if TYPE_CHECKING:
    from gateway.journal.log import Log
    from gateway.journal.segment import Segment


class Scrubbed(msgspec.Struct, frozen=True):
    """One segment, read and checked. `lost` are needed seqs that were not known to be lost."""

    name: str
    size_bytes: int
    lost: tuple[tuple[int, int], ...]
    header_copies: int  # of 2


class Scrubber:
    """Goes round the segments of one lane that hold needed events, one at each step."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._number = 0  # of the segment that was read last

    def step(self) -> Scrubbed | None:
        """Read the next segment; None if none holds anything needed, or can't be read at all."""
        live, _ = self._log.segments()
        durable, acknowledged = self._log.durable, self._log.acknowledged
        if not live or acknowledged >= durable:
            return None
        at = next((i for i, s in enumerate(live) if _number(s) > self._number), 0)
        segment, self._number = live[at], _number(live[at])
        last = live[at + 1].first_seq - 1 if at + 1 < len(live) else durable
        try:
            return self._read(segment, max(segment.first_seq, acknowledged + 1), last)
        except OSError:
            return None  # writing to such a card fails, too, and that is told

    def _read(self, segment: Segment, first: int, last: int) -> Scrubbed:
        number, seed, first_seq = _number(segment), segment.seed, segment.first_seq
        with suppress(OSError):  # advice: without it the read is less of a proof, and still a read
            segment.drop_cache()
        found = scan(segment.read_all(), seed, first_seq)
        copies = segment.header_copies()
        lost = []
        live, _ = self._log.segments()
        if segment in live and _number(segment) == number:  # not recycled while it was read
            spans = [(span.first, span.last) for span in found.spans]
            lost = [
                (begin, end)
                for begin, end in holes(first, last, spans)
                if self._log.tell_gap(begin, end, "damage")
            ]
        return Scrubbed(segment.path.name, segment.size, tuple(lost), copies)


def _number(segment: Segment) -> int:
    return segment.header.number if segment.header else 0
