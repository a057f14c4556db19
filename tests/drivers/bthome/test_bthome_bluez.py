"""The driver through bleak's own BlueZ backend, against a played bluetoothd."""

import pytest
from beacon_bench import ADDRESS, KEY, driven, presses, states
from fake_bluez import FakeBluez
from private_bus import DBUS_DAEMON, PrivateBus

from drivers.bthome.settings import BthomeSettings
from drivers.sim.beacon import VirtualBeacon

pytestmark = pytest.mark.skipif(DBUS_DAEMON is None, reason="no dbus-daemon to play bluetoothd on")


@pytest.fixture
async def bluez(air, monkeypatch):
    async with PrivateBus() as bus, FakeBluez(bus.address, air) as bluez:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.address)
        yield bluez


@pytest.fixture
async def beacon(air):
    beacon = VirtualBeacon(air, ADDRESS, key=KEY)
    beacon.power_on()
    yield beacon
    await beacon.power_off()


@pytest.fixture
def settings(key_file):
    return BthomeSettings(ADDRESS, key_file=str(key_file))


async def hears_a_press(context, beacon, kind):
    beacon.press(kind)
    await context.wait_until(lambda: presses(context)[-1:] == [kind])


async def test_a_press_is_one_call(bluez, beacon, context, settings):
    async with driven(settings, context):
        await context.wait_until(lambda: states(context) == ["online"])
        await hears_a_press(context, beacon, "double")
        beacon.measure((0x02, 21.5))
        await context.wait_until(lambda: context.values("temperature"))
    assert presses(context) == ["double"]
    assert not bluez.is_scanning()


async def test_bluetoothd_crashes_and_comes_back(bluez, beacon, context, settings):
    async with driven(settings, context):
        await context.wait_until(lambda: states(context) == ["online"])
        await bluez.crash()
        await context.wait_until(lambda: states(context)[-1] == "offline")
        assert ("offline", "bluetoothd went away") in context.states
        await bluez.start()
        await context.wait_until(lambda: states(context)[-1] == "online")
        await hears_a_press(context, beacon, "press")


async def test_the_adapter_is_switched_off_and_on(bluez, beacon, context, settings):
    """BlueZ ends the scan without a word to whoever began it."""
    async with driven(settings, context):
        await context.wait_until(lambda: states(context) == ["online"])
        bluez.power(on=False)
        await context.wait_until(lambda: states(context)[-1] == "offline")
        assert ("offline", "the adapter was switched off") in context.states
        bluez.power(on=True)
        await context.wait_until(lambda: states(context)[-1] == "online")
        await hears_a_press(context, beacon, "press")


async def test_the_adapter_is_pulled_out(bluez, beacon, context, settings):
    async with driven(settings, context):
        await context.wait_until(lambda: states(context) == ["online"])
        bluez.unplug()
        await context.wait_until(lambda: states(context)[-1] == "offline")
        assert ("offline", "the adapter was pulled out") in context.states
