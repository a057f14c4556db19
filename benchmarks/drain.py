"""A backlog, from a home's flash to committed at the collector.

python -m benchmarks.drain [--events N]

The readings are of a home: a band's heart rate and steps, a meter's volume and flow, each with its
own time. Gateway and collector are two processes, and mosquitto is a third, on the cores that this
machine has.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from paho.mqtt import client as paho

from benchmarks.report import Figure, show, skip
from drivers.sim.broker import Broker
from drivers.sim.loopback import HOST
from gateway.cli.main import SWITCH_INTERVAL_S
from gateway.clock import SystemClock
from gateway.codec import encode_event
from gateway.forwarding.forwarder import Forwarder
from gateway.journal import Journal
from gateway.model import Event, Kind, Lane, Measurement, Stamp, TimeQuality
from gateway.settings import UplinkSettings

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from rigs.postgres_server import PostgresServer, find_postgresql

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

EVENTS = 1_000_000
ONE_BY_ONE = 100_000  # of the peer's; its rate does not depend on how many there are
IN_FLIGHT = 100  # of the peer's; more do not make it faster
QUOTA = 512 << 20
DRAIN_TIMEOUT_S = 300.0
ACK_TIMEOUT_S = 5.0
SQLITE_LIMIT, POSTGRES_LIMIT = 30_000, 20_000  # events/s
WIRE_LIMIT_BYTES = 60
TIMES_FASTER = 10


class Drained(NamedTuple):
    """What one drain took."""

    events_per_s: float
    wire_bytes: float  # an event, sent, with the heads of packets
    collector_us: float  # CPU an event
    gateway_us: float


def readings(count: int) -> list[Event]:
    """What a home tells in the course of hours."""
    chance, boot, start_ms = random.Random(7), os.urandom(8), 1_795_600_000_000
    volume_m3, steps, events = 812.4, 0, []
    for n in range(count):
        at_ms = n * 3000 + chance.randrange(400)
        stamp = Stamp(boot, at_ms, start_ms + at_ms, TimeQuality.SYNCHRONISED)
        if n % 3 == 0:
            volume_m3 = round(volume_m3 + chance.random() / 500, 4)
            told = (
                Measurement("volume", volume_m3, "m3"),
                Measurement("flow", chance.randrange(100) / 1e6, "m3/s"),
            )
            events.append(
                Event(Kind.MEASUREMENT, "meter-kitchen", stamp, told, {"room": "kitchen"})
            )
        else:
            steps += chance.randrange(3)
            rate = Measurement("heart_rate", chance.randrange(55, 95), "beat/min")
            told = (rate,) if n % 3 == 1 else (rate, Measurement("steps", steps))
            labels = {"resident": "resident-1"}
            events.append(Event(Kind.MEASUREMENT, "band-1", stamp, told, labels))
    return events


async def fill(folder: Path, payloads: list[bytes]) -> Journal:
    """A journal with all of this on flash."""
    journal = Journal.open(folder, quota_bytes=QUOTA, clock=SystemClock(), commit_interval_s=0.5)
    for start in range(0, len(payloads), 3000):
        for payload in payloads[start : start + 3000]:
            journal.append(Lane.ROUTINE, payload)
        await asyncio.to_thread(journal.flush)
    return journal


@contextlib.asynccontextmanager
async def collecting(broker: Broker, store: str) -> AsyncIterator[int]:
    """`hearth collect`, as it ships; its process id."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway.cli.main", "collect", "--url", broker.url, "--store", store
    )
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


