"""Reading and scrubbing a lane: a gap names what was lost, all of it, and nothing else."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest
from content import Content
from lane import Refusal, fill, placed, spoil
from layout import Store
from medium import Sync, Write
from rig import ROOMY, Rig, settle
from rig import rig as make_rig
from simdisk import SimDisk

from gateway.journal import Journal
from gateway.model import Lane

R = Lane.ROUTINE


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """With so many segments that the quota takes nothing."""
    with make_rig(tmp_path, ROOMY) as found:
        yield found


def lost(journal: Journal) -> list[tuple[int, int]]:
    """What reading the lane tells of."""
    return [(gap.first, gap.last) for gap in Content(journal, R).gaps]


def boundary(disk: SimDisk) -> int:
    """The first seq of the second segment."""
    return Store.of(disk.image()).lanes[R][1].first_seq


def refuse_a_group(journal: Journal, disk: SimDisk, *payloads: bytes) -> None:
    """The flash takes it and calls it refused; then it is written elsewhere."""
    left = [1]

    def fail(call: str, path: Path | None) -> None:
        if call == "fdatasync" and path.suffix == ".seg" and left:
            left.pop()
            raise OSError(errno.EIO, "played")

    disk.fail = fail
    for payload in payloads:
        journal.append(R, payload)
    journal.flush()
    assert not left


# --- reading --------------------------------------------------------------------------------------


def test_what_is_not_on_flash_yet_is_neither_read_nor_lost(journal):
    sent = fill(journal, R, 2)
    journal.append(R, b"waits")
    assert journal.read(R, 0, 10**6).payloads == tuple(sent.values())
    assert journal.read(R, 2, 10**6) is None
    journal.flush()
    assert (journal.accepted(R), journal.durable(R)) == (3, 3)
    assert journal.read(R, 2, 10**6).payloads == (b"waits",)


@pytest.mark.parametrize("seqs", [(1,), (4, 5), (2, 3, 7), (10,), tuple(range(1, 11))])
def test_a_gap_names_what_was_damaged_and_nothing_else(journal, disk, seqs):
    sent = fill(journal, R, 10)
    spoil(disk, R, *seqs)
    got = Content(journal, R)
    assert got.lost == set(seqs)
    assert got.payloads == {seq: payload for seq, payload in sent.items() if seq not in seqs}


def test_what_was_acknowledged_is_not_told_as_lost(journal, disk):
    fill(journal, R, 10)
    spoil(disk, R, 4, 5, 6, 7)
    journal.acknowledge(R, 5)
    assert lost(journal) == [(6, 7)]


def test_damage_at_the_end_of_a_segment_costs_nothing_of_the_next(journal, disk):
    """A commit that was called refused may lie behind it, and is in the next segment again."""
    fill(journal, R, 10, size=100)
    first = next(laid.path for laid in Store.of(disk.image()).lanes[R])
    refuse_a_group(journal, disk, b"eleven", b"twelve", b"thirteen")
    assert boundary(disk) == 11
    assert disk.image()[first].count(b"twelve") == 1
    fd = disk.open(first)
    at = disk.image()[first].index(b"eleven")
    disk.pwrite(fd, b"\xff", at)
    disk.close(fd)
    spoil(disk, R, 10)
    got = Content(journal, R)
    assert got.lost == {10}
    assert [got.payloads[seq] for seq in (11, 12, 13)] == [b"eleven", b"twelve", b"thirteen"]


def test_a_segment_that_is_gone_is_a_gap(rig, disk):
    with rig.opened(disk) as journal:
        fill(journal, R, 30)
    first, second = Store.of(disk.image()).lanes[R][:2]
    image = {path: data for path, data in disk.image().items() if path != first.path}
    with rig.opened(SimDisk(image)) as journal:
        journal.acknowledge(R, 2)
        assert lost(journal) == [(3, second.first_seq - 1)]


def test_a_bad_sector_is_damage_and_not_the_end(journal, disk):
    sent = fill(journal, R, 30)
    path, record = placed(disk, R, 5)
    disk.bad[path] = {record.start // 512 + 1}
    got = Content(journal, R)
    assert 5 in got.lost
    assert got.lost | got.payloads.keys() == sent.keys()
    assert len(got.lost) < 8  # a page of them


def test_a_card_that_cannot_be_read_now_may_come_back(journal, disk):
    sent = fill(journal, R, 30)
    disk.fail = Refusal("pread", ".seg")
    assert journal.read(R, 0, 10**6) is None
    assert journal.scrub(R) is None
    disk.fail.on = False
    got = Content(journal, R)
    assert (got.payloads, got.gaps) == (sent, [])


@pytest.mark.parametrize("how", ["read", "scrub"])
def test_a_segment_that_is_recycled_meanwhile_lost_nothing(journal, disk, how):
    """The records that were to be read are not there any more, and nobody needs them."""
    sent = fill(journal, R, 12)
    path, _ = placed(disk, R, 1)

    def recycle(call: str, name: Path | None) -> None:
        """The lane goes round until this very file is begun again, while it is looked at."""
        if (call, name) != (("pread" if how == "read" else "drop_cache"), path):
            return
        disk.fail = lambda call, path: None
        while True:
            journal.acknowledge(R, journal.durable(R))
            sent.update(fill(journal, R, 1))
            settle(journal)
            laid = Store.of(disk.image()).lanes[R]
            if next(segment for segment in laid if segment.path == path).first_seq > 12:
                return

    disk.fail = recycle
    if how == "read":
        after = journal.acknowledged(R)
        run = journal.read(R, after, 10**6)
        assert run.payloads == tuple(sent[seq] for seq in range(run.first, run.last + 1))
    else:
        assert journal.scrub(R).lost == ()
    assert len(sent) > 60
    assert lost(journal) == []


# --- scrubbing ------------------------------------------------------------------------------------


def test_a_scrub_goes_round_all_segments_that_hold_something_needed(journal):
    fill(journal, R, 40)
    live = [segment.path.name for segment in journal._logs[R].segments()[0]]
    assert len(live) > 3
    names = [journal.scrub(R).name for _ in range(2 * len(live))]
    assert names == 2 * live
    journal.acknowledge(R, 40)
    assert journal.scrub(R) is None


def test_a_scrub_tells_of_what_is_lost_and_once(journal, disk):
    fill(journal, R, 10)
    spoil(disk, R, 3, 4, 8)
    assert journal.scrub(R).lost == ((3, 4), (8, 8))
    assert journal.scrub(R).lost == ()
    journal.flush()
    assert lost(journal) == [(3, 4), (8, 8)]


def test_a_scrub_tells_of_nothing_that_was_acknowledged(journal, disk):
    fill(journal, R, 10)
    spoil(disk, R, 3, 4, 5, 6)
    journal.acknowledge(R, 4)
    assert journal.scrub(R).lost == ((5, 6),)


def test_a_scrub_tells_of_nothing_that_the_next_segment_holds(journal, disk):
    fill(journal, R, 10, size=100)
    refuse_a_group(journal, disk, b"eleven", b"twelve")
    assert boundary(disk) == 11
    spoil(disk, R, 10)
    assert journal.scrub(R).lost == ((10, 10),)
    assert journal.scrub(R).lost == ()


def test_a_scrub_asks_the_medium(journal, disk):
    """Flash forgets, and the page cache does not."""
    fill(journal, R, 10)
    path, record = placed(disk, R, 5)
    node = disk.tree.find(path)
    disk.ops += [Write(node, record.start, bytes(12)), Sync(node)]
    assert lost(journal) == []
    assert journal.scrub(R).lost == ((5, 5),)


def test_a_scrub_counts_the_copies_of_the_header(journal, disk):
    fill(journal, R, 2)
    path, _ = placed(disk, R, 1)
    assert journal.scrub(R).header_copies == 2
    disk.bad[path] = {0}
    assert journal.scrub(R).header_copies == 1
