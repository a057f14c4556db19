"""Journal, forwarder, broker, collector, store: whole stories, with real brokers and real kills."""

import asyncio
import contextlib
import sqlite3
import sys
from pathlib import Path

import cbor2
import pytest
from brokers import (
    GATEWAY,
    JOURNAL,
    MemoryBacklog,
    event_of,
    needs_mosquitto,
    payload_of,
    settings_for,
    until,
)

from collector.service import Collector
from collector.store import open_store
from drivers.sim.broker import Broker
from gateway.codec import encode_batch, encode_event, observe_gap
from gateway.errors import StoreError, UplinkError
from gateway.forwarding.forwarder import Forwarder
from gateway.model import Batch, Gap, Kind, Lane
from gateway.uplink import MqttUplink, ack_topic, up_topic

pytestmark = needs_mosquitto
U, R = Lane.URGENT, Lane.ROUTINE
PROCESS = Path(__file__).with_name("collector_process.py")


@pytest.fixture
def store(tmp_path):
    store = open_store(f"sqlite://{tmp_path}/events.db")
    yield store
    store.close()


@contextlib.asynccontextmanager
async def running(*things):
    tasks = [asyncio.create_task(thing.run()) for thing in things]
    try:
        yield
        for task in tasks:
            assert not task.done(), task
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=10)
        assert all(task.cancelled() for task in tasks), tasks


def fill(backlog, lane, count):
    return backlog.append(lane, *(payload_of(n) for n in range(count)))


async def test_everything_arrives_once(broker, store):
    backlog = MemoryBacklog()
    forwarder = Forwarder(GATEWAY, settings_for(broker), (backlog,))
    collector = Collector(settings_for(broker), store)
    fill(backlog, R, 3000)
    async with running(collector, forwarder):
        fill(backlog, U, 3)
        assert await forwarder.drain(20)
        await until(lambda: collector.counters["acks"] == collector.counters["batches"])
        assert collector.connected
        assert forwarder.connected
    assert not forwarder.connected
    books = store.books()
    assert [(book.lane, book.stored, book.balanced) for book in books] == [
        (U, 3, True),
        (R, 3000, True),
    ]
    assert forwarder.outstanding == 0


async def test_the_books_balance_over_a_hole(broker, store):
    backlog = MemoryBacklog()
    forwarder = Forwarder(GATEWAY, settings_for(broker), (backlog,))
    fill(backlog, R, 100)
    backlog.lose(R, 11, 40)
    detail = observe_gap(Gap(R, 11, 40, "bad sector")).detail
    backlog.append(R, encode_event(event_of(1, Kind.GAP, measurements=(), detail=detail)))
    async with running(Collector(settings_for(broker), store), forwarder):
        assert await forwarder.drain(20)
    (book,) = store.books()
    assert (book.accepted, book.stored, book.lost, book.balanced) == (101, 71, 30, True)


@pytest.mark.parametrize("fault", ["kill", "restart", "freeze"])
async def test_a_broker_that_fails_in_the_middle(broker, store, fault):
    backlog = MemoryBacklog()
    settings = settings_for(broker, keepalive=2)
    forwarder, collector = Forwarder(GATEWAY, settings, (backlog,)), Collector(settings, store)
    fill(backlog, R, 4000)
    async with running(collector, forwarder):
        await until(lambda: backlog.acknowledged(R) > 200)
        if fault == "kill":
            await broker.kill()
            await broker.start()
        elif fault == "restart":
            await broker.restart()
        else:
            broker.pause()
            fill(backlog, U, 1)
            await until(lambda: not forwarder.connected)
            broker.resume()
        fill(backlog, U, 2)
        assert await forwarder.drain(30)
    assert all(book.balanced and book.missing == 0 for book in store.books())
    assert {book.lane: book.stored for book in store.books()}[R] == 4000


