"""Which gateways have gone quiet: what the store remembers, and what `hearth collect --quiet` says."""

from __future__ import annotations

import json
import sqlite3
import time
from argparse import ArgumentParser, Namespace

import pytest
from brokers import GATEWAY, JOURNAL, event_of

from collector import sqlite as sqlite_module
from collector.delivery import Delivery, row_of
from collector.heard import DEFAULT_QUIET_AFTER_S, Heard, quiet_after_of
from collector.schema import MIGRATIONS
from collector.sqlite import SqliteStore
from gateway.cli import collect
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
    monkeypatch.setattr(sqlite_module.time, "time_ns", lambda: clock["ms"] * 1_000_000)
    return clock


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "events.db")


@pytest.fixture
def store(path, now):
    store = SqliteStore(path)
    yield store
    store.close()


def test_every_batch_is_a_sign_of_life_by_the_clock_of_the_collector(store, now):
    store.commit([batch(event_of(1))], [])
    assert store.heard() == [Heard(GATEWAY, NOW_MS, DEFAULT_QUIET_AFTER_S)]
    now["ms"] += 5000
    store.commit([batch(event_of(1))], [])  # a duplicate: its gateway is alive all the same
    assert store.heard() == [Heard(GATEWAY, NOW_MS + 5000)]
    now["ms"] += 5000
    store.commit([batch(event_of(2), lane=U)], [])
    assert store.heard() == [Heard(GATEWAY, NOW_MS + 10_000)]


def test_gateways_in_order_each_with_what_it_said_last(store):
    store.commit(
        [
            batch(alive(1, quiet_after_s=90.0), alive(2, quiet_after_s=180), gateway="b"),
            batch(alive(1), gateway="a", journal=OTHER),
        ],
        [],
    )
    assert store.heard() == [Heard("a", NOW_MS), Heard("b", NOW_MS, 180.0)]


def test_other_events_of_the_gateway_say_nothing_of_it(store):
    stopped = event_of(5, Kind.GATEWAY, measurements=(), detail={"state": "stopped"})
    liar = event_of(6, Kind.FAULT, measurements=(), detail={"state": "alive", "quiet_after_s": 1})
    store.commit([batch(alive(1, quiet_after_s=90), stopped, liar)], [])
    assert store.heard() == [Heard(GATEWAY, NOW_MS, 90.0)]


def test_a_gateway_of_another_name_now_leaves_no_ghost(store, now):
    store.commit([batch(event_of(1)), batch(event_of(1), lane=U)], [])
    now["ms"] += 1
    store.commit([batch(event_of(2), first=2, gateway="renamed")], [])
    assert [it.gateway for it in store.heard()] == ["renamed"]


@pytest.mark.parametrize("told", [None, "300", True, 0, -1])
def test_what_is_no_time_is_not_believed(told):
    assert quiet_after_of(told) == DEFAULT_QUIET_AFTER_S == SupervisionSettings().quiet_after


def test_quiet_is_longer_than_it_said():
    heard = Heard("g", NOW_MS, 90.0)
    assert not heard.is_quiet(NOW_MS + 90_000)
    assert heard.is_quiet(NOW_MS + 90_001)


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
            columns = sqlite_module._columns(row, {})
            values = (journal.hex(), gateway, "routine", *columns)
            db.execute(f"INSERT INTO events VALUES ({', '.join('?' * len(values))})", values)
            stream = (journal.hex(), "routine", gateway, 1, 0, 0)
            db.execute("INSERT INTO streams VALUES (?, ?, ?, ?, ?, ?)", stream)
    db.close()


@pytest.mark.parametrize("version", [1, 2])
def test_an_older_file_knows_when_the_newest_event_was(path, version, now):
    older_file(path, version)
    store = SqliteStore(path)
    assert store.heard() == [Heard("a", EVENT_MS + 7), Heard("b", 0)]
    assert all(book.balanced for book in store.books())
    store.commit([batch(event_of(2), first=2, gateway="a")], [])
    assert store.heard()[0] == Heard("a", NOW_MS)
    store.close()
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    db.close()


def test_what_gateways_say_is_found_without_reading_their_readings(store, path):
    with sqlite3.connect(path) as db:
        plan = db.execute(f"EXPLAIN QUERY PLAN {sqlite_module._HEARD}").fetchall()
    db.close()
    assert any("events_of_gateways" in row[3] for row in plan), plan


# --- the command ---------------------------------------------------------------------------------


def arguments(path, *more) -> Namespace:
    parser = ArgumentParser()
    collect.add(parser.add_subparsers())
    return parser.parse_args(["collect", "--store", f"sqlite://{path}", "--quiet", *more])


@pytest.fixture
def fleet(path, monkeypatch):
    """One gateway heard now, one a day ago; the clock is real again."""
    monkeypatch.setenv("HEARTH_LANG", "en")
    store = SqliteStore(path)
    store.commit([batch(event_of(1), gateway="near")], [])
    yesterday_ns = time.time_ns() - 86_400 * 10**9
    with monkeypatch.context() as patch:
        patch.setattr(sqlite_module.time, "time_ns", lambda: yesterday_ns)
        store.commit([batch(alive(1, quiet_after_s=3600), gateway="gone", journal=OTHER)], [])
    store.close()
    return yesterday_ns // 1_000_000


def test_the_command_lists_who_is_quiet(fleet, path, capsys):
    given = arguments(path)
    assert given.run(given) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("gone: last heard 2")
    assert "24 h ago; quiet after 60 min" in line


def test_the_command_as_json(fleet, path, capsys):
    given = arguments(path, "--json")
    assert given.run(given) == 1
    (gone,) = json.loads(capsys.readouterr().out)
    assert (gone["gateway"], gone["heard_ms"], gone["quiet_after_s"]) == ("gone", fleet, 3600.0)
    assert gone["silent_s"] >= 86_400


def test_the_command_where_all_are_heard(path, capsys, monkeypatch):
    monkeypatch.setenv("HEARTH_LANG", "zh")
    store = SqliteStore(path)
    store.commit([batch(event_of(1))], [])
    store.close()
    given = arguments(path)
    assert given.run(given) == 0
    assert "全部 1 个网关均有消息" in capsys.readouterr().out


def test_a_store_that_never_knew_says_so(path, capsys, monkeypatch):
    monkeypatch.setenv("HEARTH_LANG", "en")
    older_file(path, 2)
    given = arguments(path)
    assert given.run(given) == 1
    assert "b: not heard since this store" in capsys.readouterr().out
