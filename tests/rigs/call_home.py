"""A home with a call button, a lamp, a beeper and a loudspeaker, and somebody upstream who answers.

The daemon is the shipped program with real libgpiod on a simulated chip; the loudspeaker's engine
and player are two small programs that write down what they are given.
"""

from __future__ import annotations

import asyncio
import json
import stat
import sys
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from fake_gpio import LABEL, FakeGpio
from home import Home

from collector.sender import Sender, new_command
from drivers.sim.modem import VirtualModem
from gateway.errors import ControlError
from gateway.settings import read_uplink
from gateway.signing.keys import write_keys
from gateway.signing.signature import PrivateKey
from gateway.uplink import MqttUplink

BUTTON, LIGHT, LAMP, BEEPER = 17, 27, 22, 23
DEVICE = "call-bedroom"
PRESS_S = 0.15  # well beyond the debounce

CONFIG = """
[gateway]
id = "call-home"
address_code = "370303"
[journal]
path = "{folder}/journal"
quota = "16 MiB"
commit_interval = 0.2
[uplink]
url = "{broker}"
ack_timeout = 1.0
ack_keys = ["{folder}/collector.pub"]
[control]
socket = "{folder}/control.sock"
[calls]
deliver = {deliver}
accept = {accept}
repeats = 1
[commands]
keys = ["{key}"]
settable = ["calls.accept"]
[announce]
language = "en"
[[device]]
id = "call-bedroom"
driver = "button"
chip = "{chip}"
offset = 17
light = 27
room = "bedroom"
[[device]]
id = "signal-hall"
driver = "signal"
chip = "{chip}"
lamp = 22
beeper = 23
[[device]]
id = "speaker"
driver = "speaker"
engine = ["{engine}"]
player = ["{player}"]
sounds = "{folder}/sounds"
"""
MODEM = """
[[device]]
id = "modem"
driver = "modem"
port = "{port}"
numbers = ["+8613800000001"]
"""
ENGINE = """#!{python}
import sys, wave
text = sys.stdin.read()
with open({log!r}, "a") as log:
    log.write(text + "\\n")
with wave.open(sys.stdout.buffer, "wb") as sound:
    sound.setparams((1, 2, 16000, 160, "NONE", ""))
    sound.writeframes(bytes(320))
"""
PLAYER = """#!{python}
import sys
sys.stdin.buffer.read()
"""


class CallHome(Home):
    """`deliver_s` and `accept_s` as in `[calls]`."""

    def __init__(
        self,
        folder: Path,
        gpio_shim: Path,
        clock_shim: Path,
        *,
        deliver_s: float = 30.0,
        accept_s: float = 30.0,
        modem: bool = False,
    ) -> None:
        super().__init__(folder)
        self._gpio_shim = gpio_shim
        self._clock_shim = clock_shim
        self._timings = {"deliver": deliver_s, "accept": accept_s}
        self._key = PrivateKey.generate()
        self.modem = VirtualModem() if modem else None

    async def hardware(self, stack: AsyncExitStack) -> dict[str, str]:
        self.gpio = await stack.enter_async_context(FakeGpio(self._gpio_shim))
        if self.modem:
            stack.enter_context(self.modem)
        preload = f"{self.gpio.env['LD_PRELOAD']}:{self._clock_shim}"
        return {**self.gpio.env, "LD_PRELOAD": preload}

    def collecting(self) -> tuple[str, ...]:
        return ("--ack-key", str(self.folder / "collector.key"))

    def config(self) -> str:
        write_keys(PrivateKey.generate(), str(self.folder / "collector"))
        _, public = write_keys(self._key, str(self.folder / "desk"))
        engine = self._program("engine", ENGINE, log=str(self.folder / "said"))
        player = self._program("player", PLAYER)
        modem = MODEM.format(port=self.modem.port) if self.modem else ""
        return CONFIG.format(
            folder=self.folder, broker=self.broker.url, chip=LABEL, key=public,
            engine=engine, player=player, **self._timings,
        ) + modem  # fmt: skip

    def _program(self, name: str, text: str, **names: str) -> Path:
        path = self.folder / name
        path.write_text(text.format(python=sys.executable, **names))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    async def up(self) -> None:
        """`hearth run`, until its button is watched."""
        await self.start()
        async with asyncio.timeout(20):
            await self.gpio.requested(BUTTON)
            await self.gpio.requested(BEEPER)

    async def crash(self) -> None:
        """kill -9, and start again."""
        await self.kill()
        await self.gpio.released(BUTTON)
        await self.gpio.released(BEEPER)
        await self.up()

    async def press(self) -> None:
        self.gpio.set(BUTTON, 0)
        await asyncio.sleep(PRESS_S)
        self.gpio.set(BUTTON, 1)

    async def until(self, state: str | None) -> str:
        """Until the newest call is shown at this state; its id. None is until there is none."""
        async with asyncio.timeout(30):
            while True:
                with suppress(ControlError):  # hearth is being started
                    calls = (await self.status())["calls"]
                    if state is None and not calls:
                        return ""
                    if calls and calls[-1]["state"] == state:
                        return calls[-1]["call"]
                await asyncio.sleep(0.01)

    async def order(self, name: str, who: str = "Sun", **arguments: object) -> tuple[str, str]:
        """Outcome and reason of a signed order."""
        uplink = MqttUplink(read_uplink({"url": self.broker.url}, "test"))
        command = new_command("call-home", name, who, arguments, 60)
        reply = await Sender(uplink, self._key).send(command, 20)
        return ("none", "") if reply is None else (reply.outcome.name.lower(), reply.reason)

    async def said(self, words: str) -> None:
        """Until the loudspeaker was given something with these words."""
        async with asyncio.timeout(20):
            while words not in self.words():
                await asyncio.sleep(0.02)

    def words(self) -> str:
        """All that the loudspeaker was given."""
        path = self.folder / "said"
        return path.read_text() if path.exists() else ""

    async def told(self, state: str) -> dict:
        """Until the collector has this state of a call; the detail of the event."""
        async with asyncio.timeout(30):
            while True:
                for (body,) in self.query("SELECT body FROM events WHERE kind = 'call_state'"):
                    detail = json.loads(body)["detail"]
                    if detail["state"] == state:
                        return detail
                await asyncio.sleep(0.02)

    async def watch(self) -> None:
        """Look at what is shown, again and again; AssertionError if it is more than is true."""
        while True:
            with suppress(ControlError):
                for call in (await self.status())["calls"]:
                    if call["state"] in {"delivered", "escalated", "accepted", "closed"}:
                        assert self.count("call", call["device"]), f"{call} and nobody has it"
            await asyncio.sleep(0.02)
