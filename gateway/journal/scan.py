"""Reading the raw bytes of one segment: what is intact, where, and what it proves. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from gateway.journal.format import BLOCK, RecordType, decode_record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gateway.journal.format import Record

# Every record begins like this, so one can be found again behind damage. The look-ahead lets
# candidates overlap: damage may look like a beginning a few bytes before a true one.
_RECORD_START = re.compile(rb"(?=[\x84\x85]\x1b.{8}\x18[\x01-\xff]\x1a)", re.DOTALL)


class Span(msgspec.Struct, frozen=True):
    """Neighbouring intact records `first..last`, from offset `start` to offset `end`."""

    first: int
    last: int
    start: int
    end: int


class Scan(msgspec.Struct, frozen=True):
    """What a segment holds. `synced_through` is the highest seq it proves to have been durable."""

    spans: tuple[Span, ...]
    synced_through: int
    gaps: tuple[tuple[int, bytes], ...]  # (seq, payload) of gap records: losses told of


def records(data: bytes, seed: int, expected: int, at: int = BLOCK) -> Iterator[Record]:
    """The intact records from `at`, as long as each has the next seq."""
    while (record := decode_record(data, at, seed)) and record.seq == expected:
        yield record
        at = record.end
        expected += 1


def find_next(data: bytes, seed: int, at: int, expected: int) -> tuple[int, Record] | None:
    """The first intact record at or behind `at` with `expected` or a later seq, and its offset.

    Leftovers of the segment's earlier lives have another salt and lower seqs: both refuse them.
    """
    found = (pair for pair in _intact(data, seed, at) if pair[1].seq >= expected)
    return next(found, None)


def scan(data: bytes, seed: int, first_seq: int) -> Scan:
    """Everything that is intact in the bytes of one segment whose first record has `first_seq`."""
    spans: list[Span] = []
    gaps: list[tuple[int, bytes]] = []
    synced_through = first_seq - 1  # the header was written when all before it was durable
    at, expected = BLOCK, first_seq
    while True:
        start, first = at, expected
        for record in records(data, seed, expected, at):
            at, expected = record.end, record.seq + 1
            synced_through = max(synced_through, record.synced_through or 0)
            if record.type == RecordType.GAP:
                gaps.append((record.seq, record.payload))
        if expected > first:
            spans.append(Span(first, expected - 1, start, at))
        for offset, record in _intact(data, seed, at):
            if record.seq >= expected:
                at, expected = offset, record.seq
                break
            # Out of place, so it is not kept; what it vouches for is true all the same.
            synced_through = max(synced_through, record.synced_through or 0)
        else:
            return Scan(tuple(spans), synced_through, tuple(gaps))


def _intact(data: bytes, seed: int, at: int) -> Iterator[tuple[int, Record]]:
    """Every intact record that begins at or behind `at`, wherever it begins, and its offset."""
    for match in _RECORD_START.finditer(data, at):
        record = decode_record(data, match.start(), seed)
        if record:
            yield match.start(), record


def holes(first: int, last: int, ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The parts of `first..last` that none of the ranges covers, which are in order."""
    parts = []
    for start, end in ranges:
        if start > last:
            break
        if start > first:
            parts.append((first, start - 1))
        first = max(first, end + 1)
    return parts if first > last else [*parts, (first, last)]
