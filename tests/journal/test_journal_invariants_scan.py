"""The bytes of one segment: what is intact in them, in order, and what it proves."""

from __future__ import annotations

import pytest

from gateway.journal.format import BLOCK, RecordType, encode_record, salt_seed
from gateway.journal.scan import Span, find_next, holes, records, scan

SEED = salt_seed(1234)
EARLIER = salt_seed(1233)  # of the segment's life before
DAMAGE = b"\xff" * 50


def record(seq: int, synced: int | None = None, kind: int = RecordType.EVENT) -> bytes:
    """One record of this life."""
    return encode_record(SEED, seq, kind, b"payload of %d" % seq, synced)


def segment(*parts: bytes) -> bytes:
    """The header's block, then these, then zeros."""
    return bytes(BLOCK) + b"".join(parts) + bytes(100)


def ranges(data: bytes) -> list[tuple[int, int]]:
    """What is intact, as (first, last)."""
    return [(span.first, span.last) for span in scan(data, SEED, 1).spans]


def test_neighbours_are_one_span():
    data = segment(record(1, 0), record(2), record(3))
    assert scan(data, SEED, 1).spans == (Span(1, 3, BLOCK, len(data) - 100),)


def test_a_seq_that_is_missing_is_a_hole_also_where_no_byte_is():
    """So it is where a loss was proven: what came next lies directly behind what was left."""
    data = segment(record(1, 0), record(2), record(5, 4), record(6))
    assert [found.seq for found in records(data, SEED, 1)] == [1, 2]
    assert ranges(data) == [(1, 2), (5, 6)]


def test_the_first_record_has_the_seq_of_the_header_or_is_missed():
    assert ranges(segment(record(2, 1), record(3))) == [(2, 3)]
    assert scan(segment(), SEED, 7).synced_through == 6  # the header was written after all before


def test_behind_damage_the_next_is_found():
    data = segment(record(1, 0), DAMAGE, record(3, 2), record(4))
    assert ranges(data) == [(1, 1), (3, 4)]
    at = data.index(record(3, 2))
    offset, found = find_next(data, SEED, BLOCK + len(record(1, 0)), 2)
    assert (offset, found.seq) == (at, 3)


def test_behind_damage_an_earlier_seq_is_passed_over():
    """A sector that lies in the wrong place is whole, and does not belong there."""
    data = segment(record(1, 0), record(2), DAMAGE, record(2), record(4, 3), record(5))
    assert ranges(data) == [(1, 2), (4, 5)]
    behind = BLOCK + len(record(1, 0) + record(2))
    offset, found = find_next(data, SEED, behind, 3)
    assert (offset, found.seq) == (data.index(record(4, 3)), 4)
    assert find_next(data, SEED, behind, 6) is None


def test_what_is_out_of_place_proves_what_was_durable_all_the_same():
    data = segment(record(1, 0), record(2), DAMAGE, record(2, 8), record(4, 3))
    assert scan(data, SEED, 1).synced_through == 8


def test_the_highest_seq_that_a_record_vouches_for_is_proven():
    assert scan(segment(record(1, 0), record(2), record(3, 2)), SEED, 1).synced_through == 2
    assert scan(segment(record(1, 0), DAMAGE, record(9, 8)), SEED, 1).synced_through == 8


def test_a_record_of_an_earlier_life_is_none():
    older = encode_record(EARLIER, 3, RecordType.EVENT, b"older", 2)
    data = segment(record(1, 0), record(2), older)
    found = scan(data, SEED, 1)
    assert (len(found.spans), found.synced_through) == (1, 0)
    assert find_next(data, SEED, BLOCK, 3) is None


@pytest.mark.parametrize("before", range(1, 16))
def test_damage_that_looks_like_a_beginning_hides_no_record(before):
    """A false start may end in the middle of a true one."""
    false = (b"\x84\x1b" + bytes(8) + b"\x18\x01\x1a" + bytes(4))[:before]
    for middle in (false, b"\x84" * before, b"\x85\x1b" * before):
        assert ranges(segment(record(1, 0), middle, record(3, 2))) == [(1, 1), (3, 3)]


@pytest.mark.parametrize("shared", [3, 4, 5])
def test_a_false_beginning_that_ends_within_a_true_one_hides_nothing(shared):
    """This seq has in it what a record has behind its seq, so that the two overlap."""
    seq = 0x18051A << 8 * (shared - 3)
    false = b"\x84\x1b" + bytes(shared - 2)
    overlap = (false + record(seq))[:13]
    assert (overlap[0], overlap[10], overlap[12]) == (0x84, 0x18, 0x1A)
    data = segment(record(seq - 1, 0), false, record(seq))
    spans = scan(data, SEED, seq - 1).spans
    assert [(span.first, span.last) for span in spans] == [(seq - 1, seq - 1), (seq, seq)]


def test_losses_told_of_are_found():
    gap = record(2, kind=RecordType.GAP)
    assert scan(segment(record(1, 0), gap), SEED, 1).gaps == ((2, b"payload of 2"),)


@pytest.mark.parametrize(
    ("there", "missing"),
    [
        ([], [(3, 9)]),
        ([(3, 9)], []),
        ([(1, 4), (6, 12)], [(5, 5)]),
        ([(4, 5), (7, 8)], [(3, 3), (6, 6), (9, 9)]),
        ([(1, 2), (10, 11)], [(3, 9)]),
        ([(1, 20), (5, 6)], []),
        ([(3, 3), (4, 4)], [(5, 9)]),
    ],
)
def test_holes_are_what_no_range_covers(there, missing):
    assert holes(3, 9, there) == missing
