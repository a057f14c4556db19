"""Flash that refuses at one call, at any call of a journal's life, once or from then on.

An append is confirmed and survives, or is refused and says so; nothing hangs, no thread dies, and
nothing that is durable is given up for it. `make torture TORTURE="--kind flash"` tries every errno
at every call.
"""

from __future__ import annotations

import random

import pytest
from content import Content
from fault import KINDS, Fault
from flash_cases import Case, count_calls, flash_case, no_thread_dies
from rig import ROOMY, Rig
from rig import rig as make_rig
from simdisk import SimDisk

from gateway.model import Lane

PARTS = 8  # the calls of a life are dealt out to so many tests


@pytest.fixture
def rig(tmp_path):
    """With so many segments that the quota never takes anything."""
    with make_rig(tmp_path, ROOMY) as found:
        yield found


@pytest.mark.timeout(60)
@pytest.mark.parametrize("lasting", [False, True], ids=["once", "lasting"])
@pytest.mark.parametrize("part", range(PARTS))
def test_each_call_may_fail(part, lasting, rig):
    for at in range(part, count_calls(rig), PARTS):
        case = Case(at, KINDS[at // PARTS % len(KINDS)], lasting)
        flash_case(rig, case, random.Random(str(case)))


def test_the_life_meets_every_kind_of_call(rig):
    """Else some of them would never fail above."""
    calls: set[str] = set()
    disk = SimDisk()
    disk.fail = lambda call, path: calls.add(call)
    for _ in range(2):
        with rig.opened(disk) as journal:
            journal.append(Lane.URGENT, b"x").result(5)
            journal.scrub(Lane.URGENT)
    assert calls >= {
        "open", "close", "pread", "pwrite", "fdatasync", "allocate", "size", "make_dir",
        "list_dir", "sync_dir", "drop_cache",
    }  # fmt: skip


def _fill(rig: Rig, disk: SimDisk, count: int) -> dict[int, bytes]:
    with rig.opened(disk) as journal:
        sent = {}
        for number in range(count):
            payload = b"%d:" % number + bytes(300)
            sent[journal.append(Lane.ROUTINE, payload).seq] = payload
            journal.flush()
    return sent


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_read_that_fails_and_then_works_costs_nothing(times, rig):
    disk = SimDisk()
    sent = _fill(rig, disk, 30)
    left = [times]

    def fail(call, path):
        if call == "pread" and left[0]:
            left[0] -= 1
            raise OSError(5, "Input/output error")

    with rig.opened(disk) as journal:
        disk.fail = fail
        got = Content(journal, Lane.ROUTINE)
        disk.fail = lambda call, path: None
        got.payloads |= Content(journal, Lane.ROUTINE).payloads
    assert (got.payloads, got.gaps) == (sent, [])


def test_a_card_that_cannot_be_read_for_a_while_loses_nothing(rig):
    """Its events are there when it comes back, and nobody was told that they are gone."""
    disk = SimDisk()
    sent = _fill(rig, disk, 30)
    with rig.opened(disk) as journal:
        disk.fail = Fault(disk, 0, "EIO", lasting=True)
        for _ in range(3):
            assert journal.read(Lane.ROUTINE, 0, 4096) is None
        disk.fail = lambda call, path: None
        got = Content(journal, Lane.ROUTINE)
    assert (got.payloads, got.gaps) == (sent, [])


def test_a_card_that_cannot_be_read_at_the_start_loses_nothing(rig):
    """Every read fails while the journal opens; whatever comes of that, the events are there
    once the card can be read again."""
    disk = SimDisk()
    sent = _fill(rig, disk, 30)

    def fail(call, path):
        if call == "pread":
            raise OSError(5, "Input/output error")

    disk.fail = fail
    try:
        journal = rig.open(disk)
    except OSError:
        pass
    else:
        disk.fail = lambda call, path: None
        for number in range(40):
            journal.append(Lane.ROUTINE, b"new %d" % number + bytes(900))
            journal.flush()
        journal.close()
    disk.fail = lambda call, path: None
    with rig.opened(disk) as journal:
        got = Content(journal, Lane.ROUTINE)
    assert sent.items() <= got.payloads.items()


@pytest.mark.parametrize("kind", KINDS)
def test_a_journal_closes_on_flash_that_refuses(kind, rig):
    """Closing ends, gives the lock and every file back, and what was confirmed is there."""
    disk = SimDisk()
    sent = _fill(rig, disk, 5)
    journal = rig.open(disk)
    journal.append(Lane.ROUTINE, b"refused")
    disk.fail = Fault(disk, 0, kind, lasting=True)
    with no_thread_dies():
        journal.close()
    assert disk.open_files == 0
    disk.fail = lambda call, path: None
    with rig.opened(disk) as journal:
        assert sent.items() <= Content(journal, Lane.ROUTINE).payloads.items()
