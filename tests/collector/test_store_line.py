"""The line of alarms for outputs: in it with the event, out of it when told, never forgotten."""

import json
import threading

import pytest
from brokers import GATEWAY, JOURNAL, event_of
from store_kit import U, ask, batch, call_row, delivery, row

from collector.due import Waiting
from collector.storage import line, words
from collector.store import open_store
from gateway.errors import StoreError
from gateway.model import Kind

NOW_MS = 1_800_000_000_000
OUTPUTS = ("webhook", "screen")


@pytest.fixture
def now(monkeypatch):
    """The collector's clock, to be set."""
    clock = {"ms": NOW_MS}
    monkeypatch.setattr(words.time, "time_ns", lambda: clock["ms"] * 1_000_000)
    return clock


@pytest.fixture
def store(store_url, now):
    store = open_store(store_url, outputs=OUTPUTS)
    yield store
    store.close()


def calls(*seqs):
    return delivery(*map(call_row, seqs), lane=U)


def seqs(dues):
    return [due.seq for due in dues]


def test_an_urgent_event_is_due_at_each_output(store):
    store.commit([calls(1), batch(1, 3)], [])
    for output in OUTPUTS:
        (due,) = store.due(output, 10)
        assert (due.output, due.tries, due.gateway, due.journal) == (
            output,
            0,
            GATEWAY,
            JOURNAL.hex(),
        )
        assert (due.lane, due.seq, due.device, due.kind) == ("urgent", 1, "meter-1", "call")
        assert (due.time_ms, due.time_quality) == (1_700_000_000_001, "synchronised")
        assert json.loads(due.body)["detail"] == {"call": "c1"}


@pytest.mark.parametrize("kind", list(Kind))
def test_which_kinds_are_due(store, kind):
    store.commit([delivery(row(1, event_of(1, kind)), lane=U)], [])
    urgent = {Kind.CALL, Kind.CALL_STATE, Kind.ALARM}
    assert len(store.due("webhook", 10)) == (kind in urgent)


def test_a_duplicate_or_a_conflict_is_not_due_again(store):
    store.commit([calls(1, 2)], [])
    store.commit([calls(1, 2, 3)], [])
    store.commit([delivery(row(1, event_of(9, Kind.CALL)), lane=U)], [])
    assert seqs(store.due("webhook", 10)) == [1, 2, 3]


def test_without_outputs_there_is_no_line(store_url):
    store = open_store(store_url)
    store.commit([calls(1)], [])
    assert (store.due("webhook", 10), store.waiting()) == ([], [])
    assert ask(store_url, "SELECT count(*) FROM due") == [(0,)]
    store.close()


def test_the_oldest_first_and_each_for_one_who_asks(store):
    store.commit([calls(5, 6, 7)], [])
    store.commit([calls(1, 2)], [])
    assert seqs(store.due("webhook", 2)) == [5, 6]
    assert seqs(store.due("webhook", 10)) == [7, 1, 2]
    assert store.due("webhook", 10) == []
    assert seqs(store.due("screen", 10)) == [5, 6, 7, 1, 2]


def test_what_nobody_told_is_due_again(store, now):
    """Whoever claimed it is dead."""
    store.commit([calls(1)], [])
    (first,) = store.due("webhook", 10)
    now["ms"] += 1000 * line.CLAIM_S - 1
    assert store.due("webhook", 10) == []
    now["ms"] += 1
    assert store.due("webhook", 10) == [first]


def test_told_is_out_of_the_line(store, store_url, now):
    store.commit([calls(1, 2)], [])
    one, two = store.due("webhook", 10)
    store.told(one)
    store.told(one)  # twice is no harm
    now["ms"] += 1000 * line.CLAIM_S
    assert store.due("webhook", 10) == [two]
    assert len(store.due("screen", 10)) == 2
    assert ask(store_url, "SELECT count(*) FROM undelivered") == [(0,)]


def test_put_off_is_due_again_from_then_on_and_counted(store, store_url, now):
    store.commit([calls(1, 2)], [])
    one, two = store.due("webhook", 10)
    store.put_off(one, NOW_MS + 5000, "503")
    store.told(two)
    now["ms"] += 4999
    assert store.due("webhook", 10) == []
    now["ms"] += 1
    (again,) = store.due("webhook", 10)
    assert (again.id, again.tries) == (one.id, 1)
    assert ask(store_url, "SELECT reason FROM due WHERE id = ?", one.id) == [("503",)]


