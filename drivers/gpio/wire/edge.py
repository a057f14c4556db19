"""One change of a line, and what changes can turn out to mean."""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple


class Edge(NamedTuple):
    """One change of a line, as the kernel saw it."""

    offset: int  # of the line within its chip
    active: bool  # True: the contact left its rest
    at_ns: int
    seqno: int  # 1 for the first edge since the line was requested, then without a hole


class Change(Enum):
    """What an edge, or time without one, turned out to mean."""

    PRESSED = auto()
    RELEASED = auto()  # and quiet since
    STUCK = auto()
    UNSTUCK = auto()
    LOST = auto()  # edges went missing
    INTACT = auto()  # a quiet line again after LOST
    BROKEN = auto()  # the two wires of a supervised contact contradict each other
    WHOLE = auto()  # they agreed in a press again
