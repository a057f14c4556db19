"""The books of one lane: which batches are on their way, and how far the journal may be freed.

Pure: no clock of its own, no I/O. A batch is outstanding from the moment it was read until it is
acknowledged, and it keeps its boundaries when it is sent again, so that the acknowledgement of any
of its sendings fits.

    QUEUED ──send──> FLYING ──PUBACK──> WAITING ──ack──> (acknowledged)
       ^                │                  │
       └── link lost ───┴──────────────────┘          WAITING ──time is up──> FLYING

An acknowledgement may come in every state once the batch was sent at all: the collector's word can
overtake the broker's PUBACK, and can come after the link was lost and found.

`freed` moves over the acknowledged batches at the front and stops at the first that is not.
Between two batches there may be a hole, events that the journal lost; a gap event further on tells
of it, so `freed` steps over holes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class State(Enum):
    """Where a batch is."""

    QUEUED = auto()
    FLYING = auto()
    WAITING = auto()
    ACKNOWLEDGED = auto()


class Verdict(Enum):
    """What became of an acknowledgement."""

    TAKEN = auto()
    STALE = auto()  # acknowledged before: the answer to another sending of the same batch
    NEVER_SENT = auto()


@dataclass(slots=True, eq=False)
class Parcel:
    """One batch on its way: seqs `first..last`."""

    first: int
    last: int
    state: State = State.QUEUED
    tries: int = 0
    sendings: int = 0  # tries that the broker did not refuse
    due_s: float = inf  # when its acknowledgement is overdue, on the caller's clock
    packed: int = 0  # after which offer every sending so far went packed; 0 if not (packing.py)


class Outstanding:
    """The batches of one lane, oldest first."""

    def __init__(self, freed: int) -> None:
        self._freed = freed
        self._parcels: list[Parcel] = []

    def __len__(self) -> int:
        return len(self._parcels)

    def __iter__(self) -> Iterator[Parcel]:
        return iter(self._parcels)

    @property
    def freed(self) -> int:
        """Everything up to here is stored over there, or lost and told."""
        return self._freed

    @property
    def read_through(self) -> int:
        """Everything up to here was read from the journal."""
        return self._parcels[-1].last if self._parcels else self._freed

    @property
    def flying(self) -> int:
        """How many batches wait for their PUBACK."""
        return sum(parcel.state is State.FLYING for parcel in self._parcels)

    def add(self, first: int, last: int) -> Parcel:
        """A batch that was read just now; ValueError unless it is non-empty and the newest."""
        if not self.read_through < first <= last:
            raise ValueError(f"{first}..{last} after {self.read_through}")
        parcel = Parcel(first, last)
        self._parcels.append(parcel)
        return parcel

    def find(self, first: int, last: int) -> Parcel | None:
        """The batch of exactly these events."""
        return next((p for p in self._parcels if (p.first, p.last) == (first, last)), None)

    def next_queued(self) -> Parcel | None:
        """The oldest batch that is to be sent at once."""
        return next((p for p in self._parcels if p.state is State.QUEUED), None)

    def next_overdue(self, now_s: float) -> Parcel | None:
        """Of the batches whose acknowledgement is overdue the one least often tried, then oldest.

        Least often first, so that one batch that is never acknowledged does not keep the others
        from being sent again.
        """
        late = (p for p in self._parcels if p.state is State.WAITING and p.due_s <= now_s)
        return min(late, key=lambda p: (p.tries, p.first), default=None)

    def next_due_s(self) -> float:
        """When the first acknowledgement will be overdue; inf if none is waited for."""
        waiting = (p.due_s for p in self._parcels if p.state is State.WAITING)
        return min(waiting, default=inf)

    def sent(self, parcel: Parcel) -> None:
        """A batch was handed to the link."""
        parcel.tries += 1
        parcel.sendings += 1
        parcel.due_s = inf
        self._move(parcel, State.FLYING)

    def landed(self, parcel: Parcel, due_s: float) -> None:
        """The broker has it; from `due_s` on the acknowledgement is overdue."""
        if parcel.state is State.FLYING:
            parcel.due_s = due_s
            parcel.state = State.WAITING

    def refused(self, parcel: Parcel, due_s: float) -> None:
        """The broker would not have it, so it was not sent; it is tried again from `due_s` on."""
        parcel.sendings -= 1
        self.landed(parcel, due_s)

    def overdue(self) -> None:
        """Every acknowledgement that is waited for counts as overdue."""
        for parcel in self._parcels:
            if parcel.state is State.WAITING:
                parcel.due_s = -inf

    def requeue(self) -> None:
        """The link is lost: everything is to be sent again."""
        for parcel in self._parcels:
            self._move(parcel, State.QUEUED)

    def acknowledge(self, first: int, last: int) -> Verdict:
        """`first..last` is stored over there. Only what fits a sent batch exactly is taken."""
        if last <= self._freed:
            return Verdict.STALE
        parcel = self.find(first, last)
        if parcel is None or not parcel.sendings:
            return Verdict.NEVER_SENT
        if parcel.state is State.ACKNOWLEDGED:
            return Verdict.STALE
        parcel.state = State.ACKNOWLEDGED
        self._advance()
        return Verdict.TAKEN

    def replace(self, parcel: Parcel, ranges: Iterable[tuple[int, int]]) -> None:
        """The journal no longer has this batch as it was: what is left of it goes in its place."""
        pieces = [Parcel(first, last) for first, last in ranges]
        previous = parcel.first - 1
        for piece in pieces:
            if not previous < piece.first <= piece.last <= parcel.last:
                raise ValueError(f"{piece.first}..{piece.last} of {parcel.first}..{parcel.last}")
            previous = piece.last
        if not pieces:  # all of it is lost; the place is kept so that `freed` steps over it
            parcel.state = State.ACKNOWLEDGED
            self._advance()
            return
        at = self._parcels.index(parcel)
        self._parcels[at : at + 1] = pieces

    def _move(self, parcel: Parcel, state: State) -> None:
        if parcel.state is not State.ACKNOWLEDGED:
            parcel.state = state

    def _advance(self) -> None:
        done = 0
        while done < len(self._parcels) and self._parcels[done].state is State.ACKNOWLEDGED:
            self._freed = self._parcels[done].last
            done += 1
        del self._parcels[:done]
