"""The store: once each, never silently less, and books that balance."""

import itertools
import json
import sqlite3
import threading

import pytest
from brokers import BOOT, GATEWAY, JOURNAL, event_of
from hypothesis import given, settings
from hypothesis import strategies as st

from collector import sqlite as sqlite_module
from collector.books import merge
from collector.delivery import Delivery, Reason, Refusal, row_of
from collector.schema import MIGRATIONS
from collector.sqlite import SqliteStore
from collector.store import open_store
from gateway.codec import encode_event, observe_gap
from gateway.commands.wire import Command, Outcome, Reply
from gateway.errors import SettingsError, StoreError
from gateway.model import Event, Gap, Kind, Lane, Measurement, Stamp, TimeQuality

R, U = Lane.ROUTINE, Lane.URGENT
WALL = 1_700_000_000_000
ORDER = Command(
    GATEWAY,
    bytes(16),
    "call.accept",
    WALL,
    WALL + 5,
    "desk-1",
    {"note": "在路上", "rows": [{"a": 1}]},
)


def row(seq, event=None):
    event = event or event_of(seq)
    return row_of(seq, event, encode_event(event))


def delivery(*rows, lane=R, journal=JOURNAL, gateway=GATEWAY):
    topic = f"hearth/v1/{gateway}/up/{lane.name.lower()}"
    return Delivery(topic, gateway, journal, lane, rows)


def batch(first, last, **changes):
    return delivery(*(row(seq) for seq in range(first, last + 1)), **changes)


def gap_row(seq, first, last, lane=R):
    detail = observe_gap(Gap(lane, first, last, "quota")).detail
    return row(seq, event_of(seq, Kind.GAP, measurements=(), detail=detail))


def refusal(n, reason=Reason.MALFORMED, size=10):
    return Refusal("hearth/v1/x/up/routine", n.to_bytes(size, "big"), reason, "why")


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "events.db")


@pytest.fixture
def store(path):
    store = SqliteStore(path)
    yield store
    store.close()


def ask(path, query, *values):
    with sqlite3.connect(path) as db:
        rows = db.execute(query, values).fetchall()
    db.close()
    return rows


def book_of(store, lane=R):
    return next(book for book in store.books() if book.lane is lane)


def test_a_stored_event_reads_like_a_sentence(store, path):
    event = Event(
        Kind.MEASUREMENT,
        "band-1",
        Stamp(BOOT, 5000, WALL, TimeQuality.SYNCHRONISED),
        (Measurement("heart_rate", 71, "beat/min"), Measurement("worn", True)),
        {"room": "厨房"},
        {"battery": 0.5, "note": "x"},
    )
    store.commit([delivery(row(7, event))], [])
    (got,) = ask(
        path,
        "SELECT journal, gateway, lane, seq, device, kind, time, time_quality, boot, uptime, body"
        " FROM events",
    )
    assert got[:10] == (
        JOURNAL.hex(), GATEWAY, "routine", 7, "band-1", "measurement", WALL, "synchronised",
        BOOT.hex(), 5000,
    )  # fmt: skip
    assert json.loads(got[10]) == {
        "measurements": [{"n": "heart_rate", "u": "beat/min", "v": 71}, {"n": "worn", "vb": True}],
        "labels": {"room": "厨房"},
        "detail": {"battery": 0.5, "note": "x"},
    }
    rate = "SELECT r.value ->> 'v' FROM events, json_each(body, '$.measurements') AS r"
    assert ask(path, rate + " WHERE r.value ->> 'n' = 'heart_rate'") == [(71,)]


def test_duplicates_are_stored_once_and_counted_for_good(path):
    store = SqliteStore(path)
    assert store.commit([batch(1, 5)], [])[0].stored == 5
    again = store.commit([batch(3, 8)], [])[0]
    assert (again.kept, again.stored, again.duplicates) == (True, 3, 3)
    store.close()
    store = SqliteStore(path)
    book = book_of(store)
    assert (book.accepted, book.stored, book.duplicates, book.balanced) == (8, 8, 3, True)
    store.close()


def test_another_event_under_a_seq_that_is_taken_is_kept_beside(store, path):
    store.commit([batch(1, 3)], [])
    other = row(2, event_of(99))
    outcome = store.commit([delivery(row(1), other, row(3), row(4))], [])[0]
    assert (outcome.kept, outcome.stored, outcome.duplicates, outcome.conflicts) == (True, 1, 2, 1)
    kept = ask(path, "SELECT detail, payload FROM refused WHERE reason = 'conflict'")
    assert kept == [(f"{JOURNAL.hex()}/routine/2", other.cbor)]
    assert ask(path, "SELECT digest FROM events WHERE seq = 2") == [(row(2).digest,)]
    again = store.commit([delivery(other)], [])[0]  # its acknowledgement was lost
    assert (again.kept, again.duplicates, again.conflicts) == (True, 1, 0)
    assert book_of(store).conflicts == 1


