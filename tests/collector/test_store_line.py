"""The line of alarms for outputs: in it with the event, out of it when told, never forgotten."""

import json
import threading
import time

import msgspec
import pytest
from brokers import GATEWAY, JOURNAL, event_of
from store_kit import U, ask, batch, call_row, delivery, row

from collector.due import Waiting
from collector.storage import hands, lapses, line, words
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


@pytest.fixture
def eager(monkeypatch):
    """Every question is a look, and nobody's heart beats by itself."""
    monkeypatch.setattr(lapses, "LOOK_S", 0.0)
    monkeypatch.setattr(hands, "BEAT_S", 1000.0)


@pytest.fixture
def other(store, store_url):
    """Another collector's store."""
    other = open_store(store_url, outputs=OUTPUTS)
    yield other
    other.close()


def looks_in_vain(store, count=lapses.LOOKS):
    return [store.due("webhook", 10) for _ in range(count)] == [[]] * count


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


def test_what_the_dead_had_in_hand_is_due_again(store, other, eager):
    store.commit([calls(1, 2, 3)], [])
    dead = store.due("webhook", 2)
    assert seqs(other.due("webhook", 1)) == [3]
    assert looks_in_vain(other, lapses.LOOKS - 1)
    assert other.due("webhook", 10) == dead
    assert looks_in_vain(store)


def test_what_the_living_have_in_hand_is_theirs(store, other, eager):
    """Also when each look but one comes before the next sign of life."""
    store.commit([calls(1)], [])
    (due,) = store.due("webhook", 10)
    for _ in range(5):
        assert looks_in_vain(other)
        store._beat([due.id])
    assert looks_in_vain(other)
    assert seqs(other.due("webhook", 10)) == [1]


def test_each_claim_looks_new(store, other, eager):
    """Who looks now and then sees the same alarm in the same hands, each time for another try."""
    store.commit([calls(1)], [])
    for _ in range(2 * lapses.LOOKS):
        (due,) = store.due("webhook", 1)
        assert looks_in_vain(other, 1)
        store.put_off(due, NOW_MS, "503")


def test_looks_in_a_row_count_as_one(store, other, monkeypatch):
    monkeypatch.setattr(hands, "BEAT_S", 1000.0)
    store.commit([calls(1)], [])
    store.due("webhook", 10)
    assert looks_in_vain(other, 10 * lapses.LOOKS)


def test_what_hangs_in_the_hands_of_the_living_is_anothers_turn(store, other, monkeypatch):
    monkeypatch.setattr(lapses, "LOOK_S", 0.1)
    monkeypatch.setattr(hands, "BEAT_S", 0.02)
    monkeypatch.setattr(hands, "CLAIM_S", 1.0)
    store.commit([calls(1)], [])
    store.due("webhook", 10)
    began_s = time.monotonic()
    while not other.due("webhook", 10):
        time.sleep(0.01)
    assert 1.0 <= time.monotonic() - began_s < 5


@pytest.mark.parametrize("step_ms", [-86_400_000, 86_400_000])
def test_a_clock_that_is_set_changes_no_claim(store, other, eager, now, step_ms):
    store.commit([calls(1)], [])
    (due,) = store.due("webhook", 10)
    now["ms"] += step_ms
    for _ in range(3):
        assert looks_in_vain(other)
        store._beat([due.id])
    assert looks_in_vain(other)
    assert other.due("webhook", 10) == [due]


def test_a_clock_that_is_set_back_delays_nothing_for_long(store, eager, now):
    """Not at all what is new; what was put off, as if it had not been."""
    store.commit([calls(1)], [])
    (due,) = store.due("webhook", 10)
    store.put_off(due, NOW_MS + 600_000, "503")
    store.commit([calls(2)], [])
    now["ms"] -= 1000 * line.LONGEST_S
    assert seqs(store.due("webhook", 10)) == [1, 2]


def test_what_was_put_off_for_long_is_not_due_before(store, eager, now):
    store.commit([calls(1)], [])
    (due,) = store.due("webhook", 10)
    store.put_off(due, NOW_MS + 600_000, "404")
    assert looks_in_vain(store)
    now["ms"] += 599_999
    assert looks_in_vain(store)


def test_who_comes_back_too_late_changes_nothing(store, other, store_url, eager):
    """It was stopped for a while: by then others have the alarm in hand."""
    store.commit([calls(1)], [])
    (late,) = store.due("webhook", 10)
    assert looks_in_vain(other)
    (due,) = other.due("webhook", 10)
    before = ask(store_url, "SELECT * FROM due WHERE output = 'webhook'")
    store.put_off(late, NOW_MS, "503")
    store._beat([late.id])
    assert ask(store_url, "SELECT * FROM due WHERE output = 'webhook'") == before
    store.told(late)  # it was: the other one need not put it off
    other.put_off(due, NOW_MS, "503")
    assert store.waiting()[1].count == 0


def test_told_is_out_of_the_line(store, store_url, eager):
    store.commit([calls(1, 2)], [])
    one, two = store.due("webhook", 10)
    store.told(one)
    store.told(one)  # twice is no harm
    assert looks_in_vain(store)
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
    assert (again.id, again.tries, again.waited_ms) == (one.id, 1, 0)
    assert ask(store_url, "SELECT reason FROM due WHERE id = ?", one.id) == [("503",)]


def test_how_long_it_was_put_off_is_kept(store, store_url, now):
    store.commit([calls(1)], [])
    for waited_ms in (500, 1500):
        (due,) = store.due("webhook", 10)
        store.put_off(msgspec.structs.replace(due, waited_ms=waited_ms), NOW_MS, "503")
    other = open_store(store_url)
    (due,) = other.due("webhook", 10)
    assert due.waited_ms == 1500
    other.close()


def test_given_up_is_kept_with_its_reason(store, store_url, eager, now):
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
    assert looks_in_vain(store, 10 * lapses.LOOKS)


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
