"""What waits for the flash: in order, without a hole in its seqs, and never too long or too much."""

from __future__ import annotations

import pytest

from gateway.errors import JournalWriteFailed
from gateway.journal.format import RecordType
from gateway.journal.pending import RETRY_INTERVAL_S, Pending

NOW_S = 1000.0
INTERVAL_S = 60.0
LIMIT = 1000
EVENT, GAP = RecordType.EVENT, RecordType.GAP


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time stands still."""
    monkeypatch.setattr("gateway.journal.pending.time.monotonic", lambda: NOW_S)


@pytest.fixture
def routine() -> Pending:
    """Of a lane whose groups may wait."""
    return Pending(1, INTERVAL_S, LIMIT)


@pytest.fixture
def urgent() -> Pending:
    """Of a lane whose groups may not."""
    return Pending(1, 0.0, LIMIT)


def refuse(pending: Pending, *payloads: bytes, kind: int = EVENT) -> None:
    """The flash refuses all that waits, these last."""
    for payload in payloads:
        pending.add(payload, kind)
    group, _ = pending.take()
    pending.give_back(group)


def claim(pending: Pending, max_bytes: int) -> list[bytes]:
    """The payloads that leave by another way."""
    return [entry.payload for entry in pending.claim(max_bytes)[0]]


def contents(pending: Pending) -> list[tuple[int, bytes]]:
    """Seq and payload of everything that waits."""
    return [(entry.seq, entry.payload) for entry in pending.take()[0]]


def test_seqs_follow_each_other(routine):
    assert [routine.add(b"%d" % n, EVENT)[0].seq for n in range(3)] == [1, 2, 3]
    routine.take()
    assert routine.add(b"next", EVENT)[0].seq == 4


def test_what_was_refused_goes_to_the_front(routine):
    routine.add(b"a", EVENT)
    routine.add(b"b", EVENT)
    group, _ = routine.take()
    routine.add(b"c", EVENT)
    routine.give_back(group)
    assert contents(routine) == [(1, b"a"), (2, b"b"), (3, b"c")]


# --- when a group is due --------------------------------------------------------------------------


def test_a_routine_group_is_due_when_its_first_event_has_waited(routine, monkeypatch):
    assert routine.add(b"a", EVENT)[1]
    monkeypatch.setattr("gateway.journal.pending.time.monotonic", lambda: NOW_S + 5)
    assert not routine.add(b"b", EVENT)[1]
    assert routine.due_s == NOW_S + INTERVAL_S


def test_half_of_what_may_wait_is_due_at_once(routine):
    routine.add(b"a", EVENT)
    assert routine.add(bytes(LIMIT // 2), EVENT)[1]
    assert routine.due_s <= NOW_S


def test_a_refused_group_rests_before_it_is_tried_again(routine, urgent):
    for pending in (routine, urgent):
        refuse(pending, b"a")
        assert pending.due_s == NOW_S + RETRY_INTERVAL_S


def test_a_call_that_comes_while_another_rests_goes_at_once(urgent):
    refuse(urgent, b"first")
    _, news = urgent.add(b"second", EVENT)
    assert news
    assert urgent.due_s <= NOW_S


def test_a_call_that_came_during_a_refused_flush_goes_at_once(urgent):
    urgent.add(b"first", EVENT)
    group, _ = urgent.take()
    urgent.add(b"second", EVENT)
    urgent.give_back(group)
    assert urgent.due_s <= NOW_S


def test_a_routine_event_that_came_during_a_refused_flush_rests_with_the_others(routine):
    routine.add(b"first", EVENT)
    group, _ = routine.take()
    routine.add(b"second", EVENT)
    routine.give_back(group)
    assert routine.due_s == NOW_S + RETRY_INTERVAL_S


# --- how much may wait ----------------------------------------------------------------------------


def test_more_than_may_wait_is_too_much_until_it_is_taken(routine):
    assert not routine.saturated
    routine.add(bytes(LIMIT + 1), EVENT)
    assert routine.saturated
    group, _ = routine.take()
    assert not routine.saturated
    routine.give_back(group)
    assert routine.saturated


def test_what_is_claimed_makes_room(routine):
    refuse(routine, *[bytes(LIMIT // 4)] * 4)
    assert routine.saturated
    assert len(claim(routine, 10 * LIMIT)) == 4
    for _ in range(3):
        routine.add(bytes(LIMIT // 4), EVENT)
    assert not routine.saturated


# --- what may leave by another way ----------------------------------------------------------------


def test_only_what_was_refused_can_be_claimed(routine):
    routine.add(b"waits", EVENT)
    assert claim(routine, LIMIT) == []
    refuse(routine, b"refused")
    routine.add(b"new", EVENT)
    assert claim(routine, LIMIT) == [b"waits", b"refused"]
    assert contents(routine) == [(1, b"new")]


def test_what_stays_moves_up_and_leaves_no_hole(routine):
    refuse(routine, b"a", b"b")
    routine.add(b"c", EVENT)
    assert claim(routine, 1) == [b"a"]
    routine.add(b"d", EVENT)
    assert contents(routine) == [(1, b"b"), (2, b"c"), (3, b"d")]


def test_a_gap_event_stays_in_its_lane_and_tells_where_it_moved(routine):
    refuse(routine, b"a")
    refuse(routine, b"gap", kind=GAP)
    refuse(routine, b"b")
    taken, moved = routine.claim(LIMIT)
    assert [entry.payload for entry in taken] == [b"a", b"b"]
    assert moved == [(2, 1)]
    assert contents(routine) == [(1, b"gap")]


def test_what_does_not_fit_lets_nothing_behind_it_pass(routine):
    refuse(routine, b"a", bytes(100), b"b")
    assert claim(routine, 10) == [b"a"]
    assert claim(routine, 10) == [bytes(100)]  # at least one
    assert claim(routine, 10) == [b"b"]


def test_what_was_refused_is_counted_once(routine):
    refuse(routine, b"a", b"b", b"c")
    refuse(routine, b"gap", kind=GAP)
    assert routine.refused == 3
    claim(routine, 1)
    assert routine.refused == 2
    refuse(routine)
    assert routine.refused == 2
    claim(routine, LIMIT)
    assert routine.refused == 0


def test_who_waits_for_a_commit_that_never_comes_is_told(routine):
    """A flush that waits while everything leaves by another way must not wait for ever."""
    refuse(routine, b"a", b"b")
    awaited = routine.commit
    assert claim(routine, LIMIT) == [b"a", b"b"]
    with pytest.raises(JournalWriteFailed, match="another way"):
        awaited.result(0)
    routine.add(b"c", EVENT)
    _, commit = routine.take()
    assert commit is not awaited
    assert not commit.done()


def test_who_waits_for_a_commit_that_is_still_to_come_goes_on_waiting(routine):
    refuse(routine, b"a")
    routine.add(b"b", EVENT)
    awaited = routine.commit
    assert claim(routine, LIMIT) == [b"a"]
    assert not awaited.done()
    assert routine.take()[1] is awaited
