"""Several collectors on one database: what they get at one moment is stored once, and dated."""

import random
import threading

import pytest
from brokers import JOURNAL, event_of
from store_kit import (
    OTHER_JOURNAL,
    WALL,
    U,
    anchor_row,
    ask,
    batch,
    call_row,
    delivery,
    events,
    refusal,
    row,
    unknown_row,
)

from collector.store import open_store
from gateway.model import Kind

COLLECTORS = 3


@pytest.fixture
def crowd(store_url):
    """Stores on one database, as several collectors have them."""
    stores = [open_store(store_url, outputs=("webhook",)) for _ in range(COLLECTORS)]
    yield stores
    for store in stores:
        store.close()


def all_at_once(crowd, work):
    """work(number, store) on a thread for each store; they begin together, and none may fail."""
    start, failed = threading.Barrier(len(crowd)), []

    def run(number, store):
        try:
            start.wait()
            work(number, store)
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(crowd)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


JOURNALS = [bytes([n] * 16) for n in range(6)]


def test_the_same_batches_at_all_of_them_are_stored_once(crowd):
    """Overlapping groups of several journals, each collector in an order of its own."""
    batches = [
        batch(first, first + 7, journal=journal, gateway=journal.hex()[:4])
        for journal in JOURNALS
        for first in range(1, 61, 5)
    ]

    def work(number, store):
        mine = random.Random(number).sample(batches, len(batches))
        for start in range(0, len(mine), 5):
            outcomes = store.commit(mine[start : start + 5], [])
            assert all(outcome.kept for outcome in outcomes)

    all_at_once(crowd, work)
    sent = COLLECTORS * 12 * 8
    for book in crowd[0].books():
        assert (book.stored, book.balanced, book.conflicts) == (63, True, 0)
        assert book.duplicates == sent - 63


def test_one_batch_at_one_moment(crowd, store_url):
    for first in range(1, 100, 3):
        group = [batch(first, first + 2)]
        all_at_once(crowd, lambda _, store, group=group: store.commit(group, []))
    (book,) = crowd[0].books()
    assert (book.stored, book.duplicates) == (99, 99 * (COLLECTORS - 1))
    assert ask(store_url, "SELECT count(*) FROM events") == [(99,)]


def test_an_anchor_here_dates_what_comes_there(crowd, store_url):
    """Whichever is first: the boot's other events are being stored at the same moment."""
    for n in range(40):
        boot = n.to_bytes(8, "big")
        first = 3 * n + 1
        parts = [
            delivery(anchor_row(first, 500_000, WALL, boot)),
            delivery(unknown_row(first + 1, boot)),
            delivery(unknown_row(first + 2, boot)),
        ]
        all_at_once(crowd, lambda number, store, parts=parts: store.commit([parts[number]], []))
    undated = ask(store_url, "SELECT seq, boot FROM events WHERE time_quality = 'unknown'")
    assert undated == []
    wrong = ask(store_url, "SELECT seq FROM events WHERE time <> ? + uptime", WALL - 500_000)
    assert wrong == []


def test_groups_in_opposite_order_do_not_wait_for_each_other_for_ever(crowd):
    """The same journals and the same refused bytes, crosswise."""

    def work(number, store):
        for n in range(1, 30):
            group = [batch(n, n + 3), batch(n, n + 3, journal=OTHER_JOURNAL)]
            store.commit(group[:: 1 if number % 2 else -1], [])

    all_at_once(crowd, work)
    refusals = [refusal(n) for n in range(30)]

    def refuse(number, store):
        for _ in range(20):
            store.commit([], refusals[:: 1 if number % 2 else -1])

    all_at_once(crowd, refuse)


def test_conflicts_of_all_of_them_are_counted_once(crowd):
    crowd[0].commit([batch(1, 29)], [])
    clashes = [delivery(row(n, event_of(1000 + n))) for n in range(1, 30)]
    all_at_once(crowd, lambda _, store: [store.commit([it], []) for it in clashes])
    (book,) = crowd[0].books()
    assert (book.conflicts, book.duplicates) == (29, 29 * (COLLECTORS - 1))


def test_refused_bytes_are_counted_together(crowd, store_url):
    all_at_once(crowd, lambda _, store: [store.commit([], [refusal(1)]) for _ in range(20)])
    assert ask(store_url, "SELECT times FROM refused") == [(20 * COLLECTORS,)]


def test_the_newest_word_counts_whoever_hears_it(crowd):
    faults = [
        events(
            event_of(n, Kind.FAULT, measurements=(), detail={"fault": "x", "active": n == 30}),
            first=n,
        )
        for n in range(1, 31)
    ]

    def work(number, store):
        for told in random.Random(number).sample(faults, len(faults)):
            store.commit([told], [])

    all_at_once(crowd, work)
    assert crowd[0].fleet()[0].faults == (("meter-1", "x"),)


def test_an_alarm_is_in_line_once(crowd, store_url):
    all_at_once(crowd, lambda _, store: store.commit([delivery(call_row(1), lane=U)], []))
    assert ask(store_url, "SELECT journal, seq FROM due") == [(JOURNAL.hex(), 1)]


def test_alarms_are_given_up_by_all_at_once(crowd, store_url):
    for first in range(1, 60, 10):
        crowd[0].commit([delivery(*map(call_row, range(first, first + 10)), lane=U)], [])

    def work(_, store):
        while dues := store.due("webhook", 3):
            for due in dues:
                store.give_up(due, "404")

    all_at_once(crowd, work)
    assert ask(store_url, "SELECT count(*), count(DISTINCT seq) FROM undelivered") == [(60, 60)]
