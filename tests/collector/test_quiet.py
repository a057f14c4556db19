"""When each gateway was heard last, and after what time it counts as quiet."""

from __future__ import annotations

import sqlite3

import pytest
from brokers import GATEWAY, JOURNAL, event_of

from collector.delivery import Delivery, row_of
from collector.fleet import DEFAULT_QUIET_AFTER_S
from collector.storage import words
from collector.storage.sqlite_schema import MIGRATIONS
from collector.store import open_store
from gateway.codec import encode_event
from gateway.model import Kind, Lane, Stamp, TimeQuality
from gateway.settings import SupervisionSettings

R, U = Lane.ROUTINE, Lane.URGENT
NOW_MS = 1_800_000_000_000
EVENT_MS = 1_700_000_000_000  # event_of's times begin here
OTHER = bytes(16)


def batch(*events, first=1, lane=R, journal=JOURNAL, gateway=GATEWAY):
    topic = f"hearth/v1/{gateway}/up/{lane.name.lower()}"
    rows = tuple(row_of(seq, event, encode_event(event)) for seq, event in enumerate(events, first))
    return Delivery(topic, gateway, journal, lane, rows)


def alive(n=1, **detail):
    return event_of(n, Kind.GATEWAY, measurements=(), detail={"state": "alive", **detail})


@pytest.fixture
def now(monkeypatch):
    """The collector's clock, to be set."""
    clock = {"ms": NOW_MS}
    monkeypatch.setattr(words.time, "time_ns", lambda: clock["ms"] * 1_000_000)
    return clock


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "events.db")


@pytest.fixture
def store(store_url, now):
    store = open_store(store_url)
    yield store
    store.close()


def heard(store):
    return [(it.gateway, it.heard_ms, it.quiet_after_s) for it in store.fleet()]


def test_every_batch_is_a_sign_of_life_by_the_clock_of_the_collector(store, now):
    store.commit([batch(event_of(1))], [])
    assert heard(store) == [(GATEWAY, NOW_MS, DEFAULT_QUIET_AFTER_S)]
    now["ms"] += 5000
    store.commit([batch(event_of(1))], [])  # a duplicate: its gateway is alive all the same
    assert heard(store) == [(GATEWAY, NOW_MS + 5000, DEFAULT_QUIET_AFTER_S)]
    now["ms"] += 5000
    store.commit([batch(event_of(2), lane=U)], [])
    assert heard(store) == [(GATEWAY, NOW_MS + 10_000, DEFAULT_QUIET_AFTER_S)]


def test_gateways_in_order_each_with_what_it_said_last(store):
    store.commit(
        [
            batch(alive(1, quiet_after_s=90.0), alive(2, quiet_after_s=180), gateway="b"),
            batch(alive(1), gateway="a", journal=OTHER),
        ],
        [],
    )
    assert heard(store) == [("a", NOW_MS, DEFAULT_QUIET_AFTER_S), ("b", NOW_MS, 180.0)]


def test_other_events_of_the_gateway_say_nothing_of_it(store):
    stopped = event_of(5, Kind.GATEWAY, measurements=(), detail={"state": "stopped"})
    liar = event_of(6, Kind.FAULT, measurements=(), detail={"state": "alive", "quiet_after_s": 1})
    store.commit([batch(alive(1, quiet_after_s=90), stopped, liar)], [])
    assert heard(store) == [(GATEWAY, NOW_MS, 90.0)]


def test_a_gateway_of_another_name_now_leaves_no_ghost(store, now):
    store.commit([batch(event_of(1)), batch(event_of(1), lane=U)], [])
    now["ms"] += 1
    store.commit([batch(event_of(2), first=2, gateway="renamed")], [])
    assert [gateway for gateway, _, _ in heard(store)] == ["renamed"]


@pytest.mark.parametrize("told", ["300", True, 0, -1])
def test_what_is_no_time_is_not_believed(store, told):
    store.commit([batch(alive(1, quiet_after_s=told))], [])
    assert heard(store) == [(GATEWAY, NOW_MS, SupervisionSettings().quiet_after)]


def _columns(journal, gateway, row):
    event, stamp = row.event, row.event.stamp
    place = journal.hex(), gateway, "routine", row.seq
    what = event.device, event.kind.name.lower(), stamp.wall_ms, stamp.quality.name.lower()
    return *place, *what, stamp.boot.hex(), stamp.uptime_ms, row.body, row.digest


def older_file(path, version):
    """A store as a hearth of then left it: one stream with dated events, one without."""
    undated = event_of(1, stamp=Stamp(bytes(8), 1, 12345, TimeQuality.UNKNOWN))
    events = {("a", JOURNAL): event_of(7), ("b", OTHER): undated}
    with sqlite3.connect(path) as db:
        for statements in MIGRATIONS[:version]:
            for statement in statements:
                db.execute(statement)
        db.execute(f"PRAGMA user_version = {version}")
        for (gateway, journal), event in events.items():
            row = row_of(1, event, encode_event(event))
            values = _columns(journal, gateway, row)
            db.execute(f"INSERT INTO events VALUES ({', '.join('?' * len(values))})", values)
            stream = (journal.hex(), "routine", gateway, 1, 0, 0)
            db.execute("INSERT INTO streams VALUES (?, ?, ?, ?, ?, ?)", stream)
    db.close()


@pytest.mark.parametrize("version", [1, 2])
def test_an_older_file_knows_when_the_newest_event_was(path, version, now):
    older_file(path, version)
    store = open_store(f"sqlite://{path}")
    assert heard(store) == [
        ("a", EVENT_MS + 7, DEFAULT_QUIET_AFTER_S),
        ("b", 0, DEFAULT_QUIET_AFTER_S),
    ]
    assert all(book.balanced for book in store.books())
    store.commit([batch(event_of(2), first=2, gateway="a")], [])
    assert heard(store)[0] == ("a", NOW_MS, DEFAULT_QUIET_AFTER_S)
    store.close()
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    db.close()
