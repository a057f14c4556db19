"""A whole home around a real `hearth run`, with nothing of hearth replaced.

The daemon is the shipped program with its real adapters: libgpiod (on a simulated chip), bleak's
BlueZ backend (on a played bluetoothd), a serial port (a pseudo-terminal), a real broker, a real
collector in a process of its own.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from fake_bluez import FakeBluez
from fake_gpio import LABEL, FakeGpio
from home import READY_S, Home
from private_bus import PrivateBus

from drivers.sim.air import Air
from drivers.sim.band import VirtualBand
from drivers.sim.meter_cjt188 import VirtualCjt188Meter
from drivers.sim.meter_modbus import VirtualModbusMeter
from drivers.sim.water_flow import WaterFlow
from drivers.sim.wires import VirtualBus
from gateway.codec import decode_event
from gateway.journal.view import view
from gateway.model import Kind, Lane

BAND = "C0:FF:EE:00:00:01"
CJT188 = "33781122334401"
BUTTON, LIGHT = 17, 27
PRESS_S = 0.15  # well beyond the debounce

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


class WholeHome(Home):
    """A button, a band, two meters."""

    def __init__(
        self, folder: Path, shim: Path, *, poll_s: float = 0.5, commit_s: float = 0.2
    ) -> None:
        super().__init__(folder)
        self._shim = shim
        self._poll_s = poll_s
        self._commit_s = commit_s

    async def hardware(self, stack: AsyncExitStack) -> dict[str, str]:
        """All of it on; the environment that the gateway finds it by."""
        air = Air()
        self.band = VirtualBand(air, BAND)
        self.gpio = await stack.enter_async_context(FakeGpio(self._shim))
        bus = await stack.enter_async_context(PrivateBus())
        self.bluez = await stack.enter_async_context(FakeBluez(bus.address, air))
        await self.band.power_on()
        self.wires = stack.enter_context(VirtualBus())
        self.wires.add(VirtualModbusMeter(7, flow=WaterFlow(900, 12_345)))
        self.wires.add(VirtualCjt188Meter(CJT188, WaterFlow(3600, 6_789_000)))
        return {**self.gpio.env, "DBUS_SYSTEM_BUS_ADDRESS": bus.address}

    def config(self) -> str:
        """Every device of the home."""
        return CONFIG.format(
            folder=self.folder, broker=self.broker.url, port=self.wires.port, chip=LABEL,
            band=BAND, cjt188=CJT188, poll=self._poll_s, commit=self._commit_s,
        )  # fmt: skip

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
        """Press until the light says that a call is on flash, and let go.

        It may be on for an earlier press, so a press lasts as long as a person's at least.
        """
        async with asyncio.timeout(10):
            self.gpio.set(BUTTON, 0)
            await asyncio.gather(self.gpio.driven(LIGHT, 1), asyncio.sleep(PRESS_S))
        self.gpio.set(BUTTON, 1)

    async def waiting(self, calls: int) -> None:
        """Until so many calls are on flash and not acknowledged."""
        async with asyncio.timeout(10):
            while self._waiting_calls() < calls:
                await asyncio.sleep(0.01)

    def _waiting_calls(self) -> int:
        urgent = view(self.folder / "journal").lanes[Lane.URGENT]
        events = [decode_event(entry.payload) for entry in urgent.entries if not entry.is_gap]
        return sum(event.kind is Kind.CALL for event in events)