def test_given_up_is_kept_with_its_reason(store, store_url, now):
    store.commit([calls(1)], [])
    (due,) = store.due("webhook", 10)
    store.put_off(due, NOW_MS, "503")
    now["ms"] += 1
    (due,) = store.due("webhook", 10)
    store.give_up(due, "404\0")
    query = "SELECT output, journal, lane, seq, since, given_up, tries, reason FROM undelivered"
    kept = ("webhook", JOURNAL.hex(), "urgent", 1, NOW_MS, NOW_MS + 1, 1, "404\ufffd")
    assert ask(store_url, query) == [kept]
    store.give_up(due, "again")
    assert ask(store_url, query) == [kept]
    now["ms"] += 10 * 1000 * line.CLAIM_S
    assert store.due("webhook", 10) == []


def test_the_undelivered_are_bounded(store, store_url, monkeypatch):
    monkeypatch.setattr(line, "MAX_UNDELIVERED", 3)
    store.commit([calls(*range(1, 7))], [])
    for due in store.due("webhook", 10):
        store.give_up(due, "404")
    assert ask(store_url, "SELECT seq FROM undelivered ORDER BY id") == [(4,), (5,), (6,)]


def test_how_many_wait_since_when(store, now):
    assert store.waiting() == [Waiting("screen", 0, None), Waiting("webhook", 0, None)]
    store.commit([calls(1)], [])
    now["ms"] += 500
    store.commit([calls(2)], [])
    (due,) = store.due("webhook", 1)
    assert store.waiting() == [Waiting("screen", 2, NOW_MS), Waiting("webhook", 2, NOW_MS)]
    store.told(due)
    assert store.waiting() == [Waiting("screen", 2, NOW_MS), Waiting("webhook", 1, NOW_MS + 500)]


def test_a_line_outlives_its_store_and_is_seen_by_others(store, store_url):
    store.commit([calls(1, 2)], [])
    other = open_store(store_url)
    assert other.waiting() == [Waiting("screen", 2, NOW_MS), Waiting("webhook", 2, NOW_MS)]
    assert seqs(other.due("webhook", 1)) == [1]
    assert seqs(store.due("webhook", 9)) == [2]
    other.close()


def test_its_time_is_the_true_one_by_then(store):
    from brokers import BOOT
    from store_kit import anchor_row

    from gateway.model import Stamp, TimeQuality

    stamp = Stamp(BOOT, 5000, 12345, TimeQuality.UNKNOWN)
    store.commit([delivery(row(1, event_of(1, Kind.CALL, stamp=stamp)), lane=U)], [])
    store.commit([delivery(anchor_row(1, 10_000, NOW_MS))], [])
    (due,) = store.due("webhook", 1)
    assert (due.time_ms, due.time_quality) == (NOW_MS - 5000, "anchored")


def test_what_is_not_stored_is_not_in_line(store, store_url):
    if store_url.startswith("sqlite"):
        ask(
            store_url,
            "CREATE TRIGGER full_disk BEFORE INSERT ON due BEGIN SELECT raise(FAIL, 'no'); END",
        )
    else:
        ask(store_url, "ALTER TABLE due ADD CONSTRAINT no CHECK (seq < 0)")
    with pytest.raises(StoreError):
        store.commit([calls(1)], [])
    for table in ("events", "due", "streams"):
        assert ask(store_url, f"SELECT count(*) FROM {table}") == [(0,)]


def test_many_who_ask_at_once_get_each_alarm_once(store, store_url):
    store.commit([calls(*range(1, 201))], [])
    got, lock = [], threading.Lock()

    def work():
        mine = open_store(store_url, outputs=OUTPUTS)
        while dues := mine.due("webhook", 7):
            with lock:
                got.extend(seqs(dues))
            for due in dues:
                mine.told(due)
        mine.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == list(range(1, 201))
    assert store.waiting()[1] == Waiting("webhook", 0, None)
