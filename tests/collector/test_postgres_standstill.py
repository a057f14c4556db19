"""A PostgreSQL whose processes are stopped: its sockets are in order, and nobody answers."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import threading
import time
import urllib.request
from pathlib import Path

import pytest
from brokers import GATEWAY, MemoryBacklog, needs_mosquitto, payload_of, settings_for, until
from collect_kit import Hearth
from postgres_server import PostgresServer
from store_kit import ask, batch, book_of, call_row, delivery

from collector.storage import hands, lapses, postgres
from collector.storage.intake import keep_events
from collector.storage.refused import Refused
from collector.store import open_store
from drivers.sim.loopback import HOST, free_port
from gateway.errors import StoreError
from gateway.forwarding.forwarder import Forwarder
from gateway.model import Lane

LIMIT_S, CONNECT_LIMIT_S = 2.0, 2
SOON_S = 20.0  # what a busy machine adds; without a limit it would be for ever
IMPATIENT = (str(Path(__file__).with_name("impatient_process.py")),)
R, U = Lane.ROUTINE, Lane.URGENT


@pytest.fixture(scope="module")
def server(postgres):
    """A server of these tests' own, to be stopped; skipped as `postgres` is."""
    with PostgresServer(listen_addresses=HOST, port=str(free_port())) as server:
        yield server


@pytest.fixture
def store_url(request, server):
    """Over a Unix socket, where a test does not ask for TCP."""
    host = HOST if getattr(request, "param", "unix") == "tcp" else ""
    return f"{server.url(server.new_database(), host)}&connect_timeout={CONNECT_LIMIT_S}"


over_both = pytest.mark.parametrize("store_url", ["unix", "tcp"], indirect=True)


@pytest.fixture
def stopped(server):
    """Stops it when it is called; it goes on when the test ends, at the latest."""
    yield server.pause
    server.resume()


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(postgres, "WRITE_LIMIT_S", LIMIT_S)
    monkeypatch.setattr(postgres, "READ_LIMIT_S", LIMIT_S)


@pytest.fixture
def store(store_url, impatient):
    store = open_store(store_url)
    yield store
    store.close()


@contextlib.contextmanager
def fails_within(limit_s):
    began_s = time.monotonic()
    with pytest.raises(StoreError) as failed:
        yield failed
    assert time.monotonic() - began_s < limit_s + SOON_S


def keep(transaction, *batches):
    keep_events(transaction, list(batches), Refused(transaction, 0), (), 0)


# --- the store -----------------------------------------------------------------------------------


@over_both
def test_a_commit_does_not_wait_for_ever(store, server, stopped):
    store.commit([batch(1, 3)], [])
    stopped()
    with fails_within(LIMIT_S) as failed:
        store.commit([batch(4, 5)], [])
    assert "no answer within 2 s" in str(failed.value)
    assert failed.value.hint
    assert failed.value.retryable
    with fails_within(CONNECT_LIMIT_S):
        store.commit([batch(4, 5)], [])
    server.resume()
    outcome = store.commit([batch(4, 5)], [])[0]
    assert (outcome.stored + outcome.duplicates, book_of(store).stored) == (2, 5)


def test_one_that_goes_on_in_time_is_waited_for(store, server, stopped):
    store._database._writer._watchdog.limit_s = 5 * LIMIT_S
    store.commit([batch(1, 3)], [])
    stopped()
    timer = threading.Timer(LIMIT_S / 2, server.resume)
    timer.start()
    assert store.commit([batch(4, 5)], [])[0].stored == 2
    timer.join()
    time.sleep(LIMIT_S)  # nobody hangs up afterwards
    assert store.commit([batch(6, 7)], [])[0].stored == 2


@over_both
@pytest.mark.parametrize("committing", [False, True])
def test_stopped_within_a_transaction(store, store_url, server, stopped, committing):
    """A COMMIT that was sent is carried out when the server goes on, with nobody to hear of it."""

    def work():
        with store._database.writing({batch(1, 1).journal}) as transaction:
            keep(transaction, batch(1, 5))
            stopped()
            if not committing:
                transaction.rows("SELECT 1")

    with fails_within(LIMIT_S):
        work()
    server.resume()
    outcome = store.commit([batch(1, 6)], [])[0]
    assert (outcome.stored, outcome.duplicates) == ((1, 5) if committing else (6, 0))
    book = book_of(store)
    assert (book.stored, book.balanced, book.conflicts) == (6, True, 0)
    assert ask(store_url, "SELECT count(*) FROM events") == [(6,)]


def test_stopped_in_the_middle_of_much_data(store, server, stopped):
    """The kernel's buffers are full: it is the sending that stands still."""

    def work():
        with store._database.writing() as transaction:
            stopped()
            transaction.run_each("SELECT ?", [("x" * 1_000_000,)] * 20)

    with fails_within(LIMIT_S):
        work()
    server.resume()
    assert store.commit([batch(1, 3)], [])[0].stored == 3


