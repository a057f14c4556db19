"""A home and its far side as shipped units under a real systemd; broker and button are played."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sqlite3
import subprocess
import tempfile
import time
from pathlib import Path

from booted_systemd import BootedSystemd

from drivers.sim.board import VirtualBoard
from drivers.sim.board_wire import VirtualButton
from drivers.sim.broker import Broker, find_mosquitto
from gateway.control import ask

# What a test waits for takes a second or less; two busy cores make it many.
PATIENCE_S = 40.0
# A look costs a process or two.
LOOK_S = 0.03
PASSWORD, FAR_PASSWORD, WEBHOOK_SECRET = (
    "Zwiebelkuchen-7",
    "Pflaumenmus-3",
    "whsec_" + "A" * 43 + "=",
)
STORE = "sqlite:///var/lib/hearth-collect/events.db"
STATE, FAR_STATE = "/var/lib/hearth", "/var/lib/private/hearth-collect"
# What a button tells; what becomes of a call is told with a state.
_PRESSES = """SELECT json_extract(body, '$.detail.call') FROM events WHERE kind = 'call'
AND json_extract(body, '$.detail.cause') = 'button' ORDER BY seq"""
PRESS_S = 0.15  # well beyond the debounce
CONFIG = """
[gateway]
id = "gw-1"
[journal]
quota = "{quota}"
[uplink]
url = "{url}"
username = "gw-1"
password_file = "{password_file}"
ack_timeout = 1.0
[[device]]
id = "call-bedroom"
driver = "button"
chip = "sim:/run/board/board.sock"
offset = 17
light = 27
[[device]]
id = "call-bath"
driver = "button"
chip = "sim:/run/board/board.sock"
offset = 18
light = 28
{more}
"""
COLLECT = """HEARTH_STORE={store}
HEARTH_COLLECT="--url {url} --username collector {more}"
"""


_CLEANING = f"""
systemctl kill --signal=KILL hearth hearth-collect
systemctl stop hearth hearth-collect
rm -rf /run/systemd/system/*.d /run/board /etc/hearth/* /srv/* {STATE}/* {STATE}/.[a-z]* {FAR_STATE}/*
systemctl daemon-reload
systemctl reset-failed
"""


def why_no_broker() -> str:
    """Why there is no broker that asks for passwords; nothing if there is one."""
    tool = shutil.which("mosquitto_passwd")
    return "" if find_mosquitto() and tool else "mosquitto is not installed"


def clean(machine: BootedSystemd) -> None:
    """No service runs, nothing is left of what ran, no unit is changed."""
    machine.run("sh", "-c", _CLEANING)


class Site:
    """`async with`: broker and button; then `configure`, and the units are yours to start."""

    def __init__(self, machine: BootedSystemd) -> None:
        self.machine = machine
        self._folder = tempfile.TemporaryDirectory(prefix="hearth-site-")
        users = Path(self._folder.name) / "users"
        users.touch(0o600)
        for name, password in (("gw-1", PASSWORD), ("collector", FAR_PASSWORD)):
            subprocess.run(["mosquitto_passwd", "-b", users, name, password], check=True)
        self.broker = Broker(listener=f"allow_anonymous false\npassword_file {users}")

    async def __aenter__(self) -> Site:
        await self.broker.start()
        self._begun_s = time.time()
        folder = self.machine.file("/run/board")
        folder.mkdir()
        folder.chmod(0o755)
        self.board = VirtualBoard(folder / "board.sock")
        self.button = self.board.button(17, light=27)
        self.other_button = self.board.button(18, light=28)
        await self.board.plug()
        self.board.path.chmod(0o666)
        self.configure()
        self.configure_far_side()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.board.unplug()
        await self.broker.stop()
        self._folder.cleanup()

    # --- configuration ---

    def configure(
        self, more: str = "", *, quota: str = "16 MiB", password_file: str = "/etc/hearth/password"
    ) -> None:
        """The gateway's, as README.md has it installed; the password is in a file of hearth's."""
        text = CONFIG.format(
            quota=quota, url=self.broker.url, password_file=password_file, more=more
        )
        self.put("/etc/hearth/hearth.toml", text, mode=0o640, group="hearth")
        self.put("/etc/hearth/password", PASSWORD + "\n", mode=0o640, group="hearth")

    def configure_far_side(self, more: str = "", *, store: str = STORE) -> None:
        """The collector's."""
        text = COLLECT.format(url=self.broker.url, more=more, store=store)
        self.put("/etc/hearth/collect.env", text, mode=0o644)
        self.put("/etc/hearth/mqtt-password", FAR_PASSWORD + "\n", mode=0o600)
        self.put("/etc/hearth/webhook-secret", WEBHOOK_SECRET + "\n", mode=0o600)

    def put(self, path: str, text: str, *, mode: int, group: str = "root") -> None:
        """A file of root's on the machine."""
        file = self.machine.file(path)
        file.write_text(text)
        file.chmod(mode)
        os.chown(file, 0, self.machine.group(group))

    # --- services ---

    async def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A program on the machine, while button and alarms go on."""
        return await asyncio.to_thread(self.machine.run, *command, check=check)

    async def systemctl(self, *arguments: str, check: bool = True) -> str:
        """`systemctl`."""
        return (await self.run("systemctl", *arguments, check=check)).stdout

    async def start(self, *units: str) -> None:
        """Start units: it returns when systemd takes them for started."""
        await self.systemctl("start", *(units or ("hearth-collect", "hearth")))

    async def main_pid(self, unit: str) -> int:
        """The main process of a unit, as the machine counts; 0 if it has none."""
        return int((await self.show(unit, "MainPID"))["MainPID"])

    async def show(self, unit: str, *properties: str) -> dict[str, str]:
        """Properties of a unit."""
        return await asyncio.to_thread(self.machine.show, unit, *properties)

    async def until(self, unit: str, **properties: str) -> None:
        """Until a unit has these properties."""
        found: dict[str, str] = {}
        try:
            async with asyncio.timeout(PATIENCE_S):
                while found != properties:
                    found = await self.show(unit, *properties)
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            log = self.machine.journal(unit)
            raise AssertionError(f"{unit}: {found}, not {properties}:\n{log}") from None

    async def log(self, unit: str) -> str:
        """What the unit's processes said, and systemd of it, since the test began."""
        return await asyncio.to_thread(self.machine.journal, unit, self._begun_s)

    async def until_connected(self) -> None:
        """Until the gateway has the broker."""
        socket = str(self.machine.file("/run/hearth/control.sock"))
        async with asyncio.timeout(PATIENCE_S):
            while not (await asyncio.to_thread(ask, socket, "status"))["uplink"]["connected"]:
                await asyncio.sleep(LOOK_S)

    # --- the home ---

    async def press(self, button: VirtualButton | None = None) -> None:
        """Press until the light says that a call is on flash, and let go.

        It may be on for an earlier press, so a press lasts as long as a person's at least. Of one
        button, presses within ten seconds are one, unless the gateway was started in between.
        """
        button = button or self.button
        async with asyncio.timeout(PATIENCE_S):
            await button.watched()
            button.hold()
            await asyncio.gather(button.wait_light(on=True), asyncio.sleep(PRESS_S))
        button.release()

    async def presses(self, count: int) -> list[str]:
        """Until the collector has so many presses; the call that each belongs to."""
        found: list[str] = []
        try:
            async with asyncio.timeout(PATIENCE_S):
                while len(found := await asyncio.to_thread(self._presses)) < count:
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            log = self.machine.journal(since_s=self._begun_s)
            raise AssertionError(f"{found}:\n{log}") from None
        return found

    def _presses(self) -> list[str]:
        try:
            path = self.machine.file(f"{FAR_STATE}/events.db")
            base = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
        except sqlite3.OperationalError:
            return []  # not made yet
        try:
            return [row[0] for row in base.execute(_PRESSES)]
        except sqlite3.OperationalError:
            return []  # its tables are not
        finally:
            base.close()

    async def books(self) -> list[dict]:
        """What `hearth collect --check` says to root."""
        done = await self.run("hearth", "collect", "--check", "--json", "--store", STORE)
        return json.loads(done.stdout)
