"""The uplink: from flash to the broker's word, and a press past a backlog.

python -m benchmarks.uplink [--events N]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.report import Figure, show
from drivers.sim.broker import Broker
from gateway.cli.main import SWITCH_INTERVAL_S
from gateway.clock import SystemClock
from gateway.codec import encode_event
from gateway.forwarding.forwarder import Forwarder
from gateway.journal import Journal
from gateway.model import Event, Kind, Lane, Measurement
from gateway.settings import UplinkSettings

QUOTA = 256 << 20
BACKLOG = 50_000
PRESSES = 300
PRESS_EVERY_S = 0.02
TIMEOUT_S = 120.0
ACK_TIMEOUT_S = 1.0  # what is sent before the collector has subscribed goes again after this


def _reading() -> bytes:
    measurements = (Measurement("volume", 12.345, "m3"), Measurement("flow", 1e-4, "m3/s"))
    stamp = SystemClock().stamp()
    return encode_event(
        Event(Kind.MEASUREMENT, "meter-kitchen", stamp, measurements, {"room": "kitchen"})
    )


def _call() -> bytes:
    return encode_event(Event(Kind.CALL, "call-bedroom", SystemClock().stamp()))


def _open(folder: Path) -> Journal:
    return Journal.open(folder, quota_bytes=QUOTA, clock=SystemClock(), commit_interval_s=0.5)


async def _fill(journal: Journal, count: int) -> None:
    """So many routine events, durable."""
    payload, target = _reading(), journal.accepted(Lane.ROUTINE) + count
    while (accepted := journal.accepted(Lane.ROUTINE)) < target:
        for _ in range(min(3000, target - accepted)):
            journal.append(Lane.ROUTINE, payload)
        await asyncio.to_thread(journal.flush)


async def drain_rate(folder: Path, broker: Broker, count: int) -> Figure:
    """A backlog to the broker's PUBACK, in batches."""
    journal = _open(folder / "drain")
    await _fill(journal, count)
    forwarder = Forwarder("bench-drain", UplinkSettings(broker.url, ack="broker"), (journal,))
    started = time.perf_counter()
    running = asyncio.create_task(forwarder.run())
    drained = await forwarder.drain(TIMEOUT_S)
    rate = count / (time.perf_counter() - started)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    journal.close()
    if not drained:
        rate = 0.0
    note = f"{count} events of {len(_reading())} B, broker {broker.kind}"
    return Figure("journal to PUBACK", rate, "events/s", 30_000, "more", note)


async def press_to_stored(folder: Path, broker: Broker) -> Figure:
    """From append to acknowledged by the collector, while a backlog of 50,000 or more flows."""
    journal = _open(folder / "press")
    await _fill(journal, 8 * BACKLOG)
    settings = UplinkSettings(broker.url, ack_timeout=ACK_TIMEOUT_S)
    collector = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway.cli.main", "collect",
        "--url", broker.url, "--store", f"sqlite://{folder / 'events.db'}",
    )  # fmt: skip
    forwarder = Forwarder("bench-press", settings, (journal,))
    running = asyncio.create_task(forwarder.run())
    await _settle(journal)
    times, call = [], _call()
    while len(times) < PRESSES and journal.status()[Lane.ROUTINE].backlog > BACKLOG:
        started = time.perf_counter()
        seq = await journal.append(Lane.URGENT, call)
        while journal.acknowledged(Lane.URGENT) < seq:
            await asyncio.sleep(0.0005)
        times.append(1000 * (time.perf_counter() - started))
        await asyncio.sleep(PRESS_EVERY_S)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    collector.terminate()
    await collector.wait()
    journal.close()
    times.sort()
    note = (
        f"median {statistics.median(times):.1f} ms, worst {times[-1]:.1f} ms, {len(times)} presses;"
        f" {os.cpu_count()} cores for gateway, broker and collector"
    )
    name = "press to stored and acknowledged, p99, 50,000 waiting"
    return Figure(name, times[int(len(times) * 0.99) - 1], "ms", 25, "less", note)


async def _settle(journal: Journal) -> None:
    """Until the collector is there and the backlog flows."""
    async with asyncio.timeout(TIMEOUT_S):
        while not journal.acknowledged(Lane.ROUTINE):
            await asyncio.sleep(0.05)


async def measure(events: int) -> list[Figure]:
    """All figures."""
    with tempfile.TemporaryDirectory(prefix="hearth-bench-") as scratch:
        async with Broker() as broker:
            drained = await drain_rate(Path(scratch), broker, events)
            return [drained, await press_to_stored(Path(scratch), broker)]


def main(events: int = 200_000) -> int:
    """Print all figures; how many missed."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)  # as the daemon does
    return show(asyncio.run(measure(events)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    raise SystemExit(main(parser.parse_args().events))
