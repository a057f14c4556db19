"""The virtual home: a band, two meters on one pair of wires, a call button; and its configuration.

It lives in the demo's own process and outlives the gateway, as hardware does.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from drivers.sim.air import Air
from drivers.sim.band import VirtualBand
from drivers.sim.board import VirtualBoard
from drivers.sim.hci import VirtualAdapter
from drivers.sim.meter_cjt188 import VirtualCjt188Meter
from drivers.sim.meter_modbus import VirtualModbusMeter
from drivers.sim.water_flow import WaterFlow
from drivers.sim.wires import VirtualBus

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Self

GATEWAY = "demo-home"
BAND_ADDRESS = "F0:F1:F2:F3:F4:F5"
CJT188_ADDRESS = "33781122334401"
MODBUS_UNIT = 7
BUTTON_LINE, LIGHT_LINE = 17, 27
POLL_S = 1.0  # a minute in a home; a demo has no minute
OXYGEN_EVERY_S = 3.0

CONFIG = """\
# The configuration of a demo. In a real home only the addresses differ:
# chip = "gpiochip0", adapter = "hci0", port = "/dev/serial/by-id/...".

[gateway]
id = "demo-home"

[journal]
path = "{folder}/journal"
quota = "16 MiB"
commit_interval = 0.5

[uplink]
url = "{broker}"
ack_timeout = 2.0

[commands]
keys = ["{key}"]

[control]
socket = "{sockets}/control.sock"

[[bus]]
id = "rs485-1"
port = "{port}"
baudrate = 9600

[[device]]
id = "call-bedroom"
driver = "button"
chip = "sim:{sockets}/board.sock"
offset = {button}
light = {light}
room = "bedroom"

[[device]]
id = "band-1"
driver = "wristband"
adapter = "sim:{sockets}/radio.sock"
address = "{band}"
resident = "resident-1"

[[device]]
id = "meter-kitchen"
driver = "modbus"
bus = "rs485-1"
unit = {unit}
profile = "xintai"
poll = {poll}
room = "kitchen"

[[device]]
id = "meter-bath"
driver = "cjt188"
bus = "rs485-1"
address = "{cjt188}"
poll = {poll}
room = "bath"
"""


class Home:
    """All virtual hardware of the demo."""

    def __init__(self, sockets: Path) -> None:
        self._sockets = sockets
        self._stack = AsyncExitStack()
        self._living: list[asyncio.Task[None]] = []
        air = Air()
        self._adapter = VirtualAdapter(air, sockets / "radio.sock")
        self._board = VirtualBoard(sockets / "board.sock")
        self._bus = VirtualBus()
        self.band = VirtualBand(air, BAND_ADDRESS)
        self.button = self._board.button(BUTTON_LINE, light=LIGHT_LINE)

    def write_config(self, folder: Path, broker_url: str, key: Path) -> Path:
        """The configuration of a gateway in this home, which takes orders signed with a key."""
        path = folder / "hearth.toml"
        path.write_text(
            CONFIG.format(
                folder=folder,
                sockets=self._sockets,
                broker=broker_url,
                key=key,
                port=self._bus.port,
                button=BUTTON_LINE,
                light=LIGHT_LINE,
                band=BAND_ADDRESS,
                unit=MODBUS_UNIT,
                cjt188=CJT188_ADDRESS,
                poll=POLL_S,
            ),
            "utf-8",
        )
        return path

    async def __aenter__(self) -> Self:
        self._stack.enter_context(self._bus)
        self._bus.add(VirtualModbusMeter(MODBUS_UNIT, flow=WaterFlow(900, 12_345)))
        self._bus.add(VirtualCjt188Meter(CJT188_ADDRESS, WaterFlow(36_000, 6_789_000)))
        await self._stack.enter_async_context(self._adapter)
        await self._stack.enter_async_context(self._board)
        await self.band.power_on()
        self._living = [
            asyncio.create_task(self.band.live()),
            asyncio.create_task(self._breathe()),
        ]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._living:
            task.cancel()
        await asyncio.gather(*self._living, return_exceptions=True)
        await self._stack.aclose()

    async def _breathe(self) -> None:
        while True:
            await asyncio.sleep(OXYGEN_EVERY_S)
            await self.band.oxygen(97, 68)
