"""What wristbands cost the daemon: `hearth run`, bleak and its BlueZ backend, all of them real.

bluetoothd is played on a D-Bus of its own (tests/rigs); it, the bands and their radio live in the
process of the benchmark, so that nothing of them is counted. Three daemons run side by side, with
no band, one and ten: what the first band costs is for the greater part the code of Bluetooth.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sqlite3
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.daemon import cpu_s, memory_mib  # and the way to tests/rigs
from benchmarks.report import Figure
from drivers.sim.air import Air
from drivers.sim.band import VirtualBand
from drivers.sim.band_fff0 import VirtualFff0
from drivers.sim.broker import Broker
from drivers.wristband.wire import fff0

if TYPE_CHECKING:
    from pathlib import Path

TEN = 10
BEAT_S = 1.0
SETTLE_S = 5.0  # connected, read and subscribed; what that cost is not counted
READY_S = 30.0

HOME = """
[gateway]
id = "{id}"
[journal]
path = "{folder}/journal"
quota = "16 MiB"
[uplink]
url = "{broker}"
[control]
socket = "{folder}/control.sock"
"""
BAND = """
[[device]]
id = "{id}"
driver = "wristband"
address = "{address}"
connections = {connections}
"""


@dataclass(frozen=True)
class Cost:
    """What a daemon used while it was watched."""

    seconds: float
    cpu_percent: float  # of one core
    rss_mib: float
    readings: int
    started_ms: float  # of CPU, from its start until every band was subscribed


def make_bands(air: Air, count: int) -> list[VirtualBand | VirtualFff0]:
    """Bands with standard services and bands of the FFF0 family, by turns."""
    makes = (VirtualBand, VirtualFff0)
    return [makes[n % 2](air, f"C0:FF:EE:00:00:{n + 1:02X}") for n in range(count)]


async def wait_subscribed(band: VirtualBand | VirtualFff0, times: int = 1) -> None:
    """Until the heart rate of a band is subscribed for the n-th time."""
    if isinstance(band, VirtualFff0):
        await band.wait_subscribed(fff0.NOTIFY, times)
    else:
        await band.wait_subscribed(times=times)


async def beat(band: VirtualBand | VirtualFff0) -> None:
    """One heart rate, to whoever subscribed."""
    if isinstance(band, VirtualFff0):
        await band.measured()
    else:
        await band.beat(70)


async def live(band: VirtualBand | VirtualFff0, after_s: float) -> None:
    """A heart rate a second for ever, each band at a moment of its own."""
    await asyncio.sleep(after_s)
    loop = asyncio.get_running_loop()
    due = loop.time()
    while True:
        await beat(band)
        due += BEAT_S
        await asyncio.sleep(due - loop.time())


class Home:
    """A daemon, its bluetoothd and its bands: `async with Home(...) as home`."""

    def __init__(self, folder: Path, broker: str, bands: int) -> None:
        folder.mkdir()
        self.id = f"bench-{bands}"
        self._folder = folder
        self._broker = broker
        self._air = Air()
        self._bands = make_bands(self._air, bands)
        self._stack = AsyncExitStack()
        self._beating: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Home:
        from fake_bluez import FakeBluez
        from private_bus import PrivateBus

        bus = await self._stack.enter_async_context(PrivateBus())
        await self._stack.enter_async_context(FakeBluez(bus.address, self._air))
        for band in self._bands:
            await band.power_on()
        config = HOME.format(id=self.id, folder=self._folder, broker=self._broker)
        for number, band in enumerate(self._bands):
            config += BAND.format(id=f"band-{number}", address=band.address, connections=TEN)
        (self._folder / "hearth.toml").write_text(config)
        await self._start(bus.address)
        async with asyncio.timeout(READY_S):
            for band in self._bands:
                await wait_subscribed(band)
        self._started_ms = 1e3 * cpu_s(self._gateway.pid)
        self._beating = [
            asyncio.create_task(live(band, BEAT_S * number / len(self._bands)))
            for number, band in enumerate(self._bands)
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._beating:
            task.cancel()
        await asyncio.gather(*self._beating, return_exceptions=True)
        self._gateway.send_signal(signal.SIGTERM)
        await self._gateway.wait()
        await self._stack.aclose()

    async def _start(self, bus: str) -> None:
        """`hearth run`, until it says that it is ready."""
        notify = str(self._folder / "notify")
        env = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": bus, "NOTIFY_SOCKET": notify}
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as listener:
            listener.bind(notify)
            self._gateway = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "gateway.cli.main", "run",
                "-c", str(self._folder / "hearth.toml"), env=env,
            )  # fmt: skip
            async with asyncio.timeout(READY_S):
                while b"READY=1" not in await asyncio.get_running_loop().sock_recv(listener, 4096):
                    pass

    async def cost(self, seconds: float, store: Path) -> Cost:
        """What the daemon uses in so many seconds."""
        loop, pid = asyncio.get_running_loop(), self._gateway.pid
        started, used, readings = loop.time(), cpu_s(pid), self._readings(store)
        await asyncio.sleep(seconds)
        used, took = cpu_s(pid) - used, loop.time() - started
        return Cost(
            seconds,
            100 * used / took,
            memory_mib(pid),
            self._readings(store) - readings,
            self._started_ms,
        )

    def _readings(self, store: Path) -> int:
        question = "SELECT count(*) FROM events WHERE kind = 'measurement' AND gateway = ?"
        with contextlib.closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as base:
            return base.execute(question, (self.id,)).fetchone()[0]


async def bands_cost(folder: Path, seconds: float) -> list[Figure]:
    """Daemons with no, one and ten bands, side by side."""
    store = folder / "events.db"
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(Broker())
        collector = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway.cli.main", "collect",
            "--url", broker.url, "--store", f"sqlite://{store}",
        )  # fmt: skip
        try:
            homes = [
                await stack.enter_async_context(Home(folder / f"home-{n}", broker.url, n))
                for n in (0, 1, TEN)
            ]
            await asyncio.sleep(SETTLE_S)
            none, one, ten = await asyncio.gather(*(home.cost(seconds, store) for home in homes))
        finally:
            collector.terminate()
            await collector.wait()
    return [_cpu(none, one, ten), *_memory(none, one, ten)]


def _cpu(none: Cost, one: Cost, ten: Cost) -> Figure:
    note = (
        f"{ten.readings} readings in {ten.seconds:.0f} s;"
        f" {none.cpu_percent:.2f} % without, {one.cpu_percent:.2f} % with one;"
        f" to connect one more, once, {(ten.started_ms - one.started_ms) / (TEN - 1):.0f} ms"
    )
    more = ten.cpu_percent - none.cpu_percent
    return Figure("ten bands at 1 Hz, CPU of the daemon", more, "% of a core", 2, "less", note)


def _memory(none: Cost, one: Cost, ten: Cost) -> list[Figure]:
    note = f"{none.rss_mib:.1f} MiB without, {one.rss_mib:.1f} with one, {ten.rss_mib:.1f} with ten"
    first = f"the first costs {one.rss_mib - none.rss_mib:.1f} MiB: the code of Bluetooth"
    name = "ten bands, memory of the daemon (RSS)"
    return [
        Figure(name, ten.rss_mib - none.rss_mib, "MiB", 6, "less", note),
        Figure("  nine more than one", ten.rss_mib - one.rss_mib, "MiB", 6, "less", first),
    ]
