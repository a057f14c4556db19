"""The store: once each, never silently less, and books that balance. On each of its databases."""

import itertools
import json
import random
import threading

import pytest
from brokers import BOOT, GATEWAY, JOURNAL, event_of
from hypothesis import given, settings
from hypothesis import strategies as st
from store_kit import (
    WALL,
    U,
    anchor_row,
    ask,
    batch,
    book_of,
    delivery,
    gap_row,
    refusal,
    row,
    unknown_row,
)

from collector.books import merge
from collector.delivery import Reason, Refusal
from collector.storage import refused
from collector.store import open_store
from gateway.commands.wire import Command, Outcome, Reply
from gateway.errors import SettingsError, StoreError
from gateway.model import Event, Kind, Measurement, Stamp, TimeQuality

ORDER = Command(
    GATEWAY,
    bytes(16),
    "call.accept",
    WALL,
    WALL + 5,
    "desk-1",
    {"note": "在路上", "rows": [{"a": 1}]},
)


def as_json(column):
    """PostgreSQL's JSONB comes decoded."""
    return json.loads(column) if isinstance(column, str) else column


def test_a_stored_event_reads_like_a_sentence(store, store_url):
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
        store_url,
        "SELECT journal, gateway, lane, seq, device, kind, time, time_quality, boot, uptime, body"
        " FROM events",
    )
    assert got[:10] == (
        JOURNAL.hex(), GATEWAY, "routine", 7, "band-1", "measurement", WALL, "synchronised",
        BOOT.hex(), 5000,
    )  # fmt: skip
    assert as_json(got[10]) == {
        "measurements": [{"n": "heart_rate", "u": "beat/min", "v": 71}, {"n": "worn", "vb": True}],
        "labels": {"room": "厨房"},
        "detail": {"battery": 0.5, "note": "x"},
    }


RATES = {
    "sqlite": "SELECT r.value ->> 'v' FROM events, json_each(body, '$.measurements') AS r"
    " WHERE r.value ->> 'n' = 'heart_rate'",
    "postgresql": "SELECT (r ->> 'v')::int FROM events, jsonb_array_elements(body -> 'measurements')"
    " AS r WHERE r ->> 'n' = 'heart_rate'",
}


def test_a_person_can_ask_for_every_heart_rate(store, store_url):
    event = event_of(1, measurements=(Measurement("heart_rate", 71, "beat/min"),))
    store.commit([delivery(row(1, event), row(2))], [])
    assert ask(store_url, RATES[store_url.partition(":")[0]]) == [(71,)]


def test_duplicates_are_stored_once_and_counted_for_good(store_url):
    store = open_store(store_url)
    assert store.commit([batch(1, 5)], [])[0].stored == 5
    again = store.commit([batch(3, 8)], [])[0]
    assert (again.kept, again.stored, again.duplicates) == (True, 3, 3)
    store.close()
    store = open_store(store_url)
    book = book_of(store)
    assert (book.accepted, book.stored, book.duplicates, book.balanced) == (8, 8, 3, True)
    store.close()


def test_another_event_under_a_seq_that_is_taken_is_kept_beside(store, store_url):
    store.commit([batch(1, 3)], [])
    other = row(2, event_of(99))
    outcome = store.commit([delivery(row(1), other, row(3), row(4))], [])[0]
    assert (outcome.kept, outcome.stored, outcome.duplicates, outcome.conflicts) == (True, 1, 2, 1)
    kept = ask(store_url, "SELECT detail, payload FROM refused WHERE reason = 'conflict'")
    assert kept == [(f"{JOURNAL.hex()}/routine/2", other.cbor)]
    assert ask(store_url, "SELECT digest FROM events WHERE seq = 2") == [(row(2).digest,)]
    again = store.commit([delivery(other)], [])[0]  # its acknowledgement was lost
    assert (again.kept, again.duplicates, again.conflicts) == (True, 1, 0)
    assert book_of(store).conflicts == 1


def test_a_conflict_that_cannot_be_kept_is_left_with_its_gateway(store, store_url, monkeypatch):
    monkeypatch.setattr(refused, "MAX_CONFLICTS", 1)
    store.commit([batch(1, 3)], [])
    clash = [delivery(row(seq, event_of(100 + seq)), row(seq + 1)) for seq in (1, 2)]
    first, second = store.commit(clash, [])
    assert (first.kept, second.kept) == (True, False)
    assert ask(store_url, "SELECT count(*) FROM refused") == [(1,)]


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


