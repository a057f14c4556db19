"""The meta file on a simulated disk: what it forgets, what it keeps, and what a power cut leaves."""

from __future__ import annotations

from pathlib import Path
from random import Random
from zlib import crc32

import pytest
from simdisk import SimDisk

from gateway.errors import UnknownVersion
from gateway.journal.format import (
    BLOCK,
    VERSION,
    MetaState,
    Newest,
    SegmentHeader,
    ToldGap,
    decode_meta,
    encode_meta,
)
from gateway.journal.meta import Meta
from gateway.model import Lane

U, R = Lane.URGENT, Lane.ROUTINE
PATH = Path("/j/meta")
STATE = MetaState(b"j" * 16, acknowledged=(10, 20), durable=(11, 21))
SLOTS = (0, BLOCK)


def slot(state: MetaState = STATE, generation: int = 1) -> bytes:
    """One slot, a block long."""
    return encode_meta(state, generation).ljust(BLOCK, b"\0")


@pytest.fixture
def disk() -> SimDisk:
    """A meta file of one slot, as creation leaves it."""
    return SimDisk({PATH: bytes(BLOCK) + slot()})


@pytest.fixture
def meta(disk: SimDisk) -> Meta:
    """That file, open."""
    return opened(disk)


def opened(disk: SimDisk) -> Meta:
    """What the next process reads."""
    meta = Meta.open(disk, PATH)
    assert meta
    return meta


def refused(disk: SimDisk, call: str) -> None:
    """The flash refuses such a call from now on."""

    def fail(name: str, path: Path | None) -> None:
        if name == call:
            raise OSError("played")

    disk.fail = fail


def test_what_was_saved_comes_back(disk, meta):
    gap = ToldGap(U, 1, 5, 12, True)
    meta.tell_gap(gap)
    meta.begun(SegmentHeader(STATE.journal, R, 3, 99, 21))
    meta.progress(U, acknowledged=11, durable=13, written=100)
    state = opened(disk).state
    assert (state.acknowledged, state.durable) == ((11, 20), (13, 21))
    assert state.gaps == (gap,)
    assert state.newest == (None, Newest(3, 99, 21))
    assert state.bytes_written == 100 + BLOCK  # its own block is counted, too


def test_any_power_cut_leaves_the_last_save_or_the_one_under_way(disk, meta):
    """Whatever of its writes arrived: one slot is intact, and none is older than it may be."""
    for seq in range(30, 60):  # so that a slot is several sectors
        meta.tell_gap(ToldGap(U, seq << 40, seq << 40, seq << 40))
    saved = [(0, 10)]  # (calls when it was saved, acknowledged)
    for acknowledged in range(11, 18):
        meta.progress(U, acknowledged, acknowledged, 0)
        saved.append((len(disk.ops), acknowledged))
    for calls in range(len(disk.ops) + 1):
        least = max(value for at, value in saved if at <= calls)
        for image in disk.medium(calls).every(50, Random(calls)):
            assert least <= opened(SimDisk(image)).state.acknowledged[U] <= least + 1


def test_a_lane_forgets_its_losses_once_their_telling_is_acknowledged(meta):
    mine = [ToldGap(U, 1, 2, 12), ToldGap(U, 3, 4, 13), ToldGap(U, 5, 6, 14)]
    for gap in mine:
        meta.tell_gap(gap)
    meta.progress(U, acknowledged=13, durable=14, written=0)
    assert meta.told_gaps(U) == mine[2:]
    assert meta.knows_gap(U, 5, 6)
    assert not meta.knows_gap(U, 1, 2)


def test_a_lane_forgets_nothing_of_the_other(disk, meta):
    """Their seqs have nothing to do with each other: a low one may be very young."""
    other = ToldGap(R, 1, 4, 5)
    meta.tell_gap(other)
    meta.progress(U, acknowledged=11, durable=11, written=0)
    assert not meta.forget_gaps(U, 1)
    assert opened(disk).told_gaps(R) == [other]
    assert meta.told_gaps(R) == [other]


def test_gap_events_that_never_were_are_forgotten(meta):
    kept, unborn = ToldGap(U, 1, 2, 12), ToldGap(U, 3, 4, 13)
    meta.tell_gap(kept)
    meta.tell_gap(unborn)
    assert meta.forget_gaps(U, 13)
    assert meta.told_gaps(U) == [kept]
    assert not meta.forget_gaps(U, 13)


def test_a_loss_is_known_if_one_telling_covers_it_whole(meta):
    meta.tell_gap(ToldGap(U, 5, 9, 12))
    assert meta.knows_gap(U, 5, 9)
    assert meta.knows_gap(U, 6, 8)
    assert not meta.knows_gap(U, 4, 6)
    assert not meta.knows_gap(U, 8, 10)
    assert not meta.knows_gap(R, 5, 9)


