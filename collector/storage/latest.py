"""The newest word on each matter: where to find it, so that nobody looks through all events.

A matter is what one device of one journal says of itself: that it is alive, whether it is there,
whether it has one particular fault. Newest is by seq, as always. The table names the event; what it
says is read in `events`, whose time may still be mended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from collector.fleet import Owner, Word, facts_of
from collector.storage.words import KINDS, clean
from gateway.model import Kind, Lane

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from collector.delivery import Delivery, Row
    from collector.fleet import GatewayFacts
    from collector.storage.port import Transaction
    from gateway.model import Event

# What else a gateway says of itself is one matter.
_STATES = frozenset({"alive", "started"})
_TELLING = frozenset({Kind.GATEWAY, Kind.DEVICE, Kind.FAULT})
# A journal is of whoever sent it last: a gateway that was given another id leaves no ghost behind.
_OWNERS = """
    SELECT gateway, journal, heard FROM (
        SELECT gateway, journal, heard,
            row_number() OVER (PARTITION BY journal ORDER BY heard DESC, lane) AS place
        FROM streams
    ) AS ranked WHERE place = 1
"""
# CROSS JOIN: SQLite then begins with `latest`, instead of reading all events.
_WORDS = """
    SELECT latest.journal, latest.seq, latest.kind, latest.device, latest.topic,
        events.time_quality, CAST(events.body AS TEXT)
    FROM latest CROSS JOIN events WHERE events.journal = latest.journal
        AND events.lane = 'routine' AND events.seq = latest.seq
"""

Matter = tuple[str, str, str, str]  # journal, kind, device, topic


def note_latest(transaction: Transaction, new: Sequence[tuple[Delivery, Sequence[Row]]]) -> None:
    """Note what new events say of gateways and devices."""
    newest: dict[Matter, int] = {}
    for matter, seq in _told(new):
        newest[matter] = max(seq, newest.get(matter, 0))
    if newest:
        transaction.run_each(
            "INSERT INTO latest (journal, kind, device, topic, seq) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (journal, kind, device, topic) DO UPDATE SET seq = excluded.seq"
            " WHERE excluded.seq > latest.seq",
            [(*matter, seq) for matter, seq in sorted(newest.items())],
        )


def fleet(transaction: Transaction) -> list[GatewayFacts]:
    """How each gateway is, ordered by gateway."""
    owners = [Owner(*row) for row in transaction.rows(_OWNERS)]
    return facts_of(owners, [Word(*row) for row in transaction.rows(_WORDS)])


def _told(new: Iterable[tuple[Delivery, Sequence[Row]]]) -> Iterable[tuple[Matter, int]]:
    for delivery, rows in new:
        if delivery.lane is not Lane.ROUTINE:
            continue  # these kinds travel there
        for row in rows:
            if row.event.kind in _TELLING:
                topic = topic_of(row.event)
                if topic is not None:
                    kind, device = KINDS[row.event.kind], clean(row.event.device)
                    yield (delivery.journal.hex(), kind, device, topic), row.seq


def topic_of(event: Event) -> str | None:
    """What of its device an event tells; None if it does not say."""
    if event.kind is Kind.FAULT:
        fault = event.detail.get("fault")
        return clean(fault) if isinstance(fault, str) else None
    state = event.detail.get("state")
    return str(state) if event.kind is Kind.GATEWAY and state in _STATES else ""
