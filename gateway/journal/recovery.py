"""What to keep of the newest segment after a crash. Pure: scan and evidence in, a verdict out.

A commit is confirmed only after its fdatasync, and every commit begins by saying what was durable
before it. So a missing seq is a proven loss if anything intact says that it was durable, and else
the leftover of a commit that nobody was promised. `proven` is the highest seq so vouched for, by a
record of this segment or by `meta`. For a hole `a..b` between two intact spans:

    where `proven` lies     what the hole is                        verdict
    proven < a              unfinished commit                       cut at a
    a <= proven < b         loss a..proven, then unfinished commit  gap a..proven, cut behind
    proven >= b             loss a..b                               gap a..b, keep what follows

The last span is followed by a hole without an end; its first row is the ordinary case.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from gateway.journal.scan import Scan


class Verdict(msgspec.Struct, frozen=True):
    """How to go on with a segment."""

    end: int  # offset where the next record goes
    next_seq: int
    lost: tuple[tuple[int, int], ...]  # proven losses (first, last)
    erase_through: int  # intact leftovers lie between `end` and here and must go; 0 if none


def decide(scan: Scan, *, first_seq: int, start: int, meta_durable: int) -> Verdict:
    """The verdict on the newest segment of a lane.

    Args:
        scan: what is intact in it.
        first_seq: seq its header announces.
        start: offset of its first record.
        meta_durable: highest seq of the lane that `meta` knows to be durable.
    """
    proven = max(scan.synced_through, meta_durable)
    end, expected = start, first_seq
    lost: list[tuple[int, int]] = []
    for span in scan.spans:
        if span.first > expected:  # a hole: expected .. span.first - 1
            if proven < span.first - 1:
                break
            lost.append((expected, span.first - 1))
        end, expected = span.end, span.last + 1
    if proven >= expected:
        lost.append((expected, proven))
        expected = proven + 1
    last_end = max((span.end for span in scan.spans), default=0)
    return Verdict(end, expected, tuple(lost), last_end if last_end > end else 0)
