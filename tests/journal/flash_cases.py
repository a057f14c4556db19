"""Flash that fails at one call of a journal's life, at each of them, and goes on failing or not."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass, field
from typing import NamedTuple
from unittest.mock import patch

from content import Content, Promise, flush
from fault import KINDS, Fault
from rig import PATIENCE_S, Rig, repeatable, settle
from simdisk import Image, SimDisk

from gateway.errors import JournalNoRoom, JournalSaturated, JournalWriteFailed
from gateway.journal import Journal, Receipt
from gateway.model import Lane

U, R = Lane.URGENT, Lane.ROUTINE
FOLDER_CALLS = {"make_dir", "list_dir"}  # where these fail the folder cannot be used


class Case(NamedTuple):
    """Call number `at` fails in this way, once or from then on."""

    at: int
    kind: str
    lasting: bool


def count_calls(rig: Rig) -> int:
    """How many calls the whole life takes when nothing fails."""
    disk = SimDisk()
    fault = Fault(disk, -1, "EIO", lasting=False)
    disk.fail = fault
    life = Life(rig, disk, fault)
    life.live()
    life.end()
    return fault.calls


def table(calls: int) -> list[Case]:
    """All of them."""
    return [
        Case(at, kind, lasting)
        for at in range(calls)
        for kind in KINDS
        for lasting in (False, True)
    ]


def flash_case(rig: Rig, case: Case, rng: random.Random) -> None:
    """Live through the fault, lose power, or see the flash work again."""
    disk = SimDisk()
    fault = Fault(disk, case.at, case.kind, lasting=case.lasting)
    disk.fail = fault
    life = Life(rig, disk, fault)
    with no_thread_dies():
        life.live()
        image, promises = disk.crash_state(len(disk.ops), rng), deepcopy(life.promises)
        disk.fail = lambda call, path: None
        life.end()
    reasons = frozenset({"damage"}) if life.blinded else frozenset()
    _check_after(rig, image, promises, reasons)
    _check_after(rig, disk.crash_state(len(disk.ops), rng), life.promises, reasons)


def _check_after(
    rig: Rig, image: Image, promises: dict[Lane, Promise], reasons: frozenset[str]
) -> None:
    """Power came back, flash works: everything confirmed is there, and a call is stored."""
    with rig.opened(SimDisk(image)) as journal:
        for lane in Lane:
            promises[lane].check(Content(journal, lane), reasons=reasons)
        journal.append(U, b"help, after all that").result(PATIENCE_S)


@contextmanager
def no_thread_dies() -> Iterator[None]:
    """No exception leaves a writer thread."""
    died: list[threading.ExceptHookArgs] = []
    with patch.object(threading, "excepthook", died.append):
        yield
    assert not died, f"a writer died: {died[0].exc_value!r}"


@dataclass
class Life:
    """A store is made, used, closed; opened again, used until its segments go round; and closed."""

    rig: Rig
    disk: SimDisk
    fault: Fault
    promises: dict[Lane, Promise] = field(
        default_factory=lambda: {lane: Promise() for lane in Lane}
    )
    journal: Journal | None = None
    exists: bool = False  # a store was opened before
    blinded: bool = False  # a file could not be looked into while the journal opened
    waiting: list[tuple[Receipt, bytes]] = field(default_factory=list)
    open_receipts: list[tuple[Receipt, bytes]] = field(default_factory=list)  # of this journal

    def live(self) -> None:
        """Until just before the second closing."""
        with repeatable(1):
            self.open()
            self.append(U, 60)
            self.append(R, 40, 50, 60)
            self.append(U, 900, 10)
            self.acknowledge()
            self.close()
            self.open()
            for _ in range(5):
                self.append(R, 700, 1500, 900)
                self.append(U, 1500)
                self.acknowledge()
            self.append(U, 900, 800)

    def end(self) -> None:
        """The flash works: what was refused is stored after all, and the journal closes."""
        if self.journal is None:
            self.open(must=True)
        self.append(U, 77)
        flush(self.journal)
        self._check_all_stored()
        self.close()
        assert self.disk.open_files == 0, "files are left open"

    def open(self, *, must: bool = False) -> None:
        """Open the journal, if the flash lets us."""
        refused = len(self.fault.refused)
        try:
            self.journal = self.rig.open(self.disk)
        except (OSError, JournalNoRoom) as error:
            assert not must, f"flash works, and yet: {error!r}"
            calls = set(self.fault.refused[refused:])
            usable = self.exists and not calls & FOLDER_CALLS and not self._all_refused()
            assert not usable, f"a store that can be used is not opened: {error!r} for {calls}"
            assert self.disk.open_files == 0, "a failed opening leaves files open"
            return
        self.blinded |= bool({"open", "size", "pread"} & set(self.fault.refused[refused:]))
        self.exists = True
        self.open_receipts.clear()
        settle(self.journal)

    def append(self, lane: Lane, *sizes: int) -> None:
        """A group of events, and what became of it."""
        if self.journal is None:
            return
        for size in sizes:
            promise = self.promises[lane]
            payload = b"%d:" % len(promise.accepted) + bytes(size)
            try:
                receipt = self.journal.append(lane, payload)
            except JournalSaturated:
                continue
            promise.accepted.append(payload)
            self.waiting.append((receipt, payload))
        settle(self.journal)
        self._commit()

    def acknowledge(self) -> None:
        """The far side has all but the last two of each lane, and read them before."""
        if self.journal is None:
            return
        for lane in Lane:
            self.journal.read(lane, self.journal.acknowledged(lane), 2000)
            through = max(self.journal.acknowledged(lane), self.journal.durable(lane) - 2)
            self.promises[lane].acknowledged = max(self.promises[lane].acknowledged, through)
            self.journal.acknowledge(lane, through)
        settle(self.journal)

    def close(self) -> None:
        """Close the journal; what the flash refused is forgotten."""
        if self.journal is not None:
            self.journal.close()
            self.journal = None

    def _commit(self) -> None:
        with suppress(JournalWriteFailed):
            self.journal.flush()
        for receipt, payload in self.waiting:
            try:
                seq = receipt.result(PATIENCE_S)
            except JournalWriteFailed:
                assert not receipt.durable
            else:
                assert receipt.durable
                self.promises[receipt.lane].confirmed[seq] = payload
            self.open_receipts.append((receipt, payload))
        self.waiting.clear()
        settle(self.journal)

    def _check_all_stored(self) -> None:
        """What this journal accepted is there, also what the flash refused first."""
        for lane in Lane:
            got = Content(self.journal, lane)
            for receipt, payload in self.open_receipts:
                if receipt.lane is lane and receipt.seq > got.acknowledged:
                    assert got.payloads.get(receipt.seq) == payload, (
                        f"seq {receipt.seq} is not stored"
                    )
                    self.promises[lane].confirmed[receipt.seq] = payload

    def _all_refused(self) -> bool:
        return self.fault.broken