OTHER_BOOT = bytes(8)
STORY = [
    unknown_row(1),
    unknown_row(2, OTHER_BOOT),
    anchor_row(3, 10_000, WALL),
    unknown_row(4),
    anchor_row(5, 60_000, WALL + 50_003),  # later, and 3 ms off: the earliest counts
    row(6),
    anchor_row(7, 70_000, 999, quality=TimeQuality.UNKNOWN),  # ties nothing
    unknown_row(8, quality=TimeQuality.ANCHORED),  # dated before it came, by another anchor
]
TIMES = [
    (1, WALL - 9_000, "anchored"),
    (2, 12345, "unknown"),
    (3, WALL, "synchronised"),
    (4, WALL - 6_000, "anchored"),
    (5, WALL + 50_003, "synchronised"),
    (6, WALL + 6, "synchronised"),
    (7, WALL + 60_000, "anchored"),
    (8, WALL - 2_000, "anchored"),
]


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
@given(order=st.permutations(range(len(STORY))), cuts=st.sets(st.integers(1, 7)))
@settings(max_examples=40, deadline=None)
def test_true_times_do_not_depend_on_what_comes_first(new_url, kind, order, cuts):
    store_url = new_url(kind)
    store = open_store(store_url)
    deliveries = [delivery(STORY[index]) for index in order]
    edges = [0, *sorted(cuts), len(order)]
    for start, stop in itertools.pairwise(edges):
        store.commit(deliveries[start:stop], [])
    store.close()
    assert ask(store_url, "SELECT seq, time, time_quality FROM events ORDER BY seq") == TIMES


def test_anchors_of_another_journal_change_nothing(store, store_url):
    store.commit(
        [delivery(unknown_row(1)), delivery(anchor_row(1, 0, WALL), journal=bytes(16))], []
    )
    times = ask(store_url, "SELECT time FROM events WHERE journal = ?", JOURNAL.hex())
    assert times == [(12345,)]


def test_refused_bytes_are_kept_once_with_their_count(store, store_url):
    for _ in range(3):
        store.commit([], [refusal(1), refusal(1, Reason.UNKNOWN_VERSION)])
    rows = ask(store_url, "SELECT reason, detail, times, payload FROM refused ORDER BY reason")
    payload = refusal(1).payload
    assert rows == [("malformed", "why", 3, payload), ("unknown_version", "why", 3, payload)]


def test_a_flood_of_refused_bytes_is_bounded_and_conflicts_stay(store, store_url, monkeypatch):
    monkeypatch.setattr(refused, "MAX_REFUSED_ROWS", 10)
    monkeypatch.setattr(refused, "MAX_REFUSED_BYTES", 500)
    store.commit([batch(1, 1)], [])
    store.commit([delivery(row(1, event_of(50)))], [])
    for n in range(30):
        store.commit([], [refusal(n)])
    kept = ask(store_url, "SELECT payload FROM refused WHERE reason <> 'conflict' ORDER BY id")
    assert kept == [(refusal(n).payload,) for n in range(20, 30)]
    store.commit([], [refusal(100, size=200), refusal(101, size=200), refusal(102, size=200)])
    kept = ask(store_url, "SELECT length(payload) FROM refused WHERE reason <> 'conflict'")
    assert kept == [(200,), (200,)]
    assert ask(store_url, "SELECT count(*) FROM refused WHERE reason = 'conflict'") == [(1,)]


TRIGGERS = {
    "sqlite": (
        (
            "CREATE TRIGGER full_disk BEFORE INSERT ON events WHEN new.seq = 7"
            " BEGIN SELECT raise(FAIL, 'disk full'); END"
        ),
        "DROP TRIGGER full_disk",
    ),
    "postgresql": (
        (
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'disk full' USING ERRCODE = 'disk_full'; END $$;"
            " CREATE TRIGGER full_disk BEFORE INSERT ON events FOR EACH ROW WHEN (new.seq = 7)"
            " EXECUTE FUNCTION fail()"
        ),
        "DROP TRIGGER full_disk ON events",
    ),
}


def test_a_failed_transaction_stores_nothing(store, store_url):
    fill, free = TRIGGERS[store_url.partition(":")[0]]
    ask(store_url, fill)
    with pytest.raises(StoreError, match="disk full") as failed:
        store.commit([batch(1, 5), batch(6, 8)], [refusal(1)])
    assert "disk" in failed.value.hint
    for table in ("events", "streams", "refused"):
        assert ask(store_url, f"SELECT count(*) FROM {table}") == [(0,)]
    ask(store_url, free)
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


