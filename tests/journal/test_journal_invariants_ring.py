"""The segments of a lane going round: what was refused is not trusted again, and nothing is used up."""

from __future__ import annotations

import threading
from collections import deque
from pathlib import Path

import pytest
from simdisk import SimDisk

from gateway.journal.entry import Entry
from gateway.journal.format import BLOCK, RecordType, decode_record
from gateway.journal.ring import Ring, Written
from gateway.journal.salvage import Opened
from gateway.journal.scan import scan
from gateway.journal.segment import Segment
from gateway.model import Lane

FOLDER = Path("/j/urgent")
SIZE = 4 * BLOCK
NAMES = [FOLDER / f"{number}.seg" for number in range(4)]
LARGE = bytes(900)  # nine of them and their heads are a segment and a bit


@pytest.fixture
def disk() -> SimDisk:
    """Four blank segments."""
    return SimDisk(dict.fromkeys(NAMES, bytes(SIZE)))


@pytest.fixture
def ring(disk: SimDisk) -> Ring:
    """They, before anything was written."""
    return ring_of([], [Segment.open(disk, path) for path in NAMES])


def ring_of(live: list[Segment], free: list[Segment], **opened: object) -> Ring:
    """As opening leaves it."""
    found = Opened(live, deque(free), **opened)
    return Ring(Lane.URGENT, b"j" * 16, threading.Condition(), found)


def entries(first: int, *payloads: bytes) -> list[Entry]:
    """A group to be written."""
    return [Entry(seq, RecordType.EVENT, payload) for seq, payload in enumerate(payloads, first)]


def write(ring: Ring, first: int, *payloads: bytes) -> list[Written]:
    """The whole group, in as many commits as it takes."""
    group, written = entries(first, *payloads), []
    while group:
        written.append(ring.commit(group))
        group = group[written[-1].count :]
    return written


def refuse(disk: SimDisk, call: str, *paths: Path, times: int = 10**9) -> list[Path]:
    """Such calls on these files are refused so many times; on which they were."""
    refused: list[Path] = []

    def fail(name: str, path: Path | None) -> None:
        if name == call and path in paths and len(refused) < times:
            refused.append(path)
            raise OSError("played")

    disk.fail = fail
    return refused


def held(segment: Segment) -> list[int]:
    """The seqs that are intact in a segment."""
    found = scan(segment.read_all(), segment.seed, segment.first_seq)
    return [seq for span in found.spans for seq in range(span.first, span.last + 1)]


def test_segments_are_ordered_by_number_and_first_seq(ring):
    write(ring, 1, *[LARGE] * 20)
    assert [segment.header.number for segment in ring.live] == [1, 2, 3]
    assert [held(segment) for segment in ring.live] == [
        list(range(segment.first_seq, (following.first_seq if following else 21)))
        for segment, following in zip(ring.live, [*ring.live[1:], None], strict=True)
    ]


def test_numbers_go_on_where_they_were(disk):
    ring = ring_of([], [Segment.open(disk, path) for path in NAMES], number=41)
    write(ring, 1, b"x")
    assert ring.live[0].header.number == 42


def test_records_end_before_the_second_header(ring):
    write(ring, 1, *[LARGE] * 20)
    assert [segment.header_copies() for segment in ring.live] == [2, 2, 2]
    assert all(segment.end <= SIZE - BLOCK for segment in ring.live)


def test_each_commit_says_what_was_durable_before_it(ring):
    for first, group in ((1, [b"a", b"b", b"c"]), (4, [b"d"]), (5, [b"e", b"f"])):
        write(ring, first, *group)
    segment, synced, at = ring.live[0], [], BLOCK
    while record := decode_record(segment.read_all(), at, segment.seed):
        synced.append(record.synced_through)
        at = record.end
    assert synced == [0, None, None, 3, 4, None]


@pytest.mark.parametrize("call", ["pwrite", "fdatasync"])
def test_a_file_that_refused_is_not_written_again_in_this_life(ring, disk, call):
    write(ring, 1, b"before")
    bad = ring.live[0]
    refuse(disk, call, bad.path, times=1)
    write(ring, 2, b"refused once")
    after = disk.image()[bad.path]
    for seq in range(3, 6):
        write(ring, seq, b"later")
    assert disk.image()[bad.path] == after
    assert [segment.path for segment in ring.live][1:] != [bad.path]
    assert held(ring.live[1]) == [2, 3, 4, 5]


