"""Reading the books out of the tables; `collector/books.py` says what they mean."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from collector.books import Book, merge
from collector.storage.words import LANE_OF

if TYPE_CHECKING:
    from collector.storage.port import Transaction

Stream = tuple[str, str]  # journal, lane

_STREAMS = """
    SELECT journal, lane, gateway, stored, duplicates, conflicts, (
        SELECT max(seq) FROM events
        WHERE events.journal = streams.journal AND events.lane = streams.lane
    ) FROM streams ORDER BY heard
"""
_STORED_WITHIN = (
    "SELECT journal, lane, count(*) FROM events"
    " WHERE journal = ? AND lane = ? AND seq BETWEEN ? AND ? GROUP BY journal, lane"
)


def books(transaction: Transaction) -> list[Book]:
    """The books of every lane of every journal, ordered by gateway, journal, lane."""
    streams = {(journal, lane): totals for journal, lane, *totals in transaction.rows(_STREAMS)}
    gaps = _gaps(transaction)
    stored_within = _stored_within(transaction, gaps)
    # Of a lane of which nothing came yet, the other lane told of the gap.
    gateways = {journal: totals[0] for (journal, _), totals in streams.items()}
    found = []
    for stream in streams.keys() | gaps.keys():
        journal, lane = stream
        ranges = gaps.get(stream, [])
        default = [gateways[journal], 0, 0, 0, 0]
        gateway, stored, duplicates, conflicts, highest = streams.get(stream, default)
        lost = sum(last - first + 1 for first, last in ranges) - stored_within.get(stream, 0)
        accepted = max([highest or 0, *(last for _, last in ranges)])
        lane_ = LANE_OF[lane]
        found.append(Book(gateway, journal, lane_, accepted, stored, lost, duplicates, conflicts))
    return sorted(found, key=lambda book: (book.gateway, book.journal, book.lane))


def _gaps(transaction: Transaction) -> dict[Stream, list[tuple[int, int]]]:
    """What gap events told of each lane, without overlap."""
    told: dict[Stream, list[tuple[int, int]]] = defaultdict(list)
    for journal, lane, first, last in transaction.rows(
        "SELECT journal, lane, first, last FROM gaps"
    ):
        told[journal, lane].append((first, last))
    return {stream: merge(ranges) for stream, ranges in told.items()}


def _stored_within(
    transaction: Transaction, gaps: dict[Stream, list[tuple[int, int]]]
) -> dict[Stream, int]:
    """How many events are stored of each lane that a gap event told as lost."""
    spans = [(*stream, *each) for stream, ranges in gaps.items() for each in ranges]
    stored: dict[Stream, int] = defaultdict(int)
    for journal, lane, count in transaction.rows_of_each(_STORED_WITHIN, spans):
        stored[journal, lane] += count
    return stored
