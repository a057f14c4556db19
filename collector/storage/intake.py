"""Storing a group of deliveries: each event once, and what it changes in the other tables.

Whatever the group's size, it is one look for what is there already, one statement for the new
events, and a few for what they tell of. The caller holds the group's journals, so nothing comes
between the look and the statement.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from collector.delivery import Delivery, Outcome, Row
from collector.storage.dates import Anchor, Boot, note_anchors
from collector.storage.latest import note_latest
from collector.storage.line import put_in_line
from collector.storage.words import KINDS, LANES, QUALITIES, clean, clean_json
from gateway.codec import gap_of
from gateway.errors import DecodeError
from gateway.model import Kind, TimeQuality

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collector.storage.port import Transaction
    from collector.storage.refused import Refused

New = list[tuple[Delivery, Sequence[Row]]]  # of each delivery the events that were not there
Stored = dict[tuple[bytes, str], dict[int, bytes]]  # of each journal and lane, digest by seq


def keep_events(
    transaction: Transaction,
    deliveries: Sequence[Delivery],
    refused: Refused,
    outputs: Sequence[str],
    now_ms: int,
) -> tuple[Outcome, ...]:
    """Store what is new of each delivery, in line for `outputs` if it is urgent."""
    stored = _stored(transaction, deliveries)
    new: New = []
    outcomes = []
    for delivery in deliveries:
        outcome, rows = _judge(delivery, stored[delivery.journal, LANES[delivery.lane]], refused)
        outcomes.append(outcome)
        new.append((delivery, rows))
    _store(transaction, new)
    note_latest(transaction, new)
    put_in_line(transaction, new, outputs, now_ms)
    _book(transaction, deliveries, outcomes, now_ms)
    return tuple(outcomes)


def _stored(transaction: Transaction, deliveries: Sequence[Delivery]) -> Stored:
    """What is stored of the seqs that came."""
    spans = [(it.journal.hex(), LANES[it.lane], it.first, it.last) for it in deliveries]
    rows = transaction.rows_of_each(
        "SELECT journal, lane, seq, digest FROM events"
        " WHERE journal = ? AND lane = ? AND seq BETWEEN ? AND ?",
        spans,
    )
    stored: Stored = defaultdict(dict)
    for journal, lane, seq, digest in rows:
        stored[bytes.fromhex(journal), lane][seq] = digest
    return stored


def _judge(
    delivery: Delivery, stored: dict[int, bytes], refused: Refused
) -> tuple[Outcome, Sequence[Row]]:
    """What becomes of a delivery, and its new rows, which count as stored from now on."""
    rows = delivery.rows
    new = [row for row in rows if row.seq not in stored]
    clashes = [row for row in rows if stored.get(row.seq, row.digest) != row.digest]
    conflicts = refused.keep_clashes(delivery, clashes)
    if conflicts is None:
        return Outcome(kept=False), ()
    stored.update((row.seq, row.digest) for row in new)
    duplicates = len(rows) - len(new) - conflicts
    return Outcome(True, len(new), duplicates, conflicts), new


def _store(transaction: Transaction, new: New) -> None:
    anchors = note_anchors(transaction, new)
    for delivery, rows in new:
        _note_gaps(transaction, delivery, rows)
    columns = [each for delivery, rows in new for each in _columns(delivery, rows, anchors)]
    if columns:
        transaction.store_events(columns)


def _columns(
    delivery: Delivery, rows: Sequence[Row], anchors: Mapping[Boot, Anchor]
) -> list[tuple[object, ...]]:
    """The rows of `events`, as EVENT_COLUMNS has them."""
    journal, lane = delivery.journal.hex(), LANES[delivery.lane]
    columns: list[tuple[object, ...]] = []
    for row in rows:
        event, stamp = row.event, row.event.stamp
        boot, wall_ms, quality = stamp.boot.hex(), stamp.wall_ms, stamp.quality
        if anchors and quality is not TimeQuality.SYNCHRONISED:
            anchor = anchors.get((journal, boot))
            if anchor is not None:
                wall_ms, quality = anchor.boot_ms + stamp.uptime_ms, TimeQuality.ANCHORED
        place = journal, delivery.gateway, lane, row.seq
        when = wall_ms, QUALITIES[quality], boot, stamp.uptime_ms
        what = clean_json(row.body), row.digest
        columns.append((*place, clean(event.device), KINDS[event.kind], *when, *what))
    return columns


def _note_gaps(transaction: Transaction, delivery: Delivery, rows: Sequence[Row]) -> None:
    for row in rows:
        if row.event.kind is Kind.GAP:
            try:
                gap = gap_of(row.event)
            except DecodeError:
                continue  # kept among the refused, by ingest
            transaction.run(
                "INSERT INTO gaps (journal, lane, first, last, reason) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT DO NOTHING",
                (delivery.journal.hex(), LANES[gap.lane], gap.first, gap.last, clean(gap.reason)),
            )


def _book(
    transaction: Transaction,
    deliveries: Sequence[Delivery],
    outcomes: Sequence[Outcome],
    now_ms: int,
) -> None:
    """Count, and note that the gateways were heard."""
    transaction.run_each(
        "INSERT INTO streams (journal, lane, gateway, stored, duplicates, conflicts, heard)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (journal, lane) DO UPDATE SET"
        " gateway = excluded.gateway, stored = streams.stored + excluded.stored,"
        " duplicates = streams.duplicates + excluded.duplicates,"
        " conflicts = streams.conflicts + excluded.conflicts, heard = excluded.heard",
        [
            (
                *(delivery.journal.hex(), LANES[delivery.lane], delivery.gateway),
                *(outcome.stored, outcome.duplicates, outcome.conflicts, now_ms),
            )
            for delivery, outcome in zip(deliveries, outcomes, strict=True)
            if outcome.kept
        ],
    )