def test_a_conflict_that_cannot_be_kept_is_left_with_its_gateway(store, path, monkeypatch):
    monkeypatch.setattr(sqlite_module, "MAX_CONFLICTS", 1)
    store.commit([batch(1, 3)], [])
    clash = [delivery(row(seq, event_of(100 + seq)), row(seq + 1)) for seq in (1, 2)]
    first, second = store.commit(clash, [])
    assert (first.kept, second.kept) == (True, False)
    assert ask(path, "SELECT count(*) FROM refused") == [(1,)]


def test_the_same_seq_of_another_lane_or_journal_is_another_event(store):
    deliveries = [batch(1, 2), batch(1, 2, lane=U), batch(1, 2, journal=bytes(16))]
    assert [outcome.stored for outcome in store.commit(deliveries, [])] == [2, 2, 2]
    assert all(book.balanced for book in store.books())
    assert len(store.books()) == 3


def test_what_is_missing_is_missing_until_it_comes_or_a_gap_tells(store):
    store.commit([batch(1, 2), batch(6, 7)], [])
    assert (book_of(store).missing, book_of(store).balanced) == (3, False)
    store.commit([delivery(gap_row(8, 3, 4))], [])
    assert (book_of(store).missing, book_of(store).lost) == (1, 2)
    store.commit([batch(5, 5)], [])
    assert book_of(store).balanced


def test_a_gap_counts_what_is_not_stored_once(store):
    gaps = [gap_row(20, 1, 10), gap_row(21, 5, 12), gap_row(22, 5, 12), gap_row(23, 13, 15)]
    store.commit([delivery(*gaps), batch(9, 10), batch(16, 19)], [])
    book = book_of(store)
    assert (book.lost, book.stored, book.accepted, book.balanced) == (13, 10, 23, True)


def test_a_gap_of_a_lane_of_which_nothing_ever_came(store):
    store.commit([delivery(gap_row(1, 1, 4, lane=U))], [])
    book = book_of(store, U)
    assert (book.gateway, book.accepted, book.stored, book.lost) == (GATEWAY, 4, 0, 4)
    assert book.balanced


ranges = st.lists(st.tuples(st.integers(1, 40), st.integers(0, 10)), max_size=8)


@given(ranges)
def test_merge_is_the_union(pairs):
    spans = [(first, first + length) for first, length in pairs]
    merged = merge(spans)
    union = {n for first, last in spans for n in range(first, last + 1)}
    assert [n for first, last in merged for n in range(first, last + 1)] == sorted(union)
    assert all(b[0] > a[1] + 1 for a, b in itertools.pairwise(merged))


def unknown_row(seq, boot=BOOT):
    stamp = Stamp(boot, seq * 1000, 12345, TimeQuality.UNKNOWN)
    return row(seq, event_of(seq, stamp=stamp))


def anchor_row(seq, uptime_ms, wall_ms, boot=BOOT, quality=TimeQuality.SYNCHRONISED):
    stamp = Stamp(boot, uptime_ms, wall_ms, quality)
    return row(seq, event_of(seq, Kind.ANCHOR, measurements=(), stamp=stamp))


OTHER_BOOT = bytes(8)
STORY = [
    unknown_row(1),
    unknown_row(2, OTHER_BOOT),
    anchor_row(3, 10_000, WALL),
    unknown_row(4),
    anchor_row(5, 60_000, WALL + 50_003),  # later, and 3 ms off: the earliest counts
    row(6),
    anchor_row(7, 70_000, 999, quality=TimeQuality.UNKNOWN),  # ties nothing
]
TIMES = [
    (1, WALL - 9_000, "anchored"),
    (2, 12345, "unknown"),
    (3, WALL, "synchronised"),
    (4, WALL - 6_000, "anchored"),
    (5, WALL + 50_003, "synchronised"),
    (6, WALL + 6, "synchronised"),
    (7, WALL + 60_000, "anchored"),
]


@given(order=st.permutations(range(len(STORY))), cuts=st.sets(st.integers(1, 6)))
@settings(max_examples=60, deadline=None)
def test_true_times_do_not_depend_on_what_comes_first(tmp_path_factory, order, cuts):
    path = str(tmp_path_factory.mktemp("store") / "events.db")
    store = SqliteStore(path)
    deliveries = [delivery(STORY[index]) for index in order]
    edges = [0, *sorted(cuts), len(order)]
    for start, stop in itertools.pairwise(edges):
        store.commit(deliveries[start:stop], [])
    store.close()
    assert ask(path, "SELECT seq, time, time_quality FROM events ORDER BY seq") == TIMES


def test_anchors_of_another_journal_change_nothing(store, path):
    store.commit(
        [delivery(unknown_row(1)), delivery(anchor_row(1, 0, WALL), journal=bytes(16))], []
    )
    times = ask(path, "SELECT time FROM events WHERE journal = ?", JOURNAL.hex())
    assert times == [(12345,)]


