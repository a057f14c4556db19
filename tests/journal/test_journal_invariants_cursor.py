"""The cursor of a lane on flash: never ahead of what is told, never behind what is free."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from content import Content
from lane import Refusal, fill, saved, saves, spoil, wait_until
from layout import Store
from rig import settle
from simdisk import SimDisk

from gateway.journal import Journal
from gateway.journal.format import Newest
from gateway.model import Lane

U, R = Lane.URGENT, Lane.ROUTINE


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cursor that moved is saved soon; to be asked for before the journal."""
    monkeypatch.setattr("gateway.journal.log.CURSOR_INTERVAL_S", 0.005)


def test_a_segment_is_free_once_the_cursor_is_on_flash(journal, log, disk):
    fill(journal, R, 30)
    settle(journal)
    before = log.segments()
    assert len(before[0]) > 2
    disk.fail = Refusal("pwrite", "meta")
    journal.acknowledge(R, 30)
    wait_until(lambda: disk.fail.count > 2 or log.segments() != before)
    assert log.segments() == before
    disk.fail.on = False
    wait_until(lambda: len(log.segments()[0]) == 1)
    assert saved(disk).acknowledged[R] == 30


def test_nothing_is_given_up_before_its_gap_is_on_flash(journal, log, disk):
    """Failing writes push nothing out, though the lane is full."""
    full, refused = threading.Event(), threading.Semaphore(0)

    def refuse(call: str, path: Path | None) -> None:
        if full.is_set() and call == "pwrite" and path.suffix == ".seg":
            refused.release()
            raise OSError("played")

    disk.fail = refuse
    journal.watch(lambda lane: full.set() if log.segments()[1] < 2 else None)
    while not full.is_set():
        fill(journal, R, 1)
    for _ in range(5):  # the gap is tried again and again
        assert refused.acquire(timeout=5)
    assert (journal.acknowledged(R), saved(disk).acknowledged[R]) == (0, 0)
    first = log.segments()[0][1].first_seq
    disk.fail = lambda call, path: None
    journal.flush()
    wait_until(lambda: journal.acknowledged(R))
    gap = Content(journal, R).gaps[0]
    assert (gap.first, gap.last, gap.reason) == (1, first - 1, "quota")


def test_the_cursor_waits_for_the_gap_that_tells_of_what_it_passes(impatient, rig, disk):
    """Power may go before that is on flash: then it must be told by who reads the lane again."""
    with rig.opened(disk) as journal:
        fill(journal, R, 10)
        spoil(disk, R, 5)
        after = 0
        while run := journal.read(R, after, 10**6):
            after = run.last
        assert (after, journal.accepted(R), journal.durable(R)) == (10, 11, 10)
        journal.acknowledge(R, 10)
        wait_until(lambda: saved(disk).acknowledged[R])
        assert saved(disk).acknowledged[R] == 4
        journal.flush()
        wait_until(lambda: saved(disk).acknowledged[R] == 10)


def test_the_cursor_on_flash_never_goes_back(rig, disk):
    """Not even while losses from the beginning on are told again, with gap events that had to go."""
    with rig.opened(disk) as journal:
        fill(journal, R, 180)
    cursors = [state.acknowledged[R] for state in saves(disk)]
    assert cursors == sorted(cursors)
    assert cursors[-1] > 100


def test_a_cursor_that_moved_is_saved_in_time(impatient, rig, disk):
    """Also if nothing more is accepted: the next start is to send little again."""
    with rig.opened(disk) as journal:
        for lane in Lane:
            _commit(journal, lane)
            settle(journal)
            journal.acknowledge(lane, 1)
            wait_until(lambda lane=lane: saved(disk).acknowledged[lane] == 1)


def test_a_cursor_that_moved_costs_no_write_before_its_time(journal, disk):
    for lane in Lane:
        for _ in range(20):
            _commit(journal, lane)
    settle(journal)
    before = len(saves(disk))
    for through in range(1, 20):
        for lane in Lane:
            journal.acknowledge(lane, through)
            _commit(journal, lane)
        settle(journal)
    assert len(saves(disk)) == before


def test_the_cursor_is_saved_at_the_end(rig, disk):
    with rig.opened(disk) as journal:
        for lane in Lane:
            _commit(journal, lane)
            journal.acknowledge(lane, 1)
    assert saved(disk).acknowledged == (1, 1)


def test_meta_knows_the_newest_segment_as_soon_as_it_is_begun(journal, disk):
    for count in (1, 15, 15):
        fill(journal, R, count)
        settle(journal)
        newest = Store.of(disk.image()).newest(R)
        assert saved(disk).newest == (None, Newest(newest.number, newest.salt, newest.first_seq))


def test_what_an_evicted_gap_event_told_of_is_told_again(rig, disk):
    """However often the lane went round, all that is missing is in one of the gaps."""
    sent: dict[int, bytes] = {}
    for _ in range(3):
        with rig.opened(disk) as journal:
            sent |= fill(journal, R, 60)
            settle(journal)
            got = Content(journal, R)
            assert got.payloads == {seq: sent[seq] for seq in got.payloads}
            assert got.lost | got.payloads.keys() >= sent.keys()
        disk = SimDisk(disk.image())


def test_each_lane_has_its_own_segments(journal):
    before = {lane: journal.status()[lane].segments for lane in Lane}
    fill(journal, R, 100)
    fill(journal, U, 5)
    assert {lane: journal.status()[lane].segments for lane in Lane} == before
    assert list(Content(journal, U).payloads) == [1, 2, 3, 4, 5]


def _commit(journal: Journal, lane: Lane) -> None:
    journal.append(lane, b"x")
    journal.flush()