def cpu_s(process: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{process}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def drain(journal: Journal, broker: Broker, store: str, count: int) -> Drained:
    """Everything in the journal, until it is acknowledged; timed from the first acknowledgement."""
    forwarder = Forwarder(
        "bench", UplinkSettings(broker.url, ack_timeout=ACK_TIMEOUT_S), (journal,)
    )
    async with collecting(broker, store) as collector:
        running = asyncio.create_task(forwarder.run())
        try:
            async with asyncio.timeout(60):
                while not journal.acknowledged(Lane.ROUTINE):
                    await asyncio.sleep(0.01)
            left = count - journal.acknowledged(Lane.ROUTINE)
            started, cpu, own = time.perf_counter(), cpu_s(collector), cpu_s(os.getpid())
            if not await forwarder.drain(DRAIN_TIMEOUT_S):
                raise SystemExit(f"not drained within {DRAIN_TIMEOUT_S:.0f} s")
            took = time.perf_counter() - started
            collector_us = 1e6 * (cpu_s(collector) - cpu) / left
            gateway_us = 1e6 * (cpu_s(os.getpid()) - own) / left
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    wire = forwarder.counters["wire_bytes_sent"] / count
    return Drained(left / took, wire, collector_us, gateway_us)


async def to_puback(journal: Journal, broker: Broker, count: int) -> float:
    """events/s from flash to the broker's PUBACK, which is where the peer's drain ends."""
    forwarder = Forwarder("bench-broker", UplinkSettings(broker.url, ack="broker"), (journal,))
    started = time.perf_counter()
    running = asyncio.create_task(forwarder.run())
    drained = await forwarder.drain(DRAIN_TIMEOUT_S)
    took = time.perf_counter() - started
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return count / took if drained else 0.0


def one_by_one(broker: Broker, events: list[Event]) -> float:
    """events/s of ThingsBoard Gateway's design, to the broker's PUBACK.

    One message a reading on v1/gateway/telemetry, `{device: [{ts, values}]}` with QoS 1, over paho,
    on which its SDK stands (thingsboard.io, MQTT Gateway API and Python client SDK). Its storage,
    its converters and the server's commit are left out, which is in its favour.
    """
    places = threading.Semaphore(IN_FLIGHT)  # paho's own queue is slow when it is long
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
    client.on_publish = lambda *_: places.release()
    client.max_inflight_messages_set(IN_FLIGHT)
    client.connect(HOST, broker.port)
    client.loop_start()
    started = time.perf_counter()
    for event in events:
        values = {it.name: it.value for it in event.measurements}
        record = {event.device: [{"ts": event.stamp.wall_ms, "values": values}]}
        places.acquire()
        client.publish("v1/gateway/telemetry", msgspec.json.encode(record), 1)
    for _ in range(IN_FLIGHT):
        places.acquire()
    took = time.perf_counter() - started
    client.disconnect()
    client.loop_stop()
    return len(events) / took


def figures_of(name: str, drained: Drained, limit: int, count: int) -> list[Figure]:
    """What a drain into one store gave."""
    note = (
        f"{count} events; CPU an event: collector {drained.collector_us:.0f} us,"
        f" gateway {drained.gateway_us:.0f} us; {os.cpu_count()} cores"
    )
    name_of_rate, rate = f"flash to committed, {name}", drained.events_per_s
    fast = Figure(name_of_rate, rate, "events/s", limit, "more", note)
    wire = Figure(
        f"sent an event, with heads of packets, {name}",
        drained.wire_bytes, "B", WIRE_LIMIT_BYTES, note="before TLS",
    )  # fmt: skip
    return [fast, wire]


async def against_one_by_one(
    folder: Path, broker: Broker, events: list[Event], payloads: list[bytes], sqlite: Drained
) -> Figure:
    """Both to the broker's PUBACK, which is all that the peer waits for."""
    journal = await fill(folder / "broker", payloads)
    ours = await to_puback(journal, broker, len(payloads))
    journal.close()
    peer = await asyncio.to_thread(one_by_one, broker, events[:ONE_BY_ONE])
    note = (
        f"{ours:.0f} against {peer:.0f} events/s; ours committed at the collector against"
        f" the peer's to PUBACK: {sqlite.events_per_s / peer:.1f} x"
    )
    name = "flash to PUBACK against one message a reading"
    return Figure(name, ours / peer, "x", TIMES_FASTER, "more", note)


async def measure(count: int) -> list[Figure]:
    """All figures."""
    events = readings(count)
    payloads = [encode_event(event) for event in events]
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="hearth-bench-") as scratch:
        folder = Path(scratch)
        async with Broker() as broker:
            journal = await fill(folder / "sqlite", payloads)
            sqlite = await drain(journal, broker, f"sqlite://{folder / 'events.db'}", count)
            journal.close()
            figures += figures_of("SQLite", sqlite, SQLITE_LIMIT, count)
            figures.append(await against_one_by_one(folder, broker, events, payloads, sqlite))
            if find_postgresql() is None:
                skip("flash to committed, PostgreSQL", "PostgreSQL is not installed")
                return figures
            with PostgresServer() as server:
                journal = await fill(folder / "postgresql", payloads)
                store = server.url(server.new_database())
                postgres = await drain(journal, broker, store, count)
                journal.close()
                figures += figures_of("PostgreSQL", postgres, POSTGRES_LIMIT, count)
    return figures


def main(events: int = EVENTS) -> int:
    """Print all figures; how many missed."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)  # as the daemon does
    return show(asyncio.run(measure(events)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS)
    raise SystemExit(main(parser.parse_args().events))
