"""A journal at work, recorded: what it was given, what it confirmed, and at which call."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import NamedTuple

from content import Promise
from rig import PATIENCE_S, Rig, repeatable, settle
from simdisk import SimDisk

from gateway.errors import JournalSaturated
from gateway.journal import Journal, Receipt
from gateway.model import Lane


class Confirmed(NamedTuple):
    """A receipt was done when this many calls were recorded."""

    calls: int
    lane: Lane
    seq: int
    payload: bytes


@dataclass
class Recording:
    """A disk, and what the journal on it promised meanwhile."""

    disk: SimDisk
    opened: int = 0  # calls of the first opening
    calls: int = 0  # all of them
    journal: bytes = b""  # its uuid
    confirmed: list[Confirmed] = field(default_factory=list)
    accepted: list[tuple[Lane, bytes]] = field(default_factory=list)
    acknowledged: list[tuple[int, Lane, int]] = field(default_factory=list)  # (calls, lane, seq)

    def promise(self, lane: Lane, calls: int) -> Promise:
        """What the lane owes if power goes after so many calls."""
        return Promise(
            confirmed={
                seq: payload
                for at, of, seq, payload in self.confirmed
                if of is lane and at <= calls
            },
            accepted=[payload for of, payload in self.accepted if of is lane],
            acknowledged=max(
                (seq for at, of, seq in self.acknowledged if of is lane and at <= calls), default=0
            ),
        )


@dataclass(frozen=True)
class Habits:
    """How a household uses its journal."""

    steps: int = 40
    largest: int = 200  # bytes of a payload
    acknowledges: float = 0.3  # share of steps that acknowledge something
    restarts: float = 0.03
    leaves_open: bool = False


def habits(rng: random.Random) -> Habits:
    """From small events and a diligent far side to large ones and none, so that the quota rules."""
    return Habits(
        steps=rng.choice([10, 30, 50]),
        largest=rng.choice([60, 200, 700, 1500]),
        acknowledges=rng.choice([0.0, 0.1, 0.5]),
        restarts=rng.choice([0.0, 0.05]),
        leaves_open=rng.random() < 0.3,
    )


def record(rig: Rig, seed: int, wanted: Habits | None = None) -> Recording:
    """Make a store and work with it: the same calls for the same seed."""
    with repeatable(seed):
        return _Worker(rig, random.Random(seed), wanted).work()


class _Worker:
    def __init__(self, rig: Rig, rng: random.Random, wanted: Habits | None) -> None:
        self._rig = rig
        self._rng = rng
        self._habits = wanted or habits(rng)
        self._disk = SimDisk()
        self._recording = Recording(self._disk)
        self._waiting: list[tuple[Receipt, bytes]] = []
        self._number = 0

    def work(self) -> Recording:
        journal = self._rig.open(self._disk)
        self._recording.opened = len(self._disk.ops)
        self._recording.journal = journal.uuid
        for _ in range(self._habits.steps):
            self._step(journal)
            settle(journal)
            if self._rng.random() < self._habits.restarts:
                self._close(journal)
                journal = self._rig.open(self._disk)
                settle(journal)
        self._recording.calls = len(self._disk.ops)
        if self._habits.leaves_open:
            journal.close()
        else:
            self._close(journal)
            self._recording.calls = len(self._disk.ops)
        return self._recording

    def _step(self, journal: Journal) -> None:
        lane = self._rng.choice(list(Lane))
        for _ in range(self._rng.choice([1, 1, 1, 3, 8])):
            self._append(journal, lane)
        settle(journal)
        if lane is Lane.URGENT or self._rng.random() < 0.8:
            self._commit(journal)
        if self._rng.random() < self._habits.acknowledges:
            self._acknowledge(journal)

    def _append(self, journal: Journal, lane: Lane) -> None:
        self._number += 1
        noise = self._rng.randbytes(self._rng.randrange(self._habits.largest))
        payload = b"%s:%d:%s" % (lane.name.encode(), self._number, noise)
        try:
            receipt = journal.append(lane, payload)
        except JournalSaturated:
            self._commit(journal)
            receipt = journal.append(lane, payload)
        self._recording.accepted.append((lane, payload))
        self._waiting.append((receipt, payload))

    def _commit(self, journal: Journal) -> None:
        journal.flush()
        for receipt, payload in self._waiting:
            receipt.result(PATIENCE_S)
            seen = Confirmed(len(self._disk.ops), receipt.lane, receipt.seq, payload)
            self._recording.confirmed.append(seen)
        self._waiting.clear()

    def _acknowledge(self, journal: Journal) -> None:
        lane = self._rng.choice(list(Lane))
        through = self._rng.randint(journal.acknowledged(lane), journal.durable(lane))
        self._recording.acknowledged.append((len(self._disk.ops), lane, through))
        journal.acknowledge(lane, through)

    def _close(self, journal: Journal) -> None:
        journal.close()
        for receipt, payload in self._waiting:
            seen = Confirmed(len(self._disk.ops), receipt.lane, receipt.seq, payload)
            self._recording.confirmed.append(seen)
        self._waiting.clear()
