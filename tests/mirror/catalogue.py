"""A mirror of a home with one device of each driver, to which everything is told that they measure."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path

from brokers import until
from test_home_assistant import STAMP, all_measurements

from drivers.bthome.wire.objects import TRUTHS
from drivers.sim.broker import Broker
from gateway.mirror import Mirror
from gateway.mirror.home_assistant import HomeAssistant
from gateway.mirror.home_assistant.kept import Kept
from gateway.mirror.mirror import uplink_of
from gateway.model import Event, Kind, Measurement
from gateway.settings import DeviceSettings, MirrorSettings

GATEWAY = "catalogue"
ALARMS = "smoke", "gas", "heat", "water", "new"


def measured() -> dict[str, dict[str, Measurement]]:
    """By device, which is called as its driver, and name."""
    found: dict[str, dict[str, Measurement]] = {}
    for driver, name, unit in all_measurements():
        # Within what each class may be: a share of one in SenML, a coordinate, a temperature.
        found.setdefault(driver, {})[name] = Measurement(name, 0.5 if unit == "/" else 12.5, unit)
    for name in TRUTHS.values():
        found["bthome"][name] = Measurement(name, True)
    found["wristband"]["presence"] = Measurement("presence", "home")
    return found


def entities() -> set[str]:
    """The unique id of each that must be there once `tell` is done."""
    places = {(it, f"measurement/{name}") for it, each in measured().items() for name in each}
    places |= {("modbus", f"alarm/{it}") for it in ALARMS} | {("mbus", "fault/overloaded")}
    places |= {("bthome", "press/button"), ("bthome", "press/dimmer")}
    return {f"hearth/{GATEWAY}/{device}/{place}" for device, place in places}


@asynccontextmanager
async def catalogue(folder: Path, broker: Broker, language: str):
    """The mirror, connected, and all told to it."""
    devices = [DeviceSettings(it, it, room="workshop") for it in measured()]
    facts = {"language": language, "is_online": lambda _: True, "calls": list}
    home = HomeAssistant(GATEWAY, "homeassistant", devices, Kept(folder / "mirror.json"), **facts)
    settings = MirrorSettings(url=broker.url)
    mirror = Mirror(GATEWAY, uplink_of(GATEWAY, settings), Kept(folder / "mirror.json"), home)
    mirror.start()
    try:
        await until(lambda: mirror.facts()["connected"], "connected")
        _tell(mirror)
        await until(lambda: not mirror.facts()["queued"], "all told", timeout_s=30)
        yield mirror
    finally:
        await mirror.close()


def press(mirror: Mirror) -> None:
    """A wireless button, twice, and its dimmer."""
    _note(mirror, "bthome", Kind.MEASUREMENT, Measurement("button", "double"))
    _note(mirror, "bthome", Kind.MEASUREMENT, Measurement("dimmer", -3))


def _tell(mirror: Mirror) -> None:
    for device, each in measured().items():
        _note(mirror, device, Kind.MEASUREMENT, *each.values())
    for it in ALARMS:
        _note(mirror, "modbus", Kind.ALARM, alarm=it, active=True)
    _note(mirror, "mbus", Kind.FAULT, fault="overloaded", active=True)
    press(mirror)


def _note(mirror: Mirror, device: str, kind: Kind, *found: Measurement, **detail: object) -> None:
    mirror.note(Event(kind, device, STAMP, found, {}, detail), 1)
