"""I1 to I6: what holds after any power cut, at any call, whatever the disk did with loose writes."""

from __future__ import annotations

import random

import pytest
from content import Content
from simdisk import SimDisk

from gateway.errors import JournalError
from gateway.model import Lane


def _payload(rng: random.Random, lane: Lane, number: int) -> bytes:
    return f"{lane.name}:{number}:".encode() + rng.randbytes(rng.randrange(200))


def _workload(journal, disk: SimDisk, rng: random.Random, steps: int, *, acks: bool):
    """Appends, commits, acknowledges. (calls recorded when confirmed, lane, seq, payload)"""
    confirmed = []
    acknowledged: list[tuple[int, Lane, int]] = []
    for number in range(steps):
        lane = rng.choice(list(Lane))
        group = [_payload(rng, lane, number) for _ in range(rng.choice([1, 1, 1, 3, 8]))]
        receipts = [(journal.append(lane, payload), payload) for payload in group]
        if lane is Lane.ROUTINE and rng.random() < 0.2:
            continue  # waits for a later commit, as routine events do
        journal.flush()
        for receipt, payload in receipts:
            receipt.result()
            confirmed.append((len(disk.ops), lane, receipt.seq, payload))
        if acks and rng.random() < 0.3:
            through = rng.randint(journal.acknowledged(lane), journal.durable(lane))
            journal.acknowledge(lane, through)
            acknowledged.append((len(disk.ops), lane, through))
    return confirmed, acknowledged


def _check(got: Content, promised: dict[int, bytes], acknowledged: int) -> None:
    for seq, payload in promised.items():
        if seq in got.payloads:
            assert got.payloads[seq] == payload, f"seq {seq} changed"
        else:
            assert seq <= max(acknowledged, got.acknowledged) or seq in got.lost, f"seq {seq} lost"
    assert not got.lost & got.payloads.keys(), "a gap covers an intact record"


@pytest.mark.parametrize("seed", range(40))
def test_any_power_cut_keeps_every_confirmed_event(seed, open_small, content):
    """I1, I2, I3: no media damage, so all that was confirmed is there, and no gap but the quota's."""
    rng = random.Random(seed)
    disk = SimDisk()
    journal = open_small(disk)
    opened = len(disk.ops)
    confirmed, acknowledged = _workload(journal, disk, rng, 60, acks=seed % 3 != 0)
    journal.close()
    for _ in range(25):
        cut = rng.randint(opened, len(disk.ops))
        image = disk.crash_state(cut, rng)
        for lane in Lane:
            promised = {s: p for at, ln, s, p in confirmed if at <= cut and ln is lane}
            # acknowledge() may outlive the cut by one meta write: count it once it was called
            acked = max((t for _, ln, t in acknowledged if ln is lane), default=0)
            got = content(image, lane)
            _check(got, promised, acked)
            assert all(gap.reason == "quota" for gap in got.gaps), got.gaps


@pytest.mark.parametrize("seed", range(15))
def test_a_power_cut_during_recovery_changes_nothing(seed, open_small, content):
    """I6: recovery may be interrupted anywhere, again and again."""
    rng = random.Random(1000 + seed)
    disk = SimDisk()
    journal = open_small(disk)
    opened = len(disk.ops)
    confirmed, _ = _workload(journal, disk, rng, 40, acks=False)
    journal.close()
    for _ in range(6):
        cut = rng.randint(opened, len(disk.ops))
        image = disk.crash_state(cut, rng)
        for _ in range(3):
            again = SimDisk(image)
            recovering = open_small(again)
            recovering.close()
            image = again.crash_state(rng.randint(0, len(again.ops)), rng)
        for lane in Lane:
            promised = {s: p for at, ln, s, p in confirmed if at <= cut and ln is lane}
            _check(content(image, lane), promised, 0)


def test_recovery_is_idempotent(open_small, content):
    rng = random.Random(5)
    disk = SimDisk()
    journal = open_small(disk)
    _workload(journal, disk, rng, 50, acks=False)
    journal.close()
    image = disk.crash_state(len(disk.ops) - 3, rng)
    first = SimDisk(image)
    open_small(first).close()
    second = SimDisk(first.image())
    open_small(second).close()
    for lane in Lane:
        a, b = content(first.image(), lane), content(second.image(), lane)
        assert (a.payloads, a.gaps) == (b.payloads, b.gaps)


@pytest.mark.parametrize("seed", range(60))
def test_a_damaged_sector_costs_its_records_and_names_them(seed, open_small, content):
    """I4, I5: what a bad sector took is a gap, exactly; the rest is there; a new call goes through."""
    rng = random.Random(2000 + seed)
    disk = SimDisk()
    journal = open_small(disk)
    sent: dict[Lane, dict[int, bytes]] = {lane: {} for lane in Lane}
    for number in range(40):  # stays within the quota, so that every gap is damage
        lane = rng.choice(list(Lane))
        payload = _payload(rng, lane, number)
        sent[lane][journal.append(lane, payload).seq] = payload
        journal.flush()
    journal.close()
    image = disk.image()
    victim = rng.choice([p for p in image if p.suffix == ".seg" and any(image[p])])
    data = bytearray(image[victim])
    sector = rng.randrange(8, len(data) // 512 - 8)  # the record area
    old = bytes(data[sector * 512 : (sector + 1) * 512])
    new = rng.choice([bytes(512), b"\xff" * 512, rng.randbytes(512), bytes([old[0] ^ 1]) + old[1:]])
    data[sector * 512 : (sector + 1) * 512] = new
    image[victim] = bytes(data)
    for lane in Lane:
        got = content(image, lane)
        for seq, payload in got.payloads.items():
            assert sent[lane][seq] == payload
        assert got.lost == sent[lane].keys() - got.payloads.keys()
    journal = open_small(SimDisk(image))
    receipt = journal.append(Lane.URGENT, b"help")
    receipt.result(5)
    journal.close()


@pytest.mark.parametrize("lane", list(Lane))
def test_a_full_lane_gives_its_oldest_events_and_says_so(lane, open_small, content):
    """I8 and the balance of the books: stored + gaps = everything ever accepted."""
    disk = SimDisk()
    journal = open_small(disk)
    used = sum(len(data) for data in disk.image().values())
    for _ in range(400):
        journal.append(lane, bytes(500))
        journal.flush()
    other = Lane.ROUTINE if lane is Lane.URGENT else Lane.URGENT
    kept = journal.append(other, b"untouched").seq
    journal.flush()
    accepted = journal.accepted(lane)
    journal.close()
    assert sum(len(data) for data in disk.image().values()) == used, "the quota is exact"
    got = content(disk.image(), lane)
    told = set(range(1, accepted + 1)) - got.payloads.keys() - got.lost
    assert len(told) == len(got.gaps), "whatever is neither here nor lost is a gap event itself"
    assert got.lost.isdisjoint(got.payloads)
    assert min(got.lost) == 1
    assert {gap.reason for gap in got.gaps} == {"quota"}
    assert content(disk.image(), other).payloads == {kept: b"untouched"}


def test_an_acknowledgement_beyond_what_is_durable_is_refused(open_small):
    journal = open_small(SimDisk())
    journal.append(Lane.URGENT, b"x").result()
    with pytest.raises(JournalError, match="newest"):
        journal.acknowledge(Lane.URGENT, 2)
    assert journal.acknowledged(Lane.URGENT) == 0
    journal.close()
