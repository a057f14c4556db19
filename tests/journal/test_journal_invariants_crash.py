"""I1 to I6: what holds after any crash, at any call, whatever the disk did with what was loose.

Here hundreds of states; `make torture TORTURE="--kind crash"` makes as many as are wanted.
"""

from __future__ import annotations

import os
import random

import pytest
from content import Content
from crash_cases import crash_case, promises_at, survive
from rig import Rig, settle
from simdisk import Image, SimDisk
from workload import Habits, record

from gateway.journal.files import OsFiles
from gateway.model import Lane

# Both lanes, both go round, one evicts, a restart, acknowledgements, a clean stop: in few calls.
BUSY = Habits(steps=24, largest=1200, acknowledges=0.2, restarts=0.1)


@pytest.mark.parametrize("seed", range(30))
def test_any_crash_keeps_every_confirmed_event(seed, rig):
    recording = record(rig, seed)
    for case in range(20):
        crash_case(rig, recording, random.Random(f"{seed}:{case}"))


def test_every_call_may_be_the_last(rig):
    """After each call of a busy life: nothing loose arrived, all of it, and what lies between."""
    recording, rng = record(rig, 3, BUSY), random.Random(3)
    for calls in range(recording.opened, recording.calls + 1):
        for image in recording.disk.medium(calls).every(4, rng):
            survive(rig, image, promises_at(recording, calls), recording.journal)


def test_a_busy_life_is_busy(rig):
    recording = record(rig, 3, BUSY)
    with rig.opened(SimDisk(recording.disk.medium(recording.calls).written())) as journal:
        reasons = {gap.reason for lane in Lane for gap in Content(journal, lane).gaps}
        assert reasons == {"quota"}
        assert all(journal.acknowledged(lane) for lane in Lane)


def test_the_same_seed_makes_the_same_calls(rig):
    """Else a case could not be repeated."""
    first, second = record(rig, 9), record(rig, 9)
    assert first.disk.ops == second.disk.ops
    assert first.confirmed == second.confirmed


def test_a_half_created_store_opens(rig):
    """Power goes during the very first opening, at every call, and the folder is half there."""
    disk, rng = SimDisk(), random.Random(1)
    with rig.opened(disk):
        calls = len(disk.ops)
    for call in range(calls + 1):
        for image in disk.medium(call).every(12, rng):
            _opens_and_works(rig, image)


def test_a_first_opening_that_was_killed_is_finished_by_the_next(rig):
    """The next process finds files that no power cut has tried yet; what it confirms stays."""
    disk, rng = SimDisk(), random.Random(2)
    with rig.opened(disk):
        calls = len(disk.ops)
    for call in range(calls + 1):
        killed = disk.killed(call)
        with rig.opened(killed) as journal:
            seq = journal.append(Lane.ROUTINE, b"kept")
            journal.flush()
            settle(journal)
            image = killed.medium(len(killed.ops)).sample(rng)
        with rig.opened(SimDisk(image)) as journal:
            assert Content(journal, Lane.ROUTINE).payloads == {seq.seq: b"kept"}, (
                f"killed at {call}"
            )


def _opens_and_works(rig: Rig, image: Image) -> None:
    disk = SimDisk(image)
    with rig.opened(disk) as journal:
        assert journal.append(Lane.URGENT, b"help").result(5) == 1
        assert Content(journal, Lane.ROUTINE).payloads == {}
        status = journal.status()
        assert {lane: status[lane].segments for lane in Lane} == {
            lane: rig.geometry[lane].segments for lane in Lane
        }
    with rig.opened(SimDisk(disk.image())) as journal:
        assert Content(journal, Lane.URGENT).payloads == {1: b"help"}


def test_a_folder_that_is_made_has_a_durable_name(tmp_path, monkeypatch):
    """A power cut does not take the whole journal with its folder's name: what SimDisk takes for
    granted, the system's files do.
    """
    synced, fsync = set(), os.fsync

    def watched(fd):
        synced.add(os.fstat(fd).st_ino)
        fsync(fd)

    monkeypatch.setattr(os, "fsync", watched)
    OsFiles().make_dir(tmp_path / "a" / "b")
    assert {tmp_path.stat().st_ino, (tmp_path / "a").stat().st_ino} <= synced


@pytest.mark.parametrize("seed", range(3))
def test_every_call_of_a_recovery_may_be_the_last(seed, rig):
    """I6: and then again during the recovery from that."""
    recording, rng = record(rig, 100 + seed, BUSY), random.Random(seed)
    calls = rng.randint(recording.opened, recording.calls)
    promises = promises_at(recording, calls)
    image = recording.disk.crash_state(calls, rng)
    first = SimDisk(image)
    rig.open(first).close()
    for call in range(len(first.ops) + 1):
        second = SimDisk(first.crash_state(call, rng))
        rig.open(second).close()
        survive(rig, second.crash_state(rng.randint(0, len(second.ops)), rng), promises, None)


@pytest.mark.parametrize("seed", range(5))
def test_recovery_is_idempotent(seed, rig):
    """Opening what was opened writes nothing that changes what is there."""
    recording, rng = record(rig, 200 + seed, Habits(largest=60)), random.Random(seed)
    disk = SimDisk(recording.disk.crash_state(recording.calls // 2, rng))
    found = []
    for _ in range(3):
        with rig.opened(disk) as journal:
            contents = [Content(journal, lane) for lane in Lane]
        found.append([(content.payloads, content.told) for content in contents])
        disk = SimDisk(disk.image())
    assert found[0] == found[1] == found[2]
