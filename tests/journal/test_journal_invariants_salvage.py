"""Opening a lane from whatever is in its folder: what is kept, what is used again, what is told."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from shelf import (
    BLANK,
    FOLDER,
    GEOMETRY,
    META,
    RUBBISH,
    SIZE,
    gap_record,
    header,
    names,
    records,
    segment,
    shelf,
    start,
    torn,
)
from simdisk import SimDisk

from gateway.errors import JournalNoRoom
from gateway.journal.format import BLOCK, Newest, ToldGap
from gateway.journal.geometry import LaneGeometry
from gateway.journal.meta import Meta
from gateway.journal.salvage import MAX_ASIDE
from gateway.model import Gap, Lane

U, R = Lane.URGENT, Lane.ROUTINE
FIRST, SECOND = FOLDER / "00000.seg", FOLDER / "00001.seg"


def refuse(disk: SimDisk, call: str, path: Path | None = None) -> None:
    """Such calls are refused from now on, on this path or on any."""

    def fail(name: str, of: Path | None) -> None:
        if name == call and path in {None, of}:
            raise OSError("played")

    disk.fail = fail


def numbers(segments: list) -> list[int]:
    """Of their headers."""
    return [found.header.number for found in segments]


# --- room -----------------------------------------------------------------------------------------


def test_new_segments_are_durable_with_their_names():
    disk = shelf()
    assert len(start(disk).lane.free) == GEOMETRY.segments
    assert disk.medium(len(disk.ops)).states == 1


@pytest.mark.parametrize("there", [0, 3, 5])
def test_a_store_has_the_size_of_its_quota(there):
    disk = shelf(*[BLANK] * there)
    start(disk)
    start(disk)
    assert len(names(disk)) == GEOMETRY.segments


def test_what_is_set_aside_counts():
    disk = shelf(segment(1, 1, 3), *[BLANK] * 4, RUBBISH)
    start(disk, LaneGeometry(SIZE, 6))
    assert len(names(disk)) == 6
    start(disk, LaneGeometry(SIZE, 7))
    assert len(names(disk)) == 7


def test_without_room_to_begin_it_says_how_much_is_missing():
    disk = shelf()
    disk.room = 2 * SIZE
    with pytest.raises(JournalNoRoom, match=r"needs 0\.1 MiB more"):
        start(disk)
    assert names(disk) == []


def test_a_store_that_lacks_some_of_its_quota_is_worked_with():
    disk = shelf(segment(1, 1, 3), *[BLANK] * 3)
    disk.room = 0
    lane, _, trouble = start(disk)
    assert (lane.next_seq, len(lane.free)) == (4, 3)
    assert any("stays too small" in note for note in trouble.notes)


def test_a_smaller_quota_gives_free_room_back_and_a_repair_gives_none():
    used = [segment(1, 1, 3), segment(2, 4, 3)]
    for may_shrink, left in ((True, 6), (False, 9)):
        disk = shelf(*used, *[BLANK] * 7)
        lane = start(disk, may_shrink=may_shrink).lane
        assert len(names(disk)) == left  # four free ones at least
        assert numbers(lane.live) == [1, 2]


def test_a_file_that_creation_left_unfinished_is_not_written():
    disk = shelf(segment(1, 1, 3), *[BLANK] * 3, BLANK[:-BLOCK])
    lane, _, _ = start(disk)
    assert {found.size for found in (*lane.live, *lane.free)} == {SIZE}
    assert disk.image()[FOLDER / "00004.seg"] == BLANK  # made anew


def test_a_file_that_was_cut_short_is_kept_if_it_holds_anything():
    """Its first header is zeros and it ends in zeros: only between them something is left."""
    short = bytes(BLOCK) + records(1, 1, 3).ljust(2 * BLOCK, b"\0")
    disk = shelf(segment(2, 4, 3), *[BLANK] * 4, short)
    start(disk)
    assert disk.image()[FOLDER / "00005.damaged"] == short


# --- what is damaged ------------------------------------------------------------------------------


def test_damaged_segments_are_kept_for_inspection():
    disk = shelf(segment(1, 1, 3), *[BLANK] * 4, *[RUBBISH] * 3)
    lane, _, trouble = start(disk, LaneGeometry(SIZE, 8))
    aside = [name for name in names(disk) if name.endswith(".damaged")]
    assert len(aside) == MAX_ASIDE
    assert all(disk.image()[FOLDER / name] == RUBBISH for name in aside)
    assert trouble.set_aside == [f"urgent/{name}" for name in aside]
    assert len(lane.free) == 5  # the third is used again


def test_a_segment_set_aside_stays_aside_whatever_comes():
    disk = shelf(segment(1, 1, 3), *[BLANK] * 4, RUBBISH)
    start(disk, LaneGeometry(SIZE, 6))
    for image in disk.medium(len(disk.ops)).every(100, Random(0)):
        assert FOLDER / "00005.damaged" in image
        assert FOLDER / "00005.seg" not in image


def test_it_opens_though_every_segment_is_damaged():
    disk = shelf(*[RUBBISH] * 4)
    lane, _, trouble = start(disk, LaneGeometry(SIZE, 4))
    assert (len(lane.free), trouble.set_aside) == (4, [])


@pytest.mark.parametrize("call", ["rename", "sync_dir", "pwrite", "fdatasync", "unlink"])
def test_it_opens_though_the_flash_refuses_every_repair(call):
    newest = segment(1, 1, records(1, 1, 3) + torn(1, 4))
    disk = shelf(newest, *[BLANK] * 4, BLANK[:-BLOCK], RUBBISH)
    refuse(disk, call)
    lane, _, trouble = start(disk, LaneGeometry(SIZE, 6))
    assert numbers(lane.live) == [1]
    assert any("played" in note for note in trouble.notes)


def test_it_opens_though_a_file_cannot_be_opened():
    disk = shelf(segment(1, 1, 3), segment(2, 4, 3), *[BLANK] * 4)
    refuse(disk, "open", FIRST)
    lane, _, trouble = start(disk)
    assert numbers(lane.live) == [2]
    assert any("00000.seg" in note and "played" in note for note in trouble.notes)


@pytest.mark.parametrize(
    "head", [header(7, 50, lane=R), header(7, 50, journal=b"k" * 16)], ids=["lane", "journal"]
)
def test_a_foreign_segment_is_not_read_as_ours(head):
    """Files get copied by hand."""
    foreign = segment(7, 50, 3, head)
    disk = shelf(segment(1, 1, 3), *[BLANK] * 4, foreign)
    lane, _, _ = start(disk, LaneGeometry(SIZE, 6))
    assert (numbers(lane.live), lane.next_seq) == ([1], 4)
    assert disk.image()[FOLDER / "00005.damaged"] == foreign


# --- what the newest holds ------------------------------------------------------------------------


def torn_disk() -> SimDisk:
    """Three events, and what a power cut left of a commit behind them."""
    return shelf(segment(1, 1, records(1, 1, 3) + torn(1, 4)), *[BLANK] * 4)


def test_leftovers_are_gone_before_anything_is_written():
    disk = torn_disk()
    lane, _, _ = start(disk)
    assert (lane.next_seq, lane.sealed, lane.lost) == (4, False, ())
    assert disk.medium(len(disk.ops)).states == 1
    assert disk.image()[FIRST] == segment(1, 1, 3)


def test_where_leftovers_stay_nothing_is_written():
    disk = torn_disk()
    refuse(disk, "pwrite")
    assert start(disk).lane.sealed


@pytest.mark.parametrize("durable", [0, 6])
@pytest.mark.parametrize("lost", [bytes(BLOCK), b"\xee" * BLOCK], ids=["zeros", "rubbish"])
def test_the_newest_is_read_without_its_headers(lost, durable):
    files = [segment(1, 1, 3), segment(2, 4, 3, lost), *[BLANK] * 3]
    disk = shelf(*files, newest=(Newest(2, 1002, 4), None), durable=(durable, 0))
    lane, _, _ = start(disk)
    assert (numbers(lane.live), lane.next_seq, lane.number) == ([1, 2], 7, 2)
    assert disk.image()[SECOND] == segment(2, 4, 3)
    assert disk.medium(len(disk.ops)).states == 1


def test_a_header_is_not_written_over_records_of_a_file_that_was_cut_short():
    data = records(2, 4, 14, size=900)
    assert len(data) > 2 * BLOCK
    short = bytes(BLOCK) + data[: 2 * BLOCK]
    disk = shelf(segment(1, 1, 3), short, *[BLANK] * 3, newest=(Newest(2, 1002, 4), None))
    lane, _, _ = start(disk)
    assert numbers(lane.live) == [1, 2]
    assert disk.image()[SECOND][BLOCK:] == short[BLOCK:]
    assert disk.image()[SECOND][:BLOCK] == header(2, 4)


def test_what_meta_does_not_vouch_for_is_made_certain():
    """A killed process left it in the page cache, and nobody flushed it."""
    disk = shelf(segment(1, 1, 3), *[BLANK] * 4, durable=(3, 0))
    fd = disk.open(FIRST)
    disk.pwrite(fd, records(1, 4, 2), BLOCK + len(records(1, 1, 3)))
    lane, _, _ = start(disk)
    assert (lane.next_seq, lane.first) == (6, ())
    assert disk.medium(len(disk.ops)).states == 1


def test_what_could_not_be_made_certain_is_left_to_be_done():
    disk = shelf(segment(1, 1, 3), *[BLANK] * 4)
    refuse(disk, "fdatasync")
    (action,) = start(disk).lane.first
    disk.fail = lambda call, path: None
    action()
    assert disk.medium(len(disk.ops)).states == 1


# --- seqs, numbers, cursor ------------------------------------------------------------------------


def test_seqs_and_numbers_go_on_when_every_segment_is_gone():
    disk = shelf(
        *[BLANK] * 5, acknowledged=(5, 0), durable=(9, 0), newest=(Newest(7, 1007, 6), None)
    )
    lane, _, _ = start(disk)
    assert (lane.next_seq, lane.number, lane.lost) == (10, 7, ((6, 9),))


def test_a_number_is_given_once_also_if_the_newest_segment_is_lost():
    disk = shelf(segment(1, 1, 3), *[BLANK] * 4, newest=(Newest(7, 1007, 90), None))
    assert start(disk).lane.number == 7


def test_a_segment_is_free_when_its_last_event_is_acknowledged():
    for acknowledged, live in ((2, [1, 2, 3]), (3, [2, 3]), (5, [2, 3]), (6, [3]), (9, [3])):
        files = [segment(1, 1, 3), segment(2, 4, 3), segment(3, 7, 3)]
        disk = shelf(*files, *[BLANK] * 2, acknowledged=(acknowledged, 0))
        assert numbers(start(disk).lane.live) == live


def test_what_was_acknowledged_is_not_told_as_lost():
    damaged = bytearray(records(1, 1, 9))
    start_of_third = len(records(1, 1, 2))
    damaged[start_of_third : start_of_third + 3 * len(records(1, 3, 1))] = bytes(
        3 * len(records(1, 3, 1))
    )
    disk = shelf(segment(1, 1, bytes(damaged)), *[BLANK] * 4, acknowledged=(4, 0))
    assert start(disk).lane.lost == ((5, 5),)


def test_a_loss_that_meta_or_a_gap_event_tells_of_is_not_told_again():
    data = records(1, 1, 2) + bytes(200) + records(1, 6, 2)
    told = gap_record(1, 8, Gap(U, 3, 5, "damage"))
    assert start(shelf(segment(1, 1, data), *[BLANK] * 4)).lane.lost == ((3, 5),)
    disk = shelf(segment(1, 1, data), *[BLANK] * 4, gaps=(ToldGap(U, 3, 5, 7),))
    assert start(disk).lane.lost == ()
    lane, meta, _ = start(shelf(segment(1, 1, data + told), *[BLANK] * 4))
    assert lane.lost == ()
    assert meta.told_gaps(U) == [ToldGap(U, 3, 5, 8)]


def test_a_gap_event_that_never_was_is_forgotten_for_good():
    """Its seq is given to another event: that one's acknowledgement says nothing of the loss."""
    unborn, other = ToldGap(U, 1, 2, 4), ToldGap(R, 1, 2, 9)
    disk = shelf(segment(1, 1, 3), *[BLANK] * 4, gaps=(unborn, other))
    assert start(disk).meta.state.gaps == (other,)
    for image in disk.medium(len(disk.ops)).every(10, Random(0)):
        found = Meta.open(SimDisk(image), META)
        assert found
        assert found.state.gaps == (other,)


