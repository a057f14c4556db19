"""hearth's devices in a real Home Assistant: a line for each thing that is seen there.

    python tests/mirror/with_home_assistant.py --hass PATH

PATH is the program `hass` of an installation (`pip install homeassistant` in an environment of its
own). It is started with a folder of its own, its owner and its connection to the broker are made
by its own pages, and it is restarted; `hearth run` is killed, the broker too. Then everything that
drivers can measure is told to it. 0 if all of it was as docs/home-assistant.md says.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "rigs"))

from catalogue import GATEWAY, catalogue, entities, press
from mirrored_home import BUTTON, DOOR, SMOKE, MirroredHome
from real_home_assistant import RealHomeAssistant
from showing import Showing, States, is_number, state_of

from gateway.signing.keys import write_keys
from gateway.signing.signature import PrivateKey

CALL, RANG = "binary_sensor.call_bedroom_call", "event.call_bedroom_calls"
SMOKED, OPENED = "binary_sensor.smoke_kitchen_smoke", "binary_sensor.door_hall_door"
VOLUME, METERED = "sensor.meter_kitchen_volume", "binary_sensor.meter_kitchen_connection"
CONNECTED = "binary_sensor.mirrored_home_connection"
# Entity: device class, unit, state class, name.
LOOKS = {
    CALL: ("safety", None, None, "call-bedroom Call"),
    RANG: ("button", None, None, "call-bedroom Calls"),
    SMOKED: ("smoke", None, None, "smoke-kitchen Smoke"),
    OPENED: ("door", None, None, "door-hall Door"),
    METERED: ("connectivity", None, None, "meter-kitchen Connection"),
    VOLUME: ("water", "m³", "total_increasing", "meter-kitchen Volume"),
    "sensor.meter_kitchen_flow": (
        "volume_flow_rate", "m³/h", "measurement", "meter-kitchen Flow"),
    "sensor.meter_kitchen_battery_voltage": (
        "voltage", "V", "measurement", "meter-kitchen Battery voltage"),
    "binary_sensor.meter_kitchen_battery_low": (
        "battery", None, None, "meter-kitchen Battery low"),
    CONNECTED: ("connectivity", None, None, "mirrored-home Connection"),
    "sensor.mirrored_home_backlog_urgent": (
        None, None, "measurement", "mirrored-home Backlog urgent"),
}  # fmt: skip
AT_FIRST = {CALL: "off", SMOKED: "off", OPENED: "off", METERED: "on", CONNECTED: "on"}
CHINESE = {
    CALL: "call-bedroom 呼叫",
    SMOKED: "smoke-kitchen 烟雾报警",
    OPENED: "door-hall 门",
    VOLUME: "meter-kitchen 用水量",
}
IN_ENGLISH = {"[journal]": '[announce]\nlanguage = "en"\n[journal]'}
UNTOLD = {"home_assistant = true": "home_assistant = false"}
WITH_CANCEL = {"light = 27": 'light = 27\nlong = "cancel"\nlong_press = 0.5'}
CANCEL_S = 0.8  # held longer than `long_press`


class Story(Showing):
    """What is done to a home, and what Home Assistant shows then."""

    def __init__(self, home: MirroredHome, ha: RealHomeAssistant) -> None:
        super().__init__(ha)
        self.home = home
        # Of somebody who could take a call: one that nobody can take ends a minute after its delivery.
        _, self._key = write_keys(PrivateKey.generate(), str(home.folder / "desk"))

    async def configure(self, changes: dict[str, str], *, meter: bool = True) -> None:
        """Start hearth with another configuration."""
        if self.home.gateway:
            await self.home.stop()
        text = self.home.config(meter=meter)
        answered = {"[supervision]": f'[commands]\nkeys = ["{self._key}"]\n[supervision]'}
        for old, new in (WITH_CANCEL | answered | changes).items():
            assert old in text
            text = text.replace(old, new)
        (self.home.folder / "hearth.toml").write_text(text)
        await self.start()

    async def start(self) -> None:
        """Until it watches the board."""
        await self.home.start()
        for line in (BUTTON, SMOKE, DOOR):
            await self.home.board.button(line).watched()

    async def everything_appears(self) -> None:
        """As it should look."""
        await self.configure(IN_ENGLISH)
        await self.comes("every entity appears", lambda states: LOOKS.keys() <= states.keys())
        await self.shows("nothing rings, nothing burns, nothing is unknown", AT_FIRST)
        await self.comes("the meter has a number", lambda states: is_number(states, VOLUME))
        for entity, wanted in LOOKS.items():
            await self.looks(entity, *wanted)
        devices = await self.devices()
        self.see("five devices", len(devices) == 5, [*devices])
        self.see("the button is in its room", devices["call-bedroom"]["area_id"] == "bedroom")
        gateway = devices.pop("mirrored-home")["id"]
        ways = {it["via_device_id"] for it in devices.values()}
        self.see("all by way of the gateway", ways == {gateway}, ways)

    async def states_follow(self) -> None:
        """Of each device, there and back."""
        await self.home.button.press()
        states = await self.shows("a press turns Call on", {CALL: "on"})
        told = states[RANG]["attributes"]
        rang = told["event_type"], told["cause"]
        self.see("and is an event `call`", rang == ("call", "button"), told)
        await self.home.button.press(CANCEL_S)
        await self.shows("taken back, it is off", {CALL: "off"})
        for what, button, entity in (
            ("smoke", self.home.smoke, SMOKED),
            ("door", self.home.door, OPENED),
        ):
            button.hold()
            await self.shows(f"{what}: on", {entity: "on"})
            button.release()
            await self.shows(f"{what}: off", {entity: "off"})
        before = float(states[VOLUME]["state"])
        await self.comes("the meter counts", lambda now: float(now[VOLUME]["state"]) > before)
        self.home.wires.unplug()
        gone = {VOLUME: "unavailable", METERED: "off"}
        await self.shows("a meter that does not answer is unavailable", gone)
        self.home.wires.plug_in()
        await self.shows("it is back", {METERED: "on"})
        await self.comes("with its number", lambda states: is_number(states, VOLUME))

    async def hearth_is_killed(self) -> None:
        """With an open call; the kitchen burns before it is back."""
        await self.home.button.press()
        before = await self.shows("somebody calls", {CALL: "on"})
        await self.home.kill()
        gone = dict.fromkeys((CALL, SMOKED, OPENED, VOLUME, METERED), "unavailable")
        await self.shows(
            "kill -9: the gateway is gone, all is unavailable", gone | {CONNECTED: "off"}
        )
        self.home.smoke.hold()
        await self.start()
        await self._is_as("it is back: the call is open, the smoke is seen", before)

    async def _is_as(self, what: str, before: States) -> None:
        await self.shows(what, {CALL: "on", SMOKED: "on", OPENED: "off", CONNECTED: "on"})
        states = await self.comes("the meter has a number", lambda now: is_number(now, VOLUME))
        rang = state_of(states, RANG)
        self.see("nobody called anew", rang == state_of(before, RANG), rang)

    async def home_assistant_restarts(self, when: str) -> None:
        """Its states are what is retained."""
        ids, before = await self.ids("mirrored-home"), await self.ha.states()
        await self.ha.stop()
        await self.ha.start()
        await self._is_as(f"Home Assistant restarted {when}: call, smoke and door", before)
        after = await self.ids("mirrored-home")
        self.see("entity ids are the same", after == ids, after)

    async def broker_restarts(self) -> None:
        """Killed; it comes back with nothing."""
        before = await self.ha.states()
        await self.home.broker.kill()
        await self.shows("broker gone: all is unavailable", dict.fromkeys(LOOKS, "unavailable"))
        await self.home.broker.start()
        await self._is_as("broker back: call, smoke and door", before)

    async def language_changes(self) -> None:
        """Names only."""
        ids = await self.ids("mirrored-home")
        await self.configure({})
        await self.comes("in Chinese the names are Chinese", lambda states: {
            it: states[it]["attributes"]["friendly_name"] for it in CHINESE} == CHINESE)  # fmt: skip
        after = await self.ids("mirrored-home")
        self.see("entity ids are the same", after == ids, after)

    async def devices_go(self) -> None:
        """One, then all."""
        await self.configure({}, meter=False)
        await self.comes("a meter that is taken out disappears", lambda now: VOLUME not in now)
        devices = await self.devices()
        self.see("with its device", "meter-kitchen" not in devices, [*devices])
        await self.configure(UNTOLD, meter=False)
        await self.comes("home_assistant = false: all disappears", lambda now: CALL not in now)
        devices = await self.devices()
        self.see("with all devices", not devices, [*devices])

    async def all_that_drivers_measure(self, folder: Path) -> None:
        """From a mirror without a gateway."""
        wanted = entities()
        async with catalogue(folder, self.home.broker, "en") as mirror:
            ids = await self.registered(GATEWAY, wanted)
            self.see(
                f"{len(wanted)} entities of all drivers", wanted <= ids.keys(), wanted - ids.keys()
            )
            readings = [ids[it] for it in wanted & ids.keys() if "/press/" not in it]
            await self.comes(
                "each has a state", lambda now: all(is_number(now, it) for it in readings)
            )
            button, dimmer = (
                ids[f"hearth/{GATEWAY}/bthome/press/{it}"] for it in ("button", "dimmer")
            )
            press(mirror)
            states = await self.comes(
                "presses are events",
                lambda now: now[dimmer]["attributes"]["event_type"] == "turned",
            )
            self.see("of their type", states[button]["attributes"]["event_type"] == "double")
            self.see("with their steps", states[dimmer]["attributes"]["steps"] == -3)
            await self.dashboards(ids)
        async with catalogue(folder, self.home.broker, "zh"):
            heart_rate = ids[f"hearth/{GATEWAY}/wristband/measurement/heart_rate"]
            await self.comes(
                "in Chinese, too",
                lambda now: now[heart_rate]["attributes"]["friendly_name"] == "wristband 心率",
            )
            after = await self.ids(GATEWAY)
            self.see("entity ids are the same", after == ids, after)

    async def dashboards(self, ids: dict[str, str]) -> None:
        """What they say of what they are to add up."""
        water, energy = (
            ids[f"hearth/{GATEWAY}/{it}"]
            for it in ("cjt188/measurement/volume", "modbus/measurement/energy_import")
        )
        of_grid = {
            "stat_energy_from": energy,
            "stat_cost": None,
            "entity_energy_price": None,
            "number_energy_price": None,
        }
        grid = {"type": "grid", "cost_adjustment_day": 0, "flow_from": [of_grid], "flow_to": []}
        sources = [{"type": "water", "stat_energy_from": water}, grid]
        await self.ha.ask("energy/save_prefs", energy_sources=sources, device_consumption=[])
        found = (await self.ha.ask("energy/validate"))["energy_sources"]
        # Statistics are made every five minutes; until then it says that there are none.
        found = [it for each in found for it in each if it["type"] != "statistics_not_defined"]
        self.see("the energy dashboard takes water and electricity", not found, found)
        found = await self.ha.ask("recorder/validate_statistics")
        # Of what disappeared before, it says that it is not there.
        found = [it for each in found.values() for it in each if it["type"] != "no_state"]
        self.see("statistics have no issue", not found, found)

    async def play(self, folder: Path) -> None:
        """All of it, in its order."""
        await self.everything_appears()
        await self.states_follow()
        await self.hearth_is_killed()
        await self.home_assistant_restarts("while hearth runs")
        await self.broker_restarts()
        await self.home_assistant_restarts("after a broker that lost all")
        await self.language_changes()
        await self.devices_go()
        await self.all_that_drivers_measure(folder)
        await self.ha.stop()
        complaints = self.ha.complaints()
        self.see(
            "no warning and no error of ours in its log", not complaints, "\n".join(complaints)
        )


async def main(hass: str) -> int:
    """1 if anything was otherwise."""
    with tempfile.TemporaryDirectory(prefix="hearth-home-assistant-") as folder:
        home_folder, ha_folder, mirror_folder = (
            Path(folder) / it for it in ("home", "ha", "mirror")
        )
        for it in (home_folder, ha_folder, mirror_folder):
            it.mkdir()
        async with (
            MirroredHome(home_folder) as home,
            RealHomeAssistant(hass, ha_folder, home.broker.port) as ha,
        ):
            print(f"Home Assistant {ha.version}")
            story = Story(home, ha)
            await story.play(mirror_folder)
    print(f"{story.failed} FAILED" if story.failed else "all as it should be")
    return 1 if story.failed else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--hass", required=True, help="the program hass of an installation")
    sys.exit(asyncio.run(main(parser.parse_args().hass)))
