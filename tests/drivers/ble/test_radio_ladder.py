"""A radio on which connecting fails, or scanning: each rung is tried, in its turn, and then it says so."""

import asyncio

import pytest
from bleak.backends.device import BLEDevice
from bleak.exc import BleakError

from drivers.ble import radio as radio_module
from drivers.ble.ladder import CYCLE_AT, FORGET_AT
from drivers.ble.radio import Radio
from gateway.errors import DeviceSilent, LinkLost

ADDRESS = "C0:FF:EE:00:00:01"


class PlayedStack:
    """What is below bleak; it keeps what it was asked for."""

    blocked = False

    def __init__(self, on_lost):
        self.on_lost = on_lost
        self.asked = []

    async def release(self, address):
        pass

    async def power_on(self):
        self.asked.append("on")
        if self.blocked:
            raise LinkLost("the adapter stays off: Blocked through rfkill")

    async def forget(self, address):
        self.asked.append(f"forget {address}")

    async def power_cycle(self):
        self.asked.append("cycle")
        self.on_lost("the adapter was restarted")

    async def close(self):
        pass


class PlayedScanner:
    """bleak's, which hears the band at once."""

    trouble: Exception | None = None

    def __init__(self, callback, **_):
        self._callback = callback

    async def start(self):
        if self.trouble:
            raise self.trouble
        device = BLEDevice(ADDRESS, "band", {})
        data = type("Data", (), {"local_name": "", "rssi": -60, "service_data": {},
                                 "manufacturer_data": {}, "service_uuids": []})()  # fmt: skip
        asyncio.get_running_loop().call_soon(self._callback, device, data)

    async def stop(self):
        pass


@pytest.fixture
def asked(monkeypatch):
    """What every stack was asked for, in one list; connecting fails."""
    seen = []

    async def open_stack(self):
        stack = PlayedStack(self._on_stack_lost)
        stack.asked = seen
        return stack, {}, {}

    async def establish(*_arguments, **_options):
        raise BleakError("le-connection-abort")

    monkeypatch.setattr(Radio, "_open_stack", open_stack)
    monkeypatch.setattr(radio_module, "establish_connection", establish)
    monkeypatch.setattr("drivers.ble.scan.BleakScanner", PlayedScanner)
    return seen


async def fails(radio):
    """One attempt; what it said."""
    with pytest.raises((DeviceSilent, LinkLost)) as refused:
        await radio.connect(ADDRESS, 5, lambda advert: None)
    assert radio.seats.free == radio.seats.count, "a seat was lost"
    return refused.value


async def test_a_band_that_is_heard_and_never_connects(asked):
    radio = Radio("hci0")
    said = [await fails(radio) for _ in range(CYCLE_AT + 2)]
    forgets = CYCLE_AT - FORGET_AT
    assert asked == ["on", *[f"forget {ADDRESS}"] * forgets, "cycle", "on"]
    assert [str(it.what) for it in said[:CYCLE_AT]] == ["le-connection-abort"] * CYCLE_AT
    for it in said[CYCLE_AT:]:
        assert it.what == "is heard, but nothing gets it connected: le-connection-abort"
        assert "plug the adapter in again" in it.hint


async def test_an_adapter_that_never_scans(asked, monkeypatch):
    monkeypatch.setattr(PlayedScanner, "trouble", BleakError("Operation already in progress"))
    radio = Radio("hci0")
    said = [await fails(radio) for _ in range(CYCLE_AT + 1)]
    assert asked.count("cycle") == 1
    assert said[-1].what == "the adapter does not scan: Operation already in progress"


async def test_an_error_that_is_not_of_connecting_climbs_no_rung(asked, monkeypatch):
    radio = Radio("hci0")
    for _ in range(CYCLE_AT - 1):
        await fails(radio)
    connected = []

    async def establish(*_arguments, **_options):
        connected.append(True)
        raise LinkLost("the journal of somebody else")

    asked.clear()
    monkeypatch.setattr(radio_module, "establish_connection", establish)
    await fails(radio)
    assert connected
    assert asked == []


async def test_a_radio_that_is_blocked_is_asked_again_each_time(asked, monkeypatch):
    monkeypatch.setattr(PlayedStack, "blocked", True)
    radio = Radio("hci0")
    for _ in range(3):
        assert "rfkill" in str(await fails(radio))
    assert asked == ["on"] * 3