@pytest.mark.parametrize("when", ["die-before-commit", "die-after-commit"])
async def test_a_collector_killed_around_its_commit(broker, store, tmp_path, when):
    backlog = MemoryBacklog()
    forwarder = Forwarder(GATEWAY, settings_for(broker), (backlog,))
    fill(backlog, R, 20)
    command = [sys.executable, str(PROCESS), broker.url, str(tmp_path / "events.db")]
    mortal = await asyncio.create_subprocess_exec(*command, when)
    async with running(forwarder):
        assert await mortal.wait() == -9
        assert backlog.acknowledged(R) == 0  # nothing was acknowledged, so nothing was freed
        stored = sum(book.stored for book in store.books())
        assert (stored > 0) == (when == "die-after-commit")
        immortal = await asyncio.create_subprocess_exec(*command)
        try:
            assert await forwarder.drain(20)
        finally:
            immortal.kill()
            await immortal.wait()
    (book,) = store.books()
    assert (book.stored, book.balanced, book.conflicts) == (20, True, 0)
    assert (book.duplicates > 0) == (when == "die-after-commit")


async def test_a_lost_acknowledgement(broker, store):
    """The first acknowledgements never reach the broker: sent again, stored once."""
    backlog, lost = MemoryBacklog(), 0
    forwarder = Forwarder(GATEWAY, settings_for(broker, ack_timeout=0.2), (backlog,))
    collector = Collector(settings_for(broker), store)
    acknowledge = collector._acknowledge

    async def lossy(session, answer):
        nonlocal lost
        lost += 1
        if lost > 3:
            await acknowledge(session, answer)

    collector._acknowledge = lossy
    async with running(collector, forwarder):
        await until(lambda: collector.connected and forwarder.connected)
        fill(backlog, R, 10)
        assert await forwarder.drain(20)
    (book,) = store.books()
    assert (book.stored, book.balanced) == (10, True)
    assert book.duplicates > 0
    assert forwarder.counters["batches_resent"] > 0


async def test_a_version_from_the_future_is_kept_and_not_acknowledged(broker, store, tmp_path):
    future = cbor2.dumps([2, GATEWAY, {"what": "ever"}])
    good = encode_batch(Batch(GATEWAY, JOURNAL, R, 1, (payload_of(1),)))
    collector = Collector(settings_for(broker), store)
    async with running(collector), MqttUplink(settings_for(broker)).session() as gateway:
        await gateway.subscribe(ack_topic(GATEWAY))
        await until(lambda: collector.connected)
        for payload in (future, b"\xff\xff", future, good):
            await gateway.publish(up_topic(GATEWAY, R), payload)
        async with asyncio.timeout(10):
            answer = await anext(gateway.messages())
        assert cbor2.loads(answer.payload) == [1, JOURNAL, 1, 1, 1]  # the good one is the first
        assert collector.counters["refused_unknown_version"] == 2
        assert collector.counters["refused_malformed"] == 1
        await until(lambda: collector.counters["acks"] == 1)
    with sqlite3.connect(tmp_path / "events.db") as db:
        rows = db.execute("SELECT reason, payload, times FROM refused ORDER BY reason").fetchall()
    db.close()
    assert rows == [("malformed", b"\xff\xff", 1), ("unknown_version", future, 2)]


async def test_a_call_overtakes_a_backlog(broker, store):
    """While a backlog flows, calls come through; each within a small part of its time."""
    backlog = MemoryBacklog()
    forwarder = Forwarder(GATEWAY, settings_for(broker), (backlog,))
    collector = Collector(settings_for(broker), store)
    async with running(collector, forwarder):
        await until(lambda: collector.connected and forwarder.connected)
        fill(backlog, R, 12_000)
        await until(lambda: backlog.acknowledged(R) > 0)
        for _ in range(3):
            call = fill(backlog, U, 1)
            await until(lambda call=call: backlog.acknowledged(U) == call)
        assert backlog.acknowledged(R) < 12_000
        assert await forwarder.drain(60)


