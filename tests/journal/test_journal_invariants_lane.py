"""One lane and its writer: what a receipt means, what is refused, how a loss is told."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from content import Content
from lane import Refusal, fill, saved, wait_until
from simdisk import SimDisk

from gateway.errors import JournalError, JournalSaturated, JournalWriteFailed
from gateway.journal import Receipt
from gateway.model import Lane

U, R = Lane.URGENT, Lane.ROUTINE


# --- accepting ------------------------------------------------------------------------------------


def test_a_receipt_is_done_after_the_flush_and_not_before(journal, disk):
    given, early = threading.Event(), []

    def look(call: str, path: Path | None) -> None:
        if call == "fdatasync" and path.suffix == ".seg":
            given.wait(5)
            early.append(receipt.durable)

    disk.fail = look
    receipt = journal.append(U, b"help")
    given.set()
    receipt.result(5)
    assert early == [False]
    assert receipt.durable


def test_what_the_flash_refused_is_not_durable_and_says_so(journal, disk):
    disk.fail = Refusal("fdatasync", ".seg")
    receipt = journal.append(U, b"help")
    with pytest.raises(JournalWriteFailed, match="played"):
        receipt.result(5)
    assert not receipt.durable
    assert journal.durable(U) == 0
    disk.fail.on = False
    journal.flush()
    assert Content(journal, U).payloads == {1: b"help"}


def test_a_call_does_not_wait_for_the_routine_interval(journal):
    assert journal.append(U, b"help").result(5) == 1


def test_an_event_that_fits_nowhere_is_refused(journal):
    for lane, most in ((U, 2048), (R, 3072)):
        assert journal.append(lane, bytes(most)).seq == 1
        with pytest.raises(JournalError, match=f"{most} is the most"):
            journal.append(lane, bytes(most + 1))
    journal.flush()
    assert [journal.durable(lane) for lane in Lane] == [1, 1]


def test_more_than_may_wait_is_refused_until_the_flash_takes_it(journal, disk):
    disk.fail = Refusal("fdatasync", ".seg")
    with pytest.raises(JournalSaturated):  # noqa: PT012 - which one is refused is not the point
        for _ in range(100):
            journal.append(U, bytes(1000))
    disk.fail.on = False
    journal.flush()
    journal.append(U, b"help").result(5)


def test_an_acknowledgement_of_what_is_not_durable_is_refused(journal):
    journal.append(U, b"x").result(5)
    waits = journal.append(R, b"waits").seq
    for lane, through in ((U, 2), (R, waits)):
        with pytest.raises(JournalError, match="newest"):
            journal.acknowledge(lane, through)
        assert journal.acknowledged(lane) == 0


def test_flush_waits_also_for_what_is_being_written(journal, disk):
    under_way, flushed, ended_early = threading.Event(), threading.Event(), []

    def flush() -> None:
        journal.flush()
        flushed.set()

    def hold(call: str, path: Path | None) -> None:
        if call == "fdatasync" and path.suffix == ".seg":
            under_way.set()
            ended_early.append(flushed.wait(0.1))  # time for one that does not wait to end

    disk.fail = hold
    journal.append(U, b"help")
    under_way.wait(5)
    thread = threading.Thread(target=flush)
    thread.start()
    thread.join(5)
    assert flushed.is_set()
    assert ended_early == [False]
    assert journal.durable(U) == 1


def test_the_status_says_what_was_refused_and_when_that_is_over(journal, disk):
    disk.fail = Refusal("pwrite", "meta")
    fill(journal, R, 30)
    journal.acknowledge(R, 30)
    wait_until(lambda: disk.fail.count > 2)
    assert "played" in journal.status()[R].failed
    disk.fail.on = False
    wait_until(lambda: not journal.status()[R].failed)


def test_a_flash_that_refuses_is_not_asked_without_rest(journal, disk, monkeypatch):
    """Nothing waits that would show that it recovered: it is asked, and then left alone."""
    monkeypatch.setattr("gateway.journal.log.PROBE_INTERVAL_S", 3600)
    log, refusal = journal._logs[U], Refusal("pwrite", ".seg")
    disk.fail = refusal
    with pytest.raises(JournalWriteFailed):
        journal.append(U, b"help").result(5)
    wait_until(lambda: journal.unwritten.read(U, 0, 100))
    asked = refusal.count
    with log._changed:
        log._probe_s = 0.0  # the time has come
        log._changed.notify_all()
    wait_until(lambda: log._changed._waiters or refusal.count > asked + 10)
    assert refusal.count == asked + 1
    assert "played" in journal.status()[U].failed


def test_who_can_forward_what_was_refused_hears_of_it(journal, disk):
    heard: list[tuple[Lane, int]] = []
    told = threading.Event()

    def hear(lane: Lane) -> None:
        heard.append((lane, journal.unwritten.durable(lane)))
        told.set()

    journal.unwritten.watch(hear)
    disk.fail = Refusal("fdatasync", ".seg")
    journal.append(U, b"help")
    assert told.wait(5)
    assert heard[0] == (U, 1)  # there is something to claim by then


async def test_one_who_stops_waiting_stops_nobody_else(journal):
    first, second = journal.append(R, b"a"), journal.append(R, b"b")
    gone = asyncio.ensure_future(_result(first))
    await asyncio.sleep(0)  # it waits
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    journal.flush()
    assert second.result(5) == 2
    assert first.durable


# --- telling of a loss ----------------------------------------------------------------------------


def test_a_loss_is_told_once(journal, log):
    fill(journal, R, 5)
    assert log.tell_gap(2, 4, "damage")
    assert not log.tell_gap(2, 4, "damage")
    assert not log.tell_gap(3, 3, "damage")
    journal.flush()
    assert not log.tell_gap(2, 4, "damage")
    assert [(gap.first, gap.last) for gap in Content(journal, R).gaps] == [(2, 4)]


def test_a_loss_that_was_told_is_not_told_again_after_a_restart(rig, disk):
    with rig.opened(disk) as journal:
        fill(journal, R, 5)
        journal._logs[R].tell_gap(2, 4, "damage")
    with rig.opened(SimDisk(disk.image())) as journal:
        assert not journal._logs[R].tell_gap(2, 4, "damage")


def test_what_a_lost_gap_event_told_of_is_told_again(journal, log):
    fill(journal, R, 5)
    log.tell_gap(2, 3, "damage")
    journal.flush()
    fill(journal, R, 2)
    assert log.tell_gap(5, 6, "damage")  # the gap event had seq 6
    journal.flush()
    told = Content(journal, R).told
    assert {seq: (gap.first, gap.last) for seq, gap in told.items()} == {
        6: (2, 3),
        9: (2, 3),
        10: (5, 6),
    }


def test_what_is_told_again_is_told_with_its_neighbours_as_one(journal, log):
    fill(journal, R, 5)
    log.tell_gap(4, 5, "damage")
    journal.flush()
    log.tell_gap(6, 6, "damage")
    journal.flush()
    last = Content(journal, R).gaps[-1]
    assert (last.first, last.last) == (4, 6)


def test_a_gap_event_that_moved_up_is_known_under_its_new_seq(rig, disk):
    with rig.opened(disk) as journal:
        fill(journal, R, 5)
        disk.fail = Refusal("pwrite", ".seg")
        journal.append(R, b"leaves by another way")
        journal._logs[R].tell_gap(2, 3, "damage")
        with pytest.raises(JournalWriteFailed):
            journal.flush()
        wait_until(lambda: journal.unwritten.read(R, 0, 100))  # not while it is being tried again
        disk.fail.on = False
        journal.flush()
        assert list(Content(journal, R).told) == [6]
        assert [gap.seq for gap in journal._meta.told_gaps(R)] == [6]
        journal.acknowledge(R, 6)
    assert saved(disk).gaps == ()


@pytest.mark.parametrize("reason", ["age", "quota"])
def test_a_gap_says_why(journal, log, reason):
    fill(journal, R, 5)
    if reason == "age":
        log.expire(3)
    else:
        fill(journal, R, 60)
    wait_until(lambda: journal.acknowledged(R) >= 3)
    gaps = Content(journal, R).gaps
    assert {gap.reason for gap in gaps} == {reason}
    assert gaps[0].first == 1
    assert gaps[-1].last == journal.acknowledged(R)


async def _result(receipt: Receipt) -> int:
    return await receipt
