"""A home with wristbands: bleak's BlueZ backend, a played bluetoothd, a clock that is synchronised."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Protocol

from fake_bluez import FakeBluez
from home import Home
from private_bus import PrivateBus

from drivers.sim.air import Air
from drivers.sim.band_base import BandBase

CONFIG = """
[gateway]
id = "hil-bands"
[journal]
path = "{folder}/journal"
quota = "16 MiB"
commit_interval = 0.2
[uplink]
url = "{broker}"
ack_timeout = 1.0
[control]
socket = "{folder}/control.sock"
"""
DEVICE = """
[[device]]
id = "{id}"
driver = "wristband"
address = "{address}"
connections = {connections}
"""


class Worn(Protocol):
    """A band, and what the gateway calls it."""

    device: str
    address: str
    band: BandBase


class BandHome(Home):
    """Bands in one air; `hearth run` knows the time."""

    def __init__(self, folder: Path, clock_shim: Path, air: Air, worn: Sequence[Worn]) -> None:
        super().__init__(folder)
        self.air = air
        self.worn = worn
        self._clock_shim = clock_shim

    async def hardware(self, stack: AsyncExitStack) -> dict[str, str]:
        """Bands on, bluetoothd there."""
        bus = await stack.enter_async_context(PrivateBus())
        self.bluez = await stack.enter_async_context(FakeBluez(bus.address, self.air))
        for it in self.worn:
            await it.band.power_on()
        return {"DBUS_SYSTEM_BUS_ADDRESS": bus.address, "LD_PRELOAD": str(self._clock_shim)}

    def config(self) -> str:
        """Every band; the adapter holds all of them."""
        devices = (
            DEVICE.format(id=it.device, address=it.address, connections=len(self.worn))
            for it in self.worn
        )
        return CONFIG.format(folder=self.folder, broker=self.broker.url) + "".join(devices)
