"""What is SQLite's own of the store: its file, its older versions, two processes on it."""

import sqlite3
import threading
from contextlib import closing

import pytest
from brokers import GATEWAY, JOURNAL, event_of
from store_kit import WALL, anchor_row, ask, batch, delivery, events, unknown_row

from collector.fleet import GatewayFacts
from collector.storage.sqlite_schema import MIGRATIONS
from collector.store import open_store
from gateway.errors import StoreError
from gateway.model import Kind


@pytest.fixture
def store_url(new_url):
    return new_url("sqlite")


@pytest.fixture
def path(store_url):
    return store_url.removeprefix("sqlite://")


def test_commits_are_on_disk(store, store_url):
    assert ask(store_url, "PRAGMA journal_mode") == [("wal",)]
    assert store._database._writer.execute("PRAGMA synchronous").fetchone() == (2,)
    assert ask(store_url, "PRAGMA user_version") == [(len(MIGRATIONS),)]


def older_file(path, version, *deliveries):
    """A file as a hearth of then left it."""
    with sqlite3.connect(path) as db:
        for statements in MIGRATIONS[:version]:
            for statement in statements:
                db.execute(statement)
        db.execute(f"PRAGMA user_version = {version}")
        for it in deliveries:
            stream = (it.journal.hex(), "routine", it.gateway, len(it.rows), 0, 0)
            values = ", ?" if version >= 3 else ""
            heard = (WALL,) if version >= 3 else ()
            db.execute(f"INSERT INTO streams VALUES (?, ?, ?, ?, ?, ?{values})", stream + heard)
            for row in it.rows:
                stamp = row.event.stamp
                db.execute(
                    "INSERT INTO events VALUES (?, ?, 'routine', ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        *(it.journal.hex(), it.gateway, row.seq, row.event.device),
                        *(row.event.kind.name.lower(), stamp.wall_ms, stamp.quality.name.lower()),
                        *(stamp.boot.hex(), stamp.uptime_ms, row.body, row.digest),
                    ),
                )
    db.close()


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_an_older_file_goes_on(path, store_url, version):
    older_file(path, version, batch(1, 3), delivery(unknown_row(1), journal=bytes(16)))
    store = open_store(store_url)
    assert [(book.stored, book.balanced) for book in store.books()] == [(1, True), (3, True)]
    outcome = store.commit([batch(2, 5)], [])[0]
    assert (outcome.stored, outcome.duplicates) == (2, 2)
    store.commit([delivery(anchor_row(2, 5000, WALL), journal=bytes(16))], [])
    store.close()
    assert ask(store_url, "PRAGMA user_version") == [(len(MIGRATIONS),)]
    undated = ask(store_url, "SELECT seq FROM events WHERE time_quality = 'unknown'")
    assert undated == []


def test_a_file_of_version_3_knows_at_once_how_its_gateways_are(path, store_url):
    told = [
        event_of(1, Kind.GATEWAY, measurements=(), detail={"state": "started", "version": "0.1"}),
        event_of(2, Kind.GATEWAY, measurements=(), detail={"state": "alive", "quiet_after_s": 90}),
        event_of(3, Kind.FAULT, measurements=(), detail={"fault": "wire", "active": True}),
        event_of(4, Kind.FAULT, measurements=(), detail={"fault": "stuck", "active": True}),
        event_of(5, Kind.FAULT, measurements=(), detail={"fault": "stuck", "active": False}),
        event_of(6, Kind.FAULT, measurements=(), detail={"fault": 7, "active": True}),
        event_of(7, Kind.DEVICE, measurements=(), detail={"state": "offline"}),
    ]
    older_file(path, 3, events(*told))
    store = open_store(store_url)
    assert store.fleet() == [
        GatewayFacts(
            GATEWAY, 1, WALL, 90.0, "synchronised", "0.1",
            faults=(("meter-1", "wire"),), offline=("meter-1",),
        )
    ]  # fmt: skip
    before = ask(store_url, "SELECT * FROM latest ORDER BY kind, topic")
    store.close()
    again = open_store(store_url.replace(".db", "-again.db"))
    again.commit([events(*told)], [])
    again.close()
    assert (
        ask(store_url.replace(".db", "-again.db"), "SELECT * FROM latest ORDER BY kind, topic")
        == before
    )


def test_the_line_of_a_file_of_version_4_goes_on(path, store_url):
    """What waited, and what a collector of then had in hand, which nobody knows of any more."""
    older_file(path, 4, events(event_of(1, Kind.CALL), event_of(2, Kind.CALL)))
    columns = "output, journal, lane, seq, since, next_try, tries, reason"
    for seq, next_try in ((1, WALL), (2, WALL + 60_000)):
        place = ("webhook", JOURNAL.hex(), "routine", seq, WALL, next_try, 3, "503")
        ask(store_url, f"INSERT INTO due ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", *place)
    with closing(open_store(store_url)) as store:
        dues = store.due("webhook", 10)
        assert [(due.seq, due.tries, due.waited_ms) for due in dues] == [(1, 3, 0), (2, 3, 0)]
        assert store.due("webhook", 10) == []


def test_a_file_of_a_newer_hearth_is_not_touched(path, store_url):
    open_store(store_url).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StoreError, match="newer") as refused:
        open_store(store_url)
    assert refused.value.hint


def test_a_file_that_is_no_database(tmp_path):
    file = tmp_path / "events.db"
    file.write_bytes(b"not a database, but longer than a header" * 100)
    with pytest.raises(StoreError):
        open_store(f"sqlite://{file}")
    assert file.read_bytes().startswith(b"not a database")
    with pytest.raises(StoreError):
        open_store(f"sqlite://{tmp_path}/missing/events.db")


def test_what_gateways_say_is_found_without_reading_their_readings(store, store_url):
    from collector.storage import latest

    plan = [step[3] for step in ask(store_url, f"EXPLAIN QUERY PLAN {latest._WORDS}")]
    assert any(step.startswith("SEARCH events USING PRIMARY KEY") for step in plan), plan


def test_two_that_open_a_new_file_at_once(store_url):
    for n in range(10):
        url, failed = store_url.replace(".db", f"-{n}.db"), []

        def start(url=url, failed=failed):
            try:
                open_store(url).close()
            except StoreError as error:
                failed.append(error)

        threads = [threading.Thread(target=start) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []


def test_another_process_that_makes_the_file_just_now_is_waited_for(path, store_url):
    """SQLite itself would not wait: the other one holds the file and has not made it WAL yet."""
    ended = threading.Event()

    def start():
        open_store(store_url).close()
        ended.set()

    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        thread = threading.Thread(target=start)
        thread.start()
        thread.join(0.2)
        assert thread.is_alive()
        other.execute("ROLLBACK")
    assert ended.wait(10)
    thread.join()