def test_a_gap_event_that_moved_up_is_known_under_its_new_seq(meta):
    """Who acknowledges it acknowledges the seq that it has."""
    moved, stays, other = ToldGap(U, 1, 2, 15), ToldGap(U, 3, 4, 13), ToldGap(R, 1, 2, 15)
    for gap in (moved, stays, other):
        meta.tell_gap(gap)
    meta.move_gap(U, 15, 14)
    assert meta.told_gaps(U) == [ToldGap(U, 1, 2, 14), stays]
    assert meta.told_gaps(R) == [other]
    meta.progress(U, acknowledged=14, durable=14, written=0)
    assert not meta.knows_gap(U, 1, 2)


def test_the_cursor_steps_over_what_was_given_up(disk, meta):
    meta.tell_gap(ToldGap(U, 11, 14, 30, given_up=True))
    meta.give_up_told(U)
    assert meta.state.acknowledged == (14, 20)


def test_the_cursor_steps_over_nothing_that_lies_before_damage(meta):
    """What comes before a damaged place waits to be forwarded like anything else."""
    meta.tell_gap(ToldGap(U, 15, 16, 30))
    meta.tell_gap(ToldGap(R, 21, 40, 50, given_up=True))
    meta.give_up_told(U)
    assert meta.state.acknowledged == (10, 20)


def test_the_cursor_does_not_go_back_for_what_was_given_up(meta):
    meta.tell_gap(ToldGap(U, 1, 5, 12, given_up=True))
    meta.give_up_told(U)
    assert meta.state.acknowledged == (10, 20)


@pytest.mark.parametrize("call", ["pwrite", "fdatasync"])
def test_a_slot_that_was_refused_is_written_again_before_the_good_one_is_touched(disk, meta, call):
    """The good slot is all there is until the other one is known to be on the medium."""
    good = disk.image()[PATH][BLOCK:]
    refused(disk, call)
    for _ in range(3):
        with pytest.raises(OSError, match="played"):
            meta.progress(U, 11, 11, 0)
        assert disk.image()[PATH][BLOCK:] == good
    disk.fail = lambda call, path: None
    meta.save()
    assert disk.image()[PATH][BLOCK:] == good
    assert opened(disk).state.acknowledged[U] == 11  # what was refused went with the next


def test_a_state_without_a_file_is_not_called_saved():
    meta = Meta(SimDisk(), -1, 0, STATE)
    assert not meta.on_flash
    with pytest.raises(OSError):
        meta.progress(U, 11, 11, 0)


@pytest.mark.parametrize("at", SLOTS)
@pytest.mark.parametrize("how", ["zeros", "unreadable", "torn"])
def test_either_slot_alone_is_enough(at, how):
    newer = MetaState(b"j" * 16, acknowledged=(12, 20), durable=(12, 21))
    data = bytearray(slot(newer, 2) + slot(STATE, 1))
    disk = SimDisk({PATH: bytes(data)})
    if how == "unreadable":
        disk.bad[PATH] = {at // 512}
    else:
        end = at + (BLOCK if how == "zeros" else 40)
        data[at:end] = bytes(end - at)
        disk = SimDisk({PATH: bytes(data)})
    assert opened(disk).state == (STATE if at == 0 else newer)


@pytest.mark.parametrize("newer_at", SLOTS)
def test_of_two_slots_the_one_of_the_higher_generation_counts(newer_at):
    newer = MetaState(b"j" * 16, acknowledged=(12, 20), durable=(12, 21))
    pair = [slot(newer, 8), slot(STATE, 7)]
    disk = SimDisk({PATH: b"".join(pair if newer_at == 0 else pair[::-1])})
    assert opened(disk).state == newer


@pytest.mark.parametrize("other", [slot(), bytes(BLOCK)], ids=["good", "blank"])
@pytest.mark.parametrize("at", SLOTS)
def test_a_slot_of_a_later_format_is_not_taken_for_damage(at, other):
    """What a later hearth wrote is not ours to rebuild, also if its forerunner's slot is left."""
    data = bytearray(slot(generation=2).rstrip(b"\0"))
    data[11] = VERSION + 1
    data[-4:] = crc32(data[:-5]).to_bytes(4, "big")
    with pytest.raises(UnknownVersion):
        decode_meta(bytes(data))
    pair = [bytes(data).ljust(BLOCK, b"\0"), other]
    disk = SimDisk({PATH: b"".join(pair if at == 0 else pair[::-1])})
    with pytest.raises(UnknownVersion):
        Meta.open(disk, PATH)
    assert disk.open_files == 0


def test_without_an_intact_slot_there_is_none_unless_one_cannot_be_read():
    """Then nobody knows whether it is intact, and it must not be taken for lost."""
    disk = SimDisk({PATH: bytes(2 * BLOCK)})
    assert Meta.open(disk, PATH) is None
    assert Meta.open(disk, PATH.with_name("another")) is None
    disk.bad[PATH] = {1}
    with pytest.raises(OSError):
        Meta.open(disk, PATH)
    assert disk.open_files == 0


def test_a_new_file_is_durable_but_for_its_name():
    disk = SimDisk({PATH.with_name("lock"): b""})
    meta = Meta(disk, -1, 0, STATE)
    meta.create(PATH)
    disk.sync_dir(PATH.parent)
    assert disk.medium(len(disk.ops)).states == 1
    assert opened(disk).state == meta.state