def test_an_eviction_that_was_told_is_finished():
    gap = ToldGap(U, 1, 3, 9, given_up=True)
    disk = shelf(segment(1, 1, 3), segment(2, 4, 7), *[BLANK] * 3, gaps=(gap,))
    lane, meta, _ = start(disk)
    assert meta.state.acknowledged[U] == 3
    assert numbers(lane.live) == [2]
    assert len(lane.free) == 4


def test_one_that_an_older_slot_of_meta_calls_the_newest_is_read_too():
    """Both its headers are lost, and so is the slot of `meta` that knew of the next segment."""
    lost = segment(1, 1, 3, bytes(BLOCK))
    disk = shelf(lost, segment(2, 4, 3), *[BLANK] * 3, newest=(Newest(1, 1001, 1), None))
    lane, _, _ = start(disk)
    assert (numbers(lane.live), lane.next_seq, lane.number) == ([1, 2], 7, 2)
    assert disk.image()[FIRST] == segment(1, 1, 3)


def test_one_that_had_another_life_since_is_not():
    """The end of its earlier life is left behind a later beginning: that was acknowledged."""
    later = records(3, 7, 1)
    data = later + records(1, 1, 6)[len(later) :]
    disk = shelf(
        segment(3, 7, data, bytes(BLOCK)),
        segment(2, 4, 3),
        *[BLANK] * 3,
        newest=(Newest(1, 1001, 1), None),
    )
    lane, _, _ = start(disk)
    assert numbers(lane.live) == [2]