async def test_a_store_that_refuses_for_a_while(broker, store):
    backlog, refusals = MemoryBacklog(), 3
    forwarder = Forwarder(GATEWAY, settings_for(broker), (backlog,))

    class Moody:
        def commit(self, deliveries, refused):
            nonlocal refusals
            if refusals:
                refusals -= 1
                raise StoreError("disk full")
            return store.commit(deliveries, refused)

    collector = Collector(settings_for(broker), Moody())
    fill(backlog, R, 20)
    async with running(collector, forwarder):
        assert await forwarder.drain(20)
    assert collector.counters["store_errors"] == 3
    assert isinstance(collector.last_error, StoreError)
    assert store.books()[0].balanced


async def test_collectors_on_one_shared_subscription(broker, store, tmp_path):
    backlog = MemoryBacklog()
    other = open_store(f"sqlite://{tmp_path}/events.db")  # the same file
    forwarder = Forwarder(GATEWAY, settings_for(broker), (backlog,))
    collectors = [Collector(settings_for(broker), s, share="c") for s in (store, other)]
    async with running(*collectors, forwarder):
        await until(lambda: all(collector.connected for collector in collectors))
        fill(backlog, R, 4000)
        assert await forwarder.drain(30)
    other.close()
    assert all(collector.counters["stored"] for collector in collectors)
    (book,) = store.books()
    assert (book.stored, book.balanced) == (4000, True)


async def test_large_batches_go_packed_where_both_sides_agree(broker, store):
    backlog = MemoryBacklog()
    forwarder = Forwarder(GATEWAY, settings_for(broker, ack_timeout=60.0), (backlog,))
    collector = Collector(settings_for(broker), store)
    async with running(collector):
        await until(lambda: collector.connected)
        async with running(forwarder):
            await until(lambda: forwarder._packing._offers)
            size = sum(len(payload_of(n)) for n in range(3000))
            fill(backlog, R, 3000)
            assert await forwarder.drain(20)
            await until(lambda: forwarder.counters["wire_bytes_sent"] > 0)
        counters = forwarder.counters
    assert counters["batches_packed"] >= counters["batches_sent"] - 1
    assert counters["bytes_sent"] < counters["wire_bytes_sent"] < size / 2
    assert counters["wire_bytes_received"] > 0
    (book,) = store.books()
    assert (book.stored, book.duplicates, book.balanced) == (3000, 0, True)


async def test_a_broker_that_keeps_the_offer_costs_only_compression(store, tmp_path):
    acl = tmp_path / "acl"
    acl.write_text(f"topic readwrite hearth/v1/{GATEWAY}/#\n")  # and not hearth/v1/collector
    acl.chmod(0o600)
    backlog = MemoryBacklog()
    async with Broker(listener=f"allow_anonymous true\nacl_file {acl}") as broker:
        forwarder = Forwarder(GATEWAY, settings_for(broker), (backlog,))
        collector = Collector(settings_for(broker), store)
        async with running(collector, forwarder):
            await until(lambda: collector.connected and forwarder.connected)
            fill(backlog, R, 500)
            assert await forwarder.drain(20)
    assert forwarder.counters["batches_packed"] == 0
    assert collector.counters["offers_refused"] >= 1
    assert store.books()[0].stored == 500


async def test_two_gateways_are_kept_apart(broker, store):
    backlogs = [MemoryBacklog(bytes([n] * 16)) for n in range(2)]
    forwarders = [
        Forwarder(f"gw-{n}", settings_for(broker), (backlog,)) for n, backlog in enumerate(backlogs)
    ]
    for backlog in backlogs:
        fill(backlog, R, 100)
    async with running(Collector(settings_for(broker), store), *forwarders):
        for forwarder in forwarders:
            assert await forwarder.drain(20)
    assert [(book.gateway, book.stored) for book in store.books()] == [("gw-0", 100), ("gw-1", 100)]


async def test_a_collector_waits_for_its_broker(store, broker):
    await broker.kill()
    collector = Collector(settings_for(broker), store)
    async with running(collector):
        await until(lambda: isinstance(collector.last_error, UplinkError))
        await broker.start()
        await until(lambda: collector.connected)
    assert not collector.connected
