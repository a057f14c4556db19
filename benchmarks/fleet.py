"""A fleet on one collector: sessions, signs of life, readings, and how much it takes at most.

python -m benchmarks.fleet [--gateways N] [--seconds N] [--readings PER_HOUR] [--store KIND]

Thousands of gateways (light_gateway.py) with real sessions at a real mosquitto, and `hearth
collect` as it ships. Gateways, broker, collector and database share the cores of this machine.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import resource
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.daemon import cpu_s, memory_mib
from benchmarks.light_gateway import LightGateway
from benchmarks.report import Figure, show, skip
from drivers.sim.broker import Broker
from drivers.sim.loopback import HOST
from gateway.clock import SystemClock
from gateway.codec import encode_event
from gateway.model import Event, Kind, Lane, Measurement, Stamp, TimeQuality

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "rigs"))

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

QUIET_AFTER_S = 90.0  # of a home that is watched closely; two signs of life in it
HOUR_S = 3600.0
CONNECTS_AT_ONCE = 50
WARM_UP_S = 10.0
# A collector takes half a second to start; what is sent before reaches nobody.
SUBSCRIBE_S = 30.0
CPU_LIMIT = 50.0  # % of one core, for 2,000 gateways
ANSWERED_LIMIT = 98.0  # %; the last second's may be on their way
MANY = 200  # gateways that send all the time
BATCHES_AT_ONCE = 2  # of each of them, so that none waits for its broker alone


class Load(NamedTuple):
    """What a stretch of time cost, and how long acknowledgements took."""

    sent: int
    delays_ms: list[float]
    collector_cpu: float  # % of one core
    broker_cpu: float
    collector_mib: float
    broker_mib: float

    def delay_ms(self, share: float) -> float:
        """What a share of them did not exceed."""
        ordered = sorted(self.delays_ms)
        return ordered[int(len(ordered) * share) - 1] if ordered else float("inf")


class Fleet:
    """The gateways."""

    def __init__(self, broker: Broker) -> None:
        self.gateways: list[LightGateway] = []
        self.delays_s: list[float] = []
        self.events = 0
        self._broker = broker
        self._sent = 0
        self._random = random.Random(7)
        self._payloads: tuple[bytes, ...] = ()  # what is sent again at each acknowledgement

    async def connect(self, count: int) -> None:
        """So many sessions."""
        places = asyncio.Semaphore(CONNECTS_AT_ONCE)

        async def one(number: int) -> None:
            async with places:
                loop = asyncio.get_running_loop()
                _, gateway = await loop.create_connection(
                    lambda: LightGateway(f"gw-{number}", self._acknowledged),
                    HOST,
                    self._broker.port,
                )
                await gateway.ready
                self.gateways.append(gateway)

        await asyncio.gather(*(one(number) for number in range(count)))

    def take_sent(self) -> int:
        """How many batches were sent since this was asked last."""
        sent, self._sent = self._sent, 0
        return sent

    async def tell(self, every_s: float, make) -> None:
        """Each gateway sends one event in this time, spread evenly; until cancelled."""
        loop = asyncio.get_running_loop()
        order = list(self.gateways)
        self._random.shuffle(order)
        start_s, count = loop.time(), 0
        while True:
            await asyncio.sleep(start_s + count * every_s / len(order) - loop.time())
            order[count % len(order)].send((make(),))
            self._sent += 1
            count += 1

    def keep_sending(self, payloads: tuple[bytes, ...], batches: int) -> None:
        """Each gateway sends the next batch when one is acknowledged."""
        self._payloads = payloads
        for gateway in self.gateways:
            for _ in range(batches):
                gateway.send(payloads)

    def lost(self) -> list[str]:
        """Why sessions ended."""
        return [gateway.lost for gateway in self.gateways if gateway.lost]

    def close(self) -> None:
        """End all."""
        self._payloads = ()
        for gateway in self.gateways:
            gateway.close()

    def _acknowledged(self, gateway: LightGateway, events: int, delay_s: float) -> None:
        self.events += events
        self.delays_s.append(delay_s)
        if self._payloads:
            gateway.send(self._payloads)


_CLOCK = SystemClock()


def alive() -> bytes:
    """A sign of life, as `gateway/supervision.py` tells it."""
    waiting = tuple(Measurement(f"backlog_{lane.name.lower()}", 0, "count") for lane in Lane)
    detail = {"state": "alive", "quiet_after_s": QUIET_AFTER_S, "version": "0"}
    return encode_event(Event(Kind.GATEWAY, "gateway", _stamp(), waiting, {}, detail))


def reading() -> bytes:
    """A heart rate."""
    told = (Measurement("heart_rate", 71, "beat/min"),)
    labels = {"resident": "resident-1"}
    return encode_event(Event(Kind.MEASUREMENT, "band-1", _stamp(), told, labels))


def _stamp() -> Stamp:
    """Of a gateway whose clock is set, as nearly all are nearly always."""
    stamp = _CLOCK.stamp()
    return Stamp(stamp.boot, stamp.uptime_ms, stamp.wall_ms, TimeQuality.SYNCHRONISED)


@contextlib.asynccontextmanager
async def collectors(broker: Broker, store: str, count: int) -> AsyncIterator[list[int]]:
    """`hearth collect`; several share a subscription. Their process ids, when they have begun."""
    command = ["-m", "gateway.cli.main", "collect", "--url", broker.url, "--store", store]
    if count > 1:
        command += ["--share", "collectors"]
    started = [await asyncio.create_subprocess_exec(sys.executable, *command) for _ in range(count)]
    try:
        await asyncio.gather(*(_cpu_settles(process.pid) for process in started))
        yield [process.pid for process in started]
    finally:
        for process in started:
            process.send_signal(signal.SIGTERM)
            await process.wait()


async def _cpu_settles(pid: int) -> None:
    """Until a process that starts has nothing more to do."""
    before, same = -1.0, 0
    async with asyncio.timeout(SUBSCRIBE_S):
        while same < 5:
            await asyncio.sleep(0.2)
            now = cpu_s(pid)
            same = same + 1 if now == before and now > 0 else 0
            before = now


@contextlib.contextmanager
def stores(kind: str) -> Iterator[tuple[str, Path]]:
    """The URL of an empty store, and a folder."""
    with tempfile.TemporaryDirectory(prefix="hearth-fleet-") as scratch:
        if kind == "sqlite":
            yield f"sqlite://{scratch}/events.db", Path(scratch)
            return
        from postgres_server import PostgresServer

        with PostgresServer() as server:
            yield server.url(server.new_database()), Path(scratch)


async def steady(kind: str, gateways: int, every_s: float, seconds: float, make) -> Load:
    """A fleet of which each gateway sends one event in `every_s`."""
    with stores(kind) as (store, _):
        async with Broker() as broker, collectors(broker, store, 1) as (collector,):
            fleet = Fleet(broker)
            await fleet.connect(gateways)
            telling = asyncio.create_task(fleet.tell(every_s, make))
            try:
                await asyncio.sleep(WARM_UP_S)
                return await _weigh(fleet, collector, _broker_pid(broker), seconds)
            finally:
                telling.cancel()
                fleet.close()


async def _weigh(fleet: Fleet, collector: int, broker: int, seconds: float) -> Load:
    loop = asyncio.get_running_loop()
    pids = (collector, broker)
    fleet.delays_s.clear()
    fleet.take_sent()
    used, started_s = [cpu_s(pid) for pid in pids], loop.time()
    await asyncio.sleep(seconds)
    took_s = loop.time() - started_s
    shares = [100 * (cpu_s(pid) - was) / took_s for pid, was in zip(pids, used, strict=True)]
    sizes = [memory_mib(pid) for pid in pids]
    sent, delays_ms = fleet.take_sent(), [1000 * it for it in fleet.delays_s]
    if lost := fleet.lost():
        raise SystemExit(f"{len(lost)} sessions ended, first: {lost[0]}")
    return Load(sent, delays_ms, *shares, *sizes)


def _broker_pid(broker: Broker) -> int:
    process = broker._process
    assert process is not None
    return process.pid


async def at_most(
    kind: str, count: int, events_a_batch: int, seconds: float
) -> tuple[float, float]:
    """Events/s that so many collectors commit, and their CPU together in % of one core."""
    with stores(kind) as (store, _):
        async with Broker() as broker, collectors(broker, store, count) as pids:
            fleet = Fleet(broker)
            await fleet.connect(MANY)
            fleet.keep_sending(tuple(reading() for _ in range(events_a_batch)), BATCHES_AT_ONCE)
            await asyncio.sleep(3)
            loop = asyncio.get_running_loop()
            before, used, started_s = fleet.events, sum(map(cpu_s, pids)), loop.time()
            await asyncio.sleep(seconds)
            took_s = loop.time() - started_s
            events_per_s = (fleet.events - before) / took_s
            cpu = 100 * (sum(map(cpu_s, pids)) - used) / took_s
            fleet.close()
            return events_per_s, cpu


def figures_of(load: Load, what: str, limit: float) -> list[Figure]:
    """A steady load, as figures. Without a limit, a figure holds."""
    answered = 100 * len(load.delays_ms) / load.sent
    beside = f"broker {load.broker_cpu:.1f} %"
    delay = f"{load.delay_ms(0.5):.1f} ms at p50"
    memory = f"broker {load.broker_mib:.0f} MiB"
    none = float("inf")
    return [
        Figure(f"{what}: acknowledged", answered, "% of batches", ANSWERED_LIMIT, "more"),
        Figure(f"{what}: CPU", load.collector_cpu, "% of a core", limit, "less", beside),
        Figure(f"{what}: to ack, p99", load.delay_ms(0.99), "ms", none, "less", delay),
        Figure(f"{what}: memory", load.collector_mib, "MiB", none, "less", memory),
    ]


async def measure(options: argparse.Namespace, kind: str) -> list[Figure]:
    """All figures of one kind of store."""
    gateways, seconds = options.gateways, options.seconds
    life = await steady(kind, gateways, QUIET_AFTER_S / 2, seconds, alive)
    figures = figures_of(life, f"{kind}, {gateways} signs of life", CPU_LIMIT * gateways / 2000)
    if options.readings:
        what = f"{kind}, {gateways} x {options.readings}/h"
        load = await steady(kind, gateways, HOUR_S / options.readings, seconds, reading)
        figures += figures_of(load, what, float("inf"))
    if options.most:
        for count in (1, 2):
            for batch in (1, 50):
                rate, cpu = await at_most(kind, count, batch, min(seconds, 20))
                name = f"{kind}, at most, {count} collectors, batches of {batch}"
                note = f"collectors {cpu:.0f} % of a core; {os.cpu_count()} cores for everything"
                figures.append(Figure(name, rate, "events/s", 0, "more", note))
    return figures


def main(arguments: list[str] | None = None) -> int:
    """Print all figures; how many missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gateways", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--readings", type=float, default=0, metavar="PER_HOUR")
    parser.add_argument("--most", action="store_true", help="how many events/s are taken at most")
    parser.add_argument("--store", choices=["sqlite", "postgresql", "both"], default="both")
    options = parser.parse_args(arguments)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # mosquitto inherits it
    missed = 0
    for kind in ("sqlite", "postgresql") if options.store == "both" else (options.store,):
        if kind == "postgresql":
            from postgres_server import why_no_postgresql

            if reason := why_no_postgresql():
                skip("a fleet on PostgreSQL", reason)
                continue
        missed += show(asyncio.run(measure(options, kind)))
    return missed


if __name__ == "__main__":
    raise SystemExit(main())