def test_what_was_opened_as_sealed_is_not_written(disk):
    first = ring_of([], [Segment.open(disk, path) for path in NAMES])
    write(first, 1, b"before")
    again = ring_of(first.live, list(first.free), number=1, sealed=True)
    before = disk.image()[again.live[0].path]
    write(again, 2, b"after")
    assert disk.image()[again.live[0].path] == before
    assert [held(segment) for segment in again.live] == [[1], [2]]


def test_a_bad_spare_does_not_keep_events_from_the_others(ring, disk):
    refuse(disk, "pwrite", ring.free[0].path)
    write(ring, 1, b"help")
    assert held(ring.live[0]) == [1]
    refuse(disk, "fdatasync", ring.live[0].path, ring.free[0].path)
    with pytest.raises(OSError, match="played"):
        ring.commit(entries(2, b"help"))
    write(ring, 2, b"help")
    assert held(ring.live[1]) == [2]


def test_flash_that_refuses_for_a_while_uses_up_no_segment(ring, disk):
    refuse(disk, "fdatasync", *NAMES)
    for _ in range(10):
        with pytest.raises(OSError, match="played"):
            ring.commit(entries(1, b"help"))
    assert (len(ring.live), len(ring.free)) == (0, len(NAMES))
    disk.fail = lambda call, path: None
    write(ring, 1, *[LARGE] * 30)
    assert len(ring.live) == len(NAMES)


def test_a_segment_is_free_when_its_last_event_is_not_needed(ring):
    write(ring, 1, *[LARGE] * 20)
    second, third = ring.live[1].first_seq, ring.live[2].first_seq
    assert ring.trimmable(second - 2) == 0
    assert ring.trimmable(second - 1) == 1
    assert ring.trimmable(third - 2) == 1
    assert ring.trimmable(third - 1) == 2
    assert ring.trimmable(10**6) == 2  # never the newest


def test_what_is_free_is_written_when_all_others_are(ring):
    write(ring, 1, *[LARGE] * 20)
    oldest = ring.live[0]
    ring.recycle(1)
    assert ring.free[-1] is oldest
    assert oldest not in ring.live
    assert not ring.crowded
    write(ring, 21, *[LARGE] * 9)
    assert ring.crowded  # what is left is the spare


def test_a_file_that_was_cut_short_is_not_used_again(disk):
    short = FOLDER / "short.seg"
    disk = SimDisk({**disk.image(), short: bytes(3 * BLOCK)})
    small = ring_of([], [Segment.open(disk, short)])
    write(small, 1, b"x")
    ring = ring_of(small.live, [Segment.open(disk, path) for path in NAMES], number=1, sealed=True)
    write(ring, 2, b"y")
    open_before = disk.open_files
    ring.recycle(1)
    assert [segment.path for segment in ring.free] == NAMES[1:]
    assert disk.open_files == open_before - 1


def test_what_opening_was_refused_comes_before_anything_is_written(disk):
    done: list[str] = []
    left = [2]

    def action() -> None:
        if left[0]:
            left[0] -= 1
            raise OSError("played")
        done.append("action")

    ring = ring_of(
        [], [Segment.open(disk, path) for path in NAMES], first=(action, lambda: done.append("b"))
    )
    with pytest.raises(OSError, match="played"):
        ring.commit(entries(1, b"help"))
    assert not any(any(data) for data in disk.image().values())
    write(ring, 1, b"help")
    write(ring, 2, b"more")
    assert done == ["action", "b"]
    assert held(ring.live[0]) == [1, 2]


@pytest.mark.parametrize("call", ["pwrite", "fdatasync"])
def test_flash_is_asked_where_the_next_event_would_go(ring, disk, call):
    write(ring, 1, b"kept")
    assert ring.probe() == BLOCK
    assert held(ring.live[0]) == [1]
    refuse(disk, call, ring.free[0].path)
    with pytest.raises(OSError, match="played"):
        ring.probe()


def test_bytes_are_counted_as_the_flash_is_written(ring):
    (begun,) = write(ring, 1, b"x")
    assert begun.flash_bytes == 3 * BLOCK  # both headers
    assert begun.begun == ring.live[0].header
    (more,) = write(ring, 2, b"x")
    assert (more.flash_bytes, more.begun) == (BLOCK, None)
    (across,) = write(ring, 3, *[LARGE] * 5)
    assert across.flash_bytes == 2 * BLOCK
