"""The decision table of recovery.py: every hole is decided exactly once, whatever is proven."""

from __future__ import annotations

import itertools

from gateway.journal.format import BLOCK
from gateway.journal.recovery import Verdict, decide
from gateway.journal.scan import Scan, Span

LAST = 6  # seqs 1..6: enough for holes at the beginning, in the middle, at the end, and two of each


def _rows(first: int, last: float, proven: int) -> list[str]:
    """The rows of the table in recovery.py that hold for the hole `first..last`."""
    rows = {
        "cut": proven < first,
        "part": first <= proven < last,
        "gap": proven >= last,
    }
    return [name for name, holds in rows.items() if holds]


def _walk(spans: list[Span], proven: int) -> tuple[int, int, list[tuple[int, int]]]:
    """(next seq, spans kept, losses), by going from hole to hole with the table in hand."""
    expected, lost = 1, []
    for kept, span in enumerate([*spans, Span(10**9, 0, 0, 0)]):
        if span.first > expected:
            rows = _rows(expected, span.first - 1, proven)
            assert len(rows) == 1, "a hole is decided exactly once"
            match rows[0]:
                case "cut":
                    return expected, kept, lost
                case "part":
                    return proven + 1, kept, [*lost, (expected, proven)]
                case "gap":
                    lost.append((expected, span.first - 1))
        expected = span.last + 1
    raise AssertionError("the last hole has no end")


def _spans(seqs: tuple[int, ...]) -> list[Span]:
    """Neighbouring seqs; record n lies at BLOCK + 10 * n, 10 bytes long."""
    spans: list[Span] = []
    for seq in seqs:
        if spans and spans[-1].last == seq - 1:
            spans[-1] = Span(spans[-1].first, seq, spans[-1].start, BLOCK + 10 * seq + 10)
        else:
            spans.append(Span(seq, seq, BLOCK + 10 * seq, BLOCK + 10 * seq + 10))
    return spans


def _combinations():
    """(intact seqs, proven by a record, known to `meta`), every combination there is."""
    seqs = range(1, LAST + 1)
    for count in range(LAST + 1):
        for intact in itertools.combinations(seqs, count):
            for synced, known in itertools.product(range(LAST + 2), repeat=2):
                yield intact, synced, known


def test_every_combination_of_hole_and_proof_is_decided_as_the_table_says():
    for intact, synced, known in _combinations():
        spans = _spans(intact)
        next_seq, kept, lost = _walk(spans, max(synced, known))
        end = spans[kept - 1].end if kept else BLOCK
        leftovers = spans[-1].end if kept < len(spans) else 0
        assert decide(
            Scan(tuple(spans), synced, ()), first_seq=1, start=BLOCK, meta_durable=known
        ) == Verdict(end, next_seq, tuple(lost), leftovers), (intact, synced, known)
