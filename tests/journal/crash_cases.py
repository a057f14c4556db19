"""A power cut after any call of a recording, and again while the journal recovers from it."""

from __future__ import annotations

import random
from dataclasses import replace

from content import Content, Promise
from rig import PATIENCE_S, Rig
from simdisk import Image, SimDisk
from workload import Recording

from gateway.model import Lane

Promises = dict[Lane, Promise]

HELP = b"help, after all that"


def crash_case(rig: Rig, recording: Recording, rng: random.Random) -> None:
    """One legal state of the medium after one call, and up to three more crashes on top."""
    calls = rng.randint(0, recording.calls)
    promises = promises_at(recording, calls)
    named = any(promise.confirmed for promise in promises.values())  # before, it may begin anew
    disk = _crash(recording.disk, calls, rng)
    for _ in range(rng.choice([0, 0, 0, 1, 2, 3])):
        disk = crash_again(rig, disk, promises, rng)
    image = disk.crash_state(len(disk.ops), rng)
    survive(rig, image, promises, recording.journal if named else None)


def _crash(disk: SimDisk, calls: int, rng: random.Random) -> SimDisk:
    """Power goes, or only the process is killed and what it wrote stays in the page cache."""
    if rng.random() < 0.3:
        return disk.killed(calls)
    return SimDisk(disk.crash_state(calls, rng))


def promises_at(recording: Recording, calls: int) -> Promises:
    """What both lanes owe after so many calls."""
    return {lane: recording.promise(lane, calls) for lane in Lane}


def crash_again(rig: Rig, disk: SimDisk, promises: Promises, rng: random.Random) -> SimDisk:
    """The next crash comes while the journal opens, or while it confirms its next events."""
    before, confirmed = len(disk.ops), []
    with rig.opened(disk) as journal:
        for number in range(rng.choice([0, 0, 1, 3])):
            lane = rng.choice(list(Lane))
            payload = b"again:%d:%d" % (number, rng.getrandbits(64))
            promises[lane].accepted.append(payload)
            receipt = journal.append(lane, payload)
            journal.flush()
            confirmed.append((receipt.result(PATIENCE_S), lane, payload, len(disk.ops)))
    calls = rng.randint(before, len(disk.ops))
    for seq, lane, payload, at in confirmed:
        if at <= calls:
            promises[lane].confirmed[seq] = payload
    return _crash(disk, calls, rng)


def survive(rig: Rig, image: Image, promises: Promises, journal_uuid: bytes | None) -> None:
    """I1 to I6: it opens, keeps its promises, opens again to the same, and takes a call."""
    disk = SimDisk(image)
    with rig.opened(disk) as journal:
        assert journal_uuid in {None, journal.uuid}, "the store forgot its name"
        found = {lane: Content(journal, lane) for lane in Lane}
        for lane, promise in promises.items():
            promise.check(found[lane])
    assert disk.open_files == 0, "files are left open"
    with rig.opened(SimDisk(disk.image())) as journal:
        for lane, promise in promises.items():
            again = Content(journal, lane)
            replace(promise, confirmed=found[lane].payloads).check(again)
            assert again.payloads.keys() <= found[lane].payloads.keys(), "opening again finds more"
        seq = journal.append(Lane.URGENT, HELP).result(PATIENCE_S)
        run = journal.read(Lane.URGENT, seq - 1, 1)
        assert run is not None, "the call cannot be read"
        assert (run.first, run.payloads) == (seq, (HELP,)), "the call is not what was stored"
