"""A home whose gateway is mirrored and measured, around a real `hearth run`; its hardware is virtual."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from home import Home

from drivers.sim.board import VirtualBoard
from drivers.sim.loopback import HOST, free_port
from drivers.sim.meter_modbus import VirtualModbusMeter
from drivers.sim.water_flow import WaterFlow
from drivers.sim.wires import VirtualBus

BUTTON, LIGHT, SMOKE, DOOR = 17, 27, 23, 25
METER = 7

CONFIG = """
[gateway]
id = "mirrored-home"
[journal]
path = "{folder}/journal"
quota = "16 MiB"
commit_interval = 0.2
[uplink]
url = "{broker}"
ack_timeout = 1.0
[control]
socket = "{folder}/control.sock"
[supervision]
quiet_after = 90
[mirror]
url = "{mirror}"
home_assistant = true
[metrics]
listen = "{listen}"
[[bus]]
id = "rs485-1"
port = "{port}"
[[device]]
id = "call-bedroom"
driver = "button"
chip = "sim:{folder}/board.sock"
offset = 17
light = 27
room = "bedroom"
resident = "resident-1"
[[device]]
id = "smoke-kitchen"
driver = "contact"
chip = "sim:{folder}/board.sock"
offset = 23
kind = "smoke"
normally = "open"
[[device]]
id = "door-hall"
driver = "contact"
chip = "sim:{folder}/board.sock"
offset = 25
kind = "door"
normally = "open"
"""
WITH_METER = """
[[device]]
id = "meter-kitchen"
driver = "modbus"
bus = "rs485-1"
unit = 7
profile = "xintai"
poll = 0.5
"""


class MirroredHome(Home):
    """A button, a smoke detector, a door, a water meter."""

    def __init__(self, folder) -> None:
        super().__init__(folder)
        self.listen = f"{HOST}:{free_port()}"
        self.mirror = "uplink"

    async def hardware(self, stack: AsyncExitStack) -> dict[str, str]:
        self.board = await stack.enter_async_context(VirtualBoard(self.folder / "board.sock"))
        self.button = self.board.button(BUTTON, light=LIGHT)
        self.smoke, self.door = self.board.button(SMOKE), self.board.button(DOOR)
        self.wires = stack.enter_context(VirtualBus())
        self.meter = VirtualModbusMeter(METER, flow=WaterFlow(900, 12_345))
        self.wires.add(self.meter)
        return {}

    def config(self, *, meter: bool = True) -> str:
        return CONFIG.format(
            folder=self.folder, broker=self.broker.url, mirror=self.mirror, listen=self.listen,
            port=self.wires.port,
        ) + (WITH_METER if meter else "")  # fmt: skip

    async def scrape(self, request: bytes = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n") -> bytes:
        """The whole answer to one request."""
        host, _, port = self.listen.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            writer.write(request)
            return await asyncio.wait_for(reader.read(), 20)
        finally:
            writer.close()
