"""Deliveries made by hand, and questions to a database behind the store's back."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from urllib.parse import urlsplit

from brokers import BOOT, GATEWAY, JOURNAL, event_of

from collector.delivery import Delivery, Reason, Refusal, row_of
from gateway.codec import encode_event, observe_gap
from gateway.model import Gap, Kind, Lane, Stamp, TimeQuality

R, U = Lane.ROUTINE, Lane.URGENT
WALL = 1_700_000_000_000
OTHER_JOURNAL = bytes(16)


def row(seq, event=None):
    event = event or event_of(seq)
    return row_of(seq, event, encode_event(event))


def delivery(*rows, lane=R, journal=JOURNAL, gateway=GATEWAY):
    topic = f"hearth/v1/{gateway}/up/{lane.name.lower()}"
    return Delivery(topic, gateway, journal, lane, rows)


def batch(first, last, **changes):
    return delivery(*(row(seq) for seq in range(first, last + 1)), **changes)


def events(*told, first=1, **changes):
    """A delivery of these events."""
    return delivery(*(row(seq, event) for seq, event in enumerate(told, first)), **changes)


def gap_row(seq, first, last, lane=R, reason="quota"):
    detail = observe_gap(Gap(lane, first, last, reason)).detail
    return row(seq, event_of(seq, Kind.GAP, measurements=(), detail=detail))


def unknown_row(seq, boot=BOOT, quality=TimeQuality.UNKNOWN):
    stamp = Stamp(boot, seq * 1000, 12345, quality)
    return row(seq, event_of(seq, stamp=stamp))


def anchor_row(seq, uptime_ms, wall_ms, boot=BOOT, quality=TimeQuality.SYNCHRONISED):
    stamp = Stamp(boot, uptime_ms, wall_ms, quality)
    return row(seq, event_of(seq, Kind.ANCHOR, measurements=(), stamp=stamp))


def call_row(seq):
    return row(seq, event_of(seq, Kind.CALL, measurements=(), detail={"call": f"c{seq}"}))


def refusal(n, reason=Reason.MALFORMED, size=10):
    return Refusal("hearth/v1/x/up/routine", n.to_bytes(size, "big"), reason, "why")


def book_of(store, lane=R):
    return next(book for book in store.books() if book.lane is lane)


def ask(url, query, *values):
    """The rows of a query, whichever database it is."""
    if url.startswith("sqlite:"):
        with closing(sqlite3.connect(urlsplit(url).path, timeout=10)) as db:
            rows = db.execute(query, values).fetchall()
            db.commit()
        return rows
    import psycopg

    with psycopg.connect(url, autocommit=True) as db:
        cursor = db.execute(query.replace("?", "%s"), values)
        return cursor.fetchall() if cursor.description else []
