"""The books: does everything that was ever accepted add up?

For each lane of each journal: stored + lost = accepted, or something is missing. Lost is what gap
events tell and nothing stored contradicts; a gap may name what arrived after all, and two gaps may
overlap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.model import Lane


class Book(msgspec.Struct, frozen=True):
    """One lane of one journal."""

    gateway: str
    journal: str  # uuid, 32 hexadecimal digits
    lane: Lane
    accepted: int  # the highest seq known of; seqs start at 1
    stored: int
    lost: int  # told by gap events, and not stored
    duplicates: int  # events that came again, and were refused
    conflicts: int  # other events under a seq that was taken; kept among the refused

    @property
    def missing(self) -> int:
        """Accepted over there, and neither stored nor told as lost: on its way, or worse."""
        return self.accepted - self.stored - self.lost

    @property
    def balanced(self) -> bool:
        """Whether everything is accounted for."""
        return self.missing == 0


def merge(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The union of ranges `first..last`, in order, without overlap or touching."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = merged[-1][0], max(last, merged[-1][1])
        else:
            merged.append((first, last))
    return merged