@over_both
def test_a_look_does_not_wait_for_ever(store, server, stopped):
    store.commit([batch(1, 3)], [])
    store.books()
    stopped()
    with fails_within(LIMIT_S):
        store.books()
    server.resume()
    assert book_of(store).stored == 3


def test_many_who_wait_at_once_all_hear_of_it(store, server, stopped):
    """One after the other: the first waits for an answer, the others for a connection."""
    store.commit([batch(1, 3)], [])
    stopped()
    failed = []

    def work():
        try:
            store.commit([batch(4, 5)], [])
        except StoreError as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_S + 3 * CONNECT_LIMIT_S + SOON_S)
    assert len(failed) == 3
    server.resume()
    store.commit([batch(4, 5)], [])
    assert book_of(store).stored == 5


def test_a_lock_of_somebody_elses_does_not_fill_the_server(store, store_url, monkeypatch):
    """Who hangs up leaves a process that waits for the lock; it notices."""
    import psycopg

    monkeypatch.setattr(postgres, "_NOTICE_US", postgres._NOTICE_US.replace("5s", "100ms"))
    store._database._writer._forget()
    mine = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'hearth'"
    with psycopg.connect(store_url) as somebody:
        somebody.execute("LOCK TABLE streams")
        for _ in range(3):
            with fails_within(LIMIT_S):
                store.commit([batch(1, 3)], [])
        began_s = time.monotonic()
        while ask(store_url, mine)[0][0] > 1:
            assert time.monotonic() - began_s < SOON_S
        somebody.rollback()
    assert store.commit([batch(1, 3)], [])[0].stored == 3


def test_nothing_is_left_behind(store_url, server, stopped, impatient):
    """Nor is it left to the collector of garbage, which may not come while nothing comes in."""
    before = threading.active_count(), descriptors()
    store = open_store(store_url)
    store.commit([batch(1, 3)], [])
    store.books()
    stopped()
    for use in 2 * (store.books, lambda: store.commit([batch(4, 5)], [])):
        with pytest.raises(StoreError):
            use()
    server.resume()
    store.close()
    assert (threading.active_count(), descriptors()) == before


def descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_standstill_makes_nobody_seem_dead(store_url, server, stopped, monkeypatch):
    """An alarm in hand before it is in the same hands after it, whoever else looks."""
    monkeypatch.setattr(hands, "BEAT_S", 0.3)
    monkeypatch.setattr(lapses, "LOOK_S", 0.3)
    with contextlib.ExitStack() as stack:
        mine, other = (
            stack.enter_context(contextlib.closing(open_store(store_url, outputs=("webhook",))))
            for _ in range(2)
        )
        mine.commit([delivery(call_row(1), lane=U)], [])
        (due,) = mine.due("webhook", 1)
        ended, found = threading.Event(), []

        def look():
            while not ended.wait(0.1):
                found.extend(other.due("webhook", 1))

        looking = threading.Thread(target=look)
        looking.start()
        for _ in range(3):
            stopped()
            time.sleep(0.3 * (lapses.LOOKS + 2))
            server.resume()
            time.sleep(0.6)
        ended.set()
        looking.join()
        assert found == []
        mine.told(due)
        assert mine.waiting()[0].count == 0


# --- a collector ---------------------------------------------------------------------------------


@needs_mosquitto
@over_both
async def test_a_collector_goes_on_when_its_server_does(broker, store_url, server, stopped):
    """Stopped at any moment of an ingest, for longer than the limit, again and again."""
    backlog, rng = MemoryBacklog(), random.Random(store_url)
    address = f"127.0.0.1:{free_port()}"
    forwarder = Forwarder(GATEWAY, settings_for(broker), (backlog,))
    arguments = ("--url", broker.url, "--store", store_url, "--metrics", address)
    async with Hearth(*arguments, program=IMPATIENT) as hearth:
        await hearth.said("routine lane: connected")
        forwarding = asyncio.create_task(forwarder.run())
        try:
            for errors in range(3):
                backlog.append(R, *(payload_of(n) for n in range(4000)))
                backlog.append(U, payload_of(1))
                before = backlog.acknowledged(R)
                await until(lambda before=before: backlog.acknowledged(R) > before, timeout_s=20)
                await asyncio.sleep(rng.uniform(0, 0.2))
                stopped()
                backlog.append(R, payload_of(0))  # all of the others may be stored already
                try:
                    await until(lambda n=errors: store_errors(address) > n, timeout_s=2.0 + SOON_S)
                finally:
                    server.resume()
            assert await forwarder.drain(30)
            assert await hearth.end(signal.SIGTERM) == 0
        finally:
            forwarding.cancel()
            await asyncio.wait([forwarding])
    with contextlib.closing(open_store(store_url)) as store:
        books = store.books()
    assert {book.lane: book.stored for book in books} == {U: 3, R: 12_003}
    assert all(book.balanced and not book.conflicts and not book.missing for book in books)
    assert "Traceback" not in hearth.log


def store_errors(address):
    text = urllib.request.urlopen(f"http://{address}/metrics").read().decode()
    for line in text.splitlines():
        if line.startswith("hearth_collector_store_errors_total"):
            return float(line.split()[1])
    return 0.0