def test_an_order_and_its_answer(store, store_url):
    store.order(ORDER)
    query = "SELECT * FROM commands"
    kept = (ORDER.id.hex(), GATEWAY, "call.accept", "desk-1", WALL, WALL + 5)
    (found,) = ask(store_url, query)
    assert (found[:6], found[7:]) == (kept, (None,) * 4)
    assert as_json(found[6]) == {"note": "在路上", "rows": [{"a": 1}]}
    store.answer(ORDER, Reply(ORDER.id, Outcome.REFUSED, "expired", {"x": 2.5}))
    ((*before, _, answered, outcome, reason, result),) = ask(store_url, query)
    assert tuple(before) == kept
    assert (outcome, reason, as_json(result)) == ("refused", "expired", {"x": 2.5})
    assert answered > WALL
    with pytest.raises(StoreError):
        store.order(ORDER)


def test_text_that_a_database_does_not_take_is_mended_and_stored(store, store_url):
    """NUL, which PostgreSQL has no place for: refused for ever, it would block its gateway."""
    event = event_of(1, labels={"room\0": "a\\u0000b\0c"}, detail={"x": "\\\0"})
    event = Event(event.kind, "dev\0ice", event.stamp, (), event.labels, event.detail)
    store.commit(
        [delivery(row(1, event), gap_row(2, 5, 6, reason="a\0b"))],
        [Refusal("top\0ic", b"x\0", Reason.MALFORMED, "y\0" * 5000)],
    )
    assert store.commit([delivery(row(1, event))], [])[0].duplicates == 1
    ((device, body),) = ask(store_url, "SELECT device, body FROM events WHERE seq = 1")
    assert device == "dev\ufffdice"
    assert as_json(body) == {
        "labels": {"room\ufffd": "a\\u0000b\ufffdc"},
        "detail": {"x": "\\\ufffd"},
    }
    assert ask(store_url, "SELECT reason FROM gaps") == [("a\ufffdb",)]
    assert ask(store_url, "SELECT topic, payload FROM refused") == [("top\ufffdic", b"x\0")]


def test_the_longest_names_fit_into_every_index(store, store_url):
    """PostgreSQL takes 2704 bytes into one; what it refused would block its gateway for ever."""
    rng = random.Random(1)  # nothing that a database could make shorter

    def long():
        return "".join(chr(rng.randint(0x20000, 0x2A000)) for _ in range(256))

    named = Event(Kind.FAULT, long(), event_of(1).stamp, (), {}, {"fault": long(), "active": True})
    text = "".join(long() for _ in range(40))
    refusals = [Refusal(long() * 50, b"x", Reason.MALFORMED, text)] * 2
    store.commit([delivery(row(1, named), gap_row(2, 5, 6, reason=long()))], refusals)
    assert store.fleet()[0].faults == ((named.device, named.detail["fault"]),)
    ((detail, times),) = ask(store_url, "SELECT detail, times FROM refused")
    assert (text.startswith(detail), times) == (True, 2)


def test_what_comes_twice_in_one_group_is_stored_once(store):
    other = row(2, event_of(99))
    group = [batch(1, 3), batch(2, 5), delivery(other), batch(5, 5)]
    outcomes = store.commit(group, [])
    told = [(it.stored, it.duplicates, it.conflicts) for it in outcomes]
    assert told == [(3, 0, 0), (2, 2, 0), (0, 0, 1), (0, 1, 0)]
    book = book_of(store)
    assert (book.stored, book.duplicates, book.conflicts) == (5, 3, 1)


def test_a_group_of_many_gateways(store):
    """More journals than there are locks for them."""
    group = [batch(1, 2, journal=n.to_bytes(8, "big") * 2, gateway=f"gw-{n}") for n in range(1500)]
    assert {outcome.stored for outcome in store.commit(group, [])} == {2}
    assert {outcome.duplicates for outcome in store.commit(group, [])} == {2}
    assert len(store.fleet()) == 1500


def test_who_reads_holds_up_nobody_who_stores(store, store_url):
    """The books of millions of events take a while."""
    store.commit([batch(1, 5)], [])
    with store._database.reading() as reading:
        count = "SELECT count(*) FROM events"
        assert reading.rows(count) == [(5,)]
        assert store.commit([batch(6, 9)], [])[0].stored == 4
        assert reading.rows(count) == [(5,)]  # as it was when the reading began
    assert book_of(store).stored == 9


def test_urls(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    open_store(f"sqlite://{tmp_path}/a.db").close()
    open_store("sqlite:b.db").close()
    assert {"a.db", "b.db"} <= {file.name for file in tmp_path.iterdir()}
    for url in ("postgres://x/y", "sqlite:", "events.db", "sqlite://host/x"):
        with pytest.raises(SettingsError, match="not the URL of a store"):
            open_store(url)
    with pytest.raises(SettingsError) as refused:
        open_store("mysql://me:secret@host/x")
    assert "secret" not in str(refused.value)
