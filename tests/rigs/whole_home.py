"""A whole home around a real `hearth run`, with nothing of hearth replaced.

The daemon is the shipped program with its real adapters: libgpiod (on a simulated chip), bleak's
BlueZ backend (on a played bluetoothd), a serial port (a pseudo-terminal), a real broker, a real
collector in a process of its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sqlite3
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from fake_bluez import FakeBluez
from fake_gpio import LABEL, FakeGpio
from private_bus import PrivateBus

from drivers.sim.air import Air
from drivers.sim.band import VirtualBand
from drivers.sim.broker import Broker
from drivers.sim.meters import VirtualBus, VirtualCjt188Meter, VirtualModbusMeter, WaterFlow

BAND = "C0:FF:EE:00:00:01"
CJT188 = "33781122334401"
BUTTON, LIGHT = 17, 27
READY_S = 30.0

CONFIG = """
[gateway]
id = "hil-home"
address_code = "370303"
[journal]
path = "{folder}/journal"
quota = "16 MiB"
commit_interval = {commit}
[uplink]
url = "{broker}"
ack_timeout = 1.0
[control]
socket = "{folder}/control.sock"
[[bus]]
id = "rs485-1"
port = "{port}"
[[device]]
id = "call-bedroom"
driver = "button"
chip = "{chip}"
offset = 17
light = 27
light_time = 0.5
room = "bedroom"
[[device]]
id = "band-1"
driver = "wristband"
address = "{band}"
resident = "resident-1"
[[device]]
id = "meter-kitchen"
driver = "modbus"
bus = "rs485-1"
unit = 7
profile = "xintai"
poll = {poll}
[[device]]
id = "meter-bath"
driver = "cjt188"
bus = "rs485-1"
address = "{cjt188}"
poll = {poll}
"""


class WholeHome:
    """`async with WholeHome(folder, shim) as home`: hardware, broker, collector; then `start()`."""

    def __init__(
        self, folder: Path, shim: Path, *, poll_s: float = 0.5, commit_s: float = 0.2
    ) -> None:
        self.folder = folder
        self.broker = Broker()
        self.gateway: asyncio.subprocess.Process | None = None
        self.ready_s = 0.0
        self._shim = shim
        self._poll_s = poll_s
        self._commit_s = commit_s
        self._stack = AsyncExitStack()
        self._environment: dict[str, str] = {}
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)

    async def __aenter__(self) -> WholeHome:
        enter = self._stack.enter_async_context
        air = Air()
        self.band = VirtualBand(air, BAND)
        self.gpio = await enter(FakeGpio(self._shim))
        bus = await enter(PrivateBus())
        self.bluez = await enter(FakeBluez(bus.address, air))
        await self.band.power_on()
        self.wires = self._stack.enter_context(VirtualBus())
        self.wires.add(VirtualModbusMeter(7, flow=WaterFlow(900, 12_345)))
        self.wires.add(VirtualCjt188Meter(CJT188, WaterFlow(3600, 6_789_000)))
        await enter(self.broker)
        self._listener.bind(str(self.folder / "notify"))
        self._environment = {
            **os.environ,
            **self.gpio.env,
            "DBUS_SYSTEM_BUS_ADDRESS": bus.address,
            "NOTIFY_SOCKET": str(self.folder / "notify"),
        }
        (self.folder / "hearth.toml").write_text(
            CONFIG.format(
                folder=self.folder, broker=self.broker.url, port=self.wires.port, chip=LABEL,
                band=BAND, cjt188=CJT188, poll=self._poll_s, commit=self._commit_s,
            )
        )  # fmt: skip
        self.collector = await self._hearth(
            "collect", "--url", self.broker.url, "--store", f"sqlite://{self.folder}/events.db"
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.gateway and self.gateway.returncode is None:
            await self.stop()
        self.collector.terminate()
        await self.collector.wait()
        self._listener.close()
        await self._stack.aclose()

    async def start(self) -> None:
        """`hearth run`, until it says that it is ready."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        config = str(self.folder / "hearth.toml")
        self.gateway = await self._hearth("run", "-c", config, env=self._environment)
        async with asyncio.timeout(READY_S):
            while b"READY=1" not in await loop.sock_recv(self._listener, 4096):
                pass
        self.ready_s = loop.time() - started

    async def connected(self) -> None:
        """Until every device of the home has been heard of at the collector."""
        async with asyncio.timeout(READY_S):
            await self.gpio.requested(BUTTON)
            await self.band.wait_subscribed()
            while self.count("measurement", "meter-kitchen") < 1 or not self.count(
                "measurement", "meter-bath"
            ):
                await asyncio.sleep(0.02)

    async def press(self) -> None:
        """Press until the light comes on (again), and let go."""
        async with asyncio.timeout(10):
            await self.gpio.driven(LIGHT, 0)
            self.gpio.set(BUTTON, 0)
            await self.gpio.driven(LIGHT, 1)
        self.gpio.set(BUTTON, 1)

    async def kill(self) -> None:
        """SIGKILL."""
        assert self.gateway
        self.gateway.kill()
        await self.gateway.wait()

    async def stop(self) -> int:
        """SIGTERM, and the exit code."""
        assert self.gateway
        self.gateway.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self.gateway.wait(), 30)

    async def stored(self, kind: str, device: str, count: int, timeout_s: float = 30) -> None:
        """Until the collector has so many events of a device."""
        async with asyncio.timeout(timeout_s):
            while self.count(kind, device) < count:
                await asyncio.sleep(0.01)

    def count(self, kind: str, device: str) -> int:
        """How many such events the collector has."""
        return self.query(
            "SELECT count(*) FROM events WHERE kind = ? AND device = ?", kind, device
        )[0][0]

    def query(self, question: str, *values: object) -> list[tuple]:
        """Ask the collector's database."""
        try:
            base = sqlite3.connect(f"file:{self.folder}/events.db?mode=ro", uri=True, timeout=5)
            try:
                return base.execute(question, values).fetchall()
            finally:
                base.close()
        except sqlite3.OperationalError:
            return [(0,)]  # not made yet

    async def books(self) -> tuple[int, list[dict]]:
        """`hearth collect --check`: its exit code, and the books."""
        process = await self._hearth(
            "collect", "--check", "--json", "--store", f"sqlite://{self.folder}/events.db",
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, _ = await process.communicate()
        return process.returncode or 0, json.loads(out)

    async def _hearth(
        self, *arguments: str, env: dict[str, str] | None = None, stdout: int | None = None
    ) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway.cli.main", *arguments, env=env, stdout=stdout
        )