def test_refused_bytes_are_kept_once_with_their_count(store, path):
    for _ in range(3):
        store.commit([], [refusal(1), refusal(1, Reason.UNKNOWN_VERSION)])
    rows = ask(path, "SELECT reason, detail, times, payload FROM refused ORDER BY reason")
    payload = refusal(1).payload
    assert rows == [("malformed", "why", 3, payload), ("unknown_version", "why", 3, payload)]


def test_a_flood_of_refused_bytes_is_bounded_and_conflicts_stay(store, path, monkeypatch):
    monkeypatch.setattr(sqlite_module, "MAX_REFUSED_ROWS", 10)
    monkeypatch.setattr(sqlite_module, "MAX_REFUSED_BYTES", 500)
    store.commit([batch(1, 1)], [])
    store.commit([delivery(row(1, event_of(50)))], [])
    for n in range(30):
        store.commit([], [refusal(n)])
    kept = ask(path, "SELECT payload FROM refused WHERE reason <> 'conflict' ORDER BY id")
    assert kept == [(refusal(n).payload,) for n in range(20, 30)]
    store.commit([], [refusal(100, size=200), refusal(101, size=200), refusal(102, size=200)])
    kept = ask(path, "SELECT length(payload) FROM refused WHERE reason <> 'conflict'")
    assert kept == [(200,), (200,)]
    assert ask(path, "SELECT count(*) FROM refused WHERE reason = 'conflict'") == [(1,)]


def test_a_failed_transaction_stores_nothing(store, path):
    with sqlite3.connect(path) as db:
        db.execute(
            "CREATE TRIGGER full BEFORE INSERT ON events WHEN new.seq = 7"
            " BEGIN SELECT raise(FAIL, 'disk full'); END"
        )
    with pytest.raises(StoreError, match="disk full"):
        store.commit([batch(1, 5), batch(6, 8)], [refusal(1)])
    for table in ("events", "streams", "refused"):
        assert ask(path, f"SELECT count(*) FROM {table}") == [(0,)]
    with sqlite3.connect(path) as db:
        db.execute("DROP TRIGGER full")
    assert store.commit([batch(1, 8)], [])[0].stored == 8


def test_threads_take_turns(store):
    def work(journal):
        for n in range(20):
            store.commit([batch(n * 5 + 1, n * 5 + 5, journal=journal)], [])

    threads = [threading.Thread(target=work, args=(bytes([n] * 16),)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [book.stored for book in store.books()] == [100] * 4


def test_commits_are_on_disk(store, path):
    assert ask(path, "PRAGMA journal_mode") == [("wal",)]
    assert store._db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert ask(path, "PRAGMA user_version") == [(len(MIGRATIONS),)]


def test_a_file_of_version_1_gets_what_came_since(path):
    with sqlite3.connect(path) as db:
        for statement in MIGRATIONS[0]:
            db.execute(statement)
        db.execute("PRAGMA user_version = 1")
    db.close()
    store = SqliteStore(path)
    store.commit([batch(1, 3)], [])
    store.order(ORDER)
    store.close()
    assert ask(path, "PRAGMA user_version") == [(len(MIGRATIONS),)]
    assert ask(path, "SELECT count(*) FROM events") == [(3,)]
    assert ask(path, "SELECT name FROM commands") == [("call.accept",)]


def test_an_order_and_its_answer(store, path):
    store.order(ORDER)
    query = "SELECT * FROM commands"
    kept = (ORDER.id.hex(), GATEWAY, "call.accept", "desk-1", WALL, WALL + 5, '{"note":"在路上","rows":[{"a":1}]}')  # fmt: skip
    assert ask(path, query) == [(*kept, None, None, None, None)]
    store.answer(ORDER, Reply(ORDER.id, Outcome.REFUSED, "expired", {"x": 2.5}))
    ((*before, answered, outcome, reason, result),) = ask(path, query)
    assert tuple(before) == kept
    assert (outcome, reason, result) == ("refused", "expired", '{"x":2.5}')
    assert answered > WALL
    with pytest.raises(StoreError):
        store.order(ORDER)


def test_a_file_of_a_newer_hearth_is_not_touched(path):
    SqliteStore(path).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="newer") as refused:
        SqliteStore(path)
    assert refused.value.hint


def test_a_file_that_is_no_database(tmp_path):
    file = tmp_path / "events.db"
    file.write_bytes(b"not a database, but longer than a header" * 100)
    with pytest.raises(StoreError):
        SqliteStore(str(file))
    assert file.read_bytes().startswith(b"not a database")
    with pytest.raises(StoreError):
        SqliteStore(str(tmp_path / "missing" / "events.db"))


def test_urls(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    open_store(f"sqlite://{tmp_path}/a.db").close()
    open_store("sqlite:b.db").close()
    assert {"a.db", "b.db"} <= {file.name for file in tmp_path.iterdir()}
    for url in ("postgres://x/y", "sqlite:", "events.db", "sqlite://host/x"):
        with pytest.raises(SettingsError, match="not the URL of a store"):
            open_store(url)
