"""One segment on a simulated disk: what is said to be durable leaves a power cut no choice."""

from __future__ import annotations

from pathlib import Path
from random import Random
from zlib import crc32

import pytest
from simdisk import Image, SimDisk

from gateway.errors import UnknownVersion
from gateway.journal.format import BLOCK, VERSION, SegmentHeader, encode_header
from gateway.journal.segment import Segment, new_salt
from gateway.model import Lane

FOLDER = Path("/lane")
PATH = FOLDER / "segment"
SIZE = 4 * BLOCK
HEADER = SegmentHeader(b"j" * 16, Lane.URGENT, 7, 1234, 100)
RECORDS = bytes(range(1, 251)) * 10  # no zeros: every sector of it differs from an empty one


@pytest.fixture
def disk() -> SimDisk:
    """A folder with a blank segment in it."""
    return SimDisk({PATH: bytes(SIZE)})


@pytest.fixture
def segment(disk: SimDisk) -> Segment:
    """That segment, in its seventh life, with records."""
    opened = Segment.open(disk, PATH)
    opened.begin(HEADER)
    opened.append(bytearray(RECORDS), HEADER.first_seq)
    return opened


def only_state(disk: SimDisk) -> Image:
    """What is on the medium, if a power cut now leaves no choice."""
    medium = disk.medium(len(disk.ops))
    assert medium.states == 1, "something is still loose"
    return medium.written()


def test_records_and_both_headers_are_durable_when_append_returns(disk, segment):
    data = only_state(disk)[PATH]
    assert data[BLOCK : BLOCK + len(RECORDS)] == RECORDS
    assert data[:BLOCK] == data[-BLOCK:] != bytes(BLOCK)


def test_what_was_erased_is_durably_gone(disk, segment):
    segment.erase(BLOCK + 1000, BLOCK + len(RECORDS))
    data = only_state(disk)[PATH]
    assert data[BLOCK : BLOCK + 1000] == RECORDS[:1000]
    assert data[BLOCK + 1000 : -BLOCK] == bytes(SIZE - 2 * BLOCK - 1000)


def test_a_header_that_is_restored_is_durable(disk, segment):
    segment._files.pwrite(segment.fd, bytes(BLOCK), 0)
    segment._files.fdatasync(segment.fd)
    segment.restore_header(twice=True)
    data = only_state(disk)[PATH]
    assert data[:BLOCK] == data[-BLOCK:] != bytes(BLOCK)


def test_what_is_written_again_is_durable_also_after_a_flush_that_failed(disk, segment):
    """The kernel calls the pages clean by then: only a new write puts them on the medium."""

    def fail(call: str, path: Path | None) -> None:
        if call == "fdatasync":
            raise OSError("played")

    disk.fail = fail
    with pytest.raises(OSError):
        segment.append(bytearray(RECORDS), 200)
    disk.fail = lambda call, path: None
    start, end = segment.end, segment.end + len(RECORDS)
    segment.rewrite(start, end, twice=True)
    assert only_state(disk)[PATH][start:end] == RECORDS


def test_a_segment_that_was_created_is_zeros_and_only_its_name_is_loose(disk):
    Segment.create(disk, FOLDER / "new", SIZE)
    assert disk.medium(len(disk.ops)).states == 2
    disk.sync_dir(FOLDER)
    assert only_state(disk)[FOLDER / "new"] == bytes(SIZE)


def test_dropping_the_cache_asks_the_medium(disk, segment):
    def fail(call: str, path: Path | None) -> None:
        if call == "fdatasync":
            raise OSError("played")

    disk.fail = fail
    with pytest.raises(OSError):
        segment.append(bytearray(RECORDS), 200)
    assert segment.read(segment.end, len(RECORDS)) == RECORDS  # the page cache
    segment.drop_cache()
    assert segment.read(segment.end, len(RECORDS)) == bytes(len(RECORDS))


def test_a_header_in_one_block_alone_is_found(disk, segment):
    for at in (0, SIZE - BLOCK):
        image = dict(disk.medium(len(disk.ops)).sample(Random(0)))
        data = bytearray(image[PATH])
        data[at : at + BLOCK] = bytes(BLOCK)
        opened = Segment.open(SimDisk({PATH: bytes(data)}), PATH)
        assert opened.header == HEADER
        assert opened.header_copies() == 1


@pytest.mark.parametrize("newer_at", [0, SIZE - BLOCK])
def test_of_two_headers_the_one_of_the_newer_life_counts(newer_at):
    """Power went while a new life was begun: records of the life before are not its records."""
    older = encode_header(HEADER).ljust(BLOCK, b"\0")
    newer_header = SegmentHeader(b"j" * 16, Lane.URGENT, 8, 5678, 200)
    newer = encode_header(newer_header).ljust(BLOCK, b"\0")
    ends = (newer, older) if newer_at == 0 else (older, newer)
    disk = SimDisk({PATH: ends[0] + bytes(SIZE - 2 * BLOCK) + ends[1]})
    assert Segment.open(disk, PATH).header == newer_header


@pytest.mark.parametrize("wiped", [0, SIZE - BLOCK])
def test_a_segment_with_one_wiped_end_is_not_blank(disk, segment, wiped):
    data = bytearray(disk.image()[PATH])
    data[wiped : wiped + BLOCK] = bytes(BLOCK)
    assert not Segment.open(SimDisk({PATH: bytes(data)}), PATH).is_blank()


def test_a_segment_that_was_never_used_is_blank_unless_that_cannot_be_read(disk):
    opened = Segment.open(disk, PATH)
    assert opened.is_blank()
    disk.bad[PATH] = {SIZE // 512 - 1}
    assert not opened.is_blank()


def test_a_block_that_cannot_be_read_now_is_not_written_over(disk, segment):
    """It may be read again tomorrow; zeros would be all that is left of it."""
    more = bytearray(b"x" * (2 * BLOCK - len(RECORDS)))
    segment.append(more, 200)
    before = disk.image()[PATH]
    disk.bad[PATH] = {BLOCK // 512 + 1}
    segment.rewrite(BLOCK, 3 * BLOCK, twice=True)
    assert disk.image()[PATH] == before
    assert disk.bad[PATH], "a whole block was written over it"


@pytest.mark.parametrize("at", [0, SIZE - BLOCK])
def test_a_header_of_a_later_format_is_not_taken_for_damage(disk, segment, at):
    """Not even beside one that this version reads: it is not ours to write over."""
    later = bytearray(encode_header(HEADER))
    later[11] = VERSION + 1
    later[-4:] = crc32(later[:-4]).to_bytes(4, "big")
    data = bytearray(disk.image()[PATH])
    data[at : at + len(later)] = later
    found = SimDisk({PATH: bytes(data)})
    with pytest.raises(UnknownVersion):
        Segment.open(found, PATH)
    assert found.open_files == 0


def test_what_can_be_read_beside_a_bad_sector_is_read(disk, segment):
    disk.bad[PATH] = {BLOCK // 512}
    data = disk.image()[PATH]
    assert segment.read_all() == data[:BLOCK] + bytes(BLOCK) + data[2 * BLOCK :]


def test_a_card_that_cannot_be_read_at_all_is_not_called_damaged(disk, segment):
    """It may come back, and what it holds with it."""
    disk.bad[PATH] = set(range(SIZE // 512))
    with pytest.raises(OSError):
        segment.read_all()
    with pytest.raises(OSError):
        Segment.open(disk, PATH)


def test_no_two_lives_have_the_same_salt():
    assert len({new_salt() for _ in range(50)}) == 50  # by lot: once in 3.5 million runs it fails
