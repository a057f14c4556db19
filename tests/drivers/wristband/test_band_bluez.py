"""The whole link: bleak's own BlueZ backend in another process, against a played bluetoothd."""

import asyncio
import json
import os
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fake_bluez import FakeBluez
from private_bus import DBUS_DAEMON, PrivateBus

from drivers.sim.air import Air
from drivers.sim.band import VirtualBand
from drivers.sim.hci import VirtualAdapter

PROCESS = Path(__file__).with_name("band_process.py")
ROOT = Path(__file__).parents[3]
ADDRESS = "C0:FF:EE:00:00:01"

needs_dbus = pytest.mark.skipif(DBUS_DAEMON is None, reason="no dbus-daemon to play bluetoothd on")


@pytest.fixture
async def air():
    return Air()


@pytest.fixture
async def band(air):
    band = VirtualBand(air, ADDRESS)
    await band.power_on()
    return band


@pytest.fixture
async def bus():
    async with PrivateBus() as bus:
        yield bus


@pytest.fixture
async def bluez(bus, air):
    async with FakeBluez(bus.address, air) as bluez:
        yield bluez


class Driver:
    """The driver's process, and what it told."""

    def __init__(self, process):
        self.process = process

    async def tells(self, *wanted, timeout=15):
        """The next thing it tells that begins with these words."""
        async with asyncio.timeout(timeout):
            while line := await self.process.stdout.readline():
                words = json.loads(line)
                if words[: len(wanted)] == list(wanted):
                    return words
        raise AssertionError(f"it ended without telling {wanted}")

    async def kill(self):
        self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def driver(bus_address, **settings):
    env = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": bus_address, "PYTHONPATH": str(ROOT)}
    text = json.dumps({"address": ADDRESS, "connect_timeout": 5.0, **settings})
    process = await asyncio.create_subprocess_exec(
        sys.executable, PROCESS, text, env=env, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield Driver(process)
    finally:
        if process.returncode is None:
            await Driver(process).kill()


@needs_dbus
async def test_measures_and_subscribes_again_after_a_drop(bus, bluez, band):
    async with driver(bus.address) as told:
        online = await told.tells("online")
        assert online[1]["model"] == "Virtual Band"
        assert await told.tells("emit", "MEASUREMENT") == ["emit", "MEASUREMENT", {"battery": 87}]
        await band.beat(72)
        await told.tells("emit", "MEASUREMENT", {"heart_rate": 72})
        await band.drop()
        assert await told.tells("offline") == ["offline", "the band disconnected"]
        await told.tells("online")
        await band.beat(73)
        await told.tells("emit", "MEASUREMENT", {"heart_rate": 73})
        assert not bluez.is_scanning()


@needs_dbus
async def test_bluetoothd_crashes_and_comes_back(bus, bluez, band):
    async with driver(bus.address) as told:
        await told.tells("emit", "MEASUREMENT", {"battery": 87})
        for round_ in range(2):
            await bluez.crash()
            assert await told.tells("offline") == ["offline", "bluetoothd went away"]
            assert await told.tells("offline") == ["offline", "bluetoothd is not there"]
            await bluez.start()
            await told.tells("online")
            await told.tells("emit", "MEASUREMENT", {"battery": 87})
            await band.beat(70 + round_)
            await told.tells("emit", "MEASUREMENT", {"heart_rate": 70 + round_})


@needs_dbus
async def test_a_killed_driver_leaves_a_connection_and_the_next_one_gets_in(bus, bluez, band):
    async with driver(bus.address) as told:
        await told.tells("online")
        await told.kill()
    assert band.connected
    async with driver(bus.address) as told:
        await told.tells("online")
        await band.beat(71)
        await told.tells("emit", "MEASUREMENT", {"heart_rate": 71})


@needs_dbus
async def test_an_adapter_that_somebody_switches_off_is_switched_on_again(bus, bluez, band):
    async with driver(bus.address) as told:
        await told.tells("online")
        bluez.power(on=False)
        _, reason = await told.tells("offline")
        assert reason in {"the adapter was switched off", "the band disconnected"}
        await told.tells("online")
        await band.beat(71)
        await told.tells("emit", "MEASUREMENT", {"heart_rate": 71})


@needs_dbus
async def test_a_refused_connection_is_tried_again(bus, bluez, band):
    bluez.refuse["Device1.Connect"] = ("org.bluez.Error.Failed", "br-connection-canceled")
    async with driver(bus.address) as told:
        await told.tells("offline")
        bluez.refuse.clear()
        await told.tells("online")


@needs_dbus
async def test_no_such_adapter(bus, bluez):
    async with driver(bus.address, adapter="hci7") as told:
        _, name, what, hint = await told.tells("error")
        assert name == "LinkLost"
        assert "hci7" in what
        assert "bluetoothctl list" in hint


@needs_dbus
async def test_an_adapter_that_is_off_is_switched_on(bus, bluez, band):
    bluez.power(on=False)
    async with driver(bus.address) as told:
        await told.tells("online")


@needs_dbus
async def test_a_radio_that_is_blocked_says_so_and_is_back_when_it_is_not(bus, bluez, band):
    """rfkill, under the feet of a running gateway."""
    async with driver(bus.address) as told:
        await told.tells("online")
        bluez.block()
        await told.tells("offline")
        await told.tells("offline", "the adapter stays off: Blocked through rfkill")
        bluez.unblock()
        await told.tells("online")
        await band.beat(75)
        await told.tells("emit", "MEASUREMENT", {"heart_rate": 75})


@needs_dbus
async def test_a_radio_that_is_blocked_at_the_start_says_what_to_do(bus, bluez):
    bluez.block()
    async with driver(bus.address) as told:
        _, name, what, hint = await told.tells("error")
        assert name == "LinkLost"
        assert "Blocked through rfkill" in what
        assert "rfkill unblock" in hint


@needs_dbus
async def test_an_attempt_that_was_left_over_is_cleared_away(bus, bluez, band):
    """Who was killed while it connected leaves InProgress until the device is removed."""
    bluez.stuck.add(ADDRESS)
    async with driver(bus.address) as told:
        await told.tells("online", timeout=60)
        await told.tells("emit", "MEASUREMENT", {"battery": 87})
    assert bluez.removed == [ADDRESS]
    assert bluez.cycles == 0


@needs_dbus
async def test_firmware_that_hangs_is_power_cycled(bus, bluez, band):
    bluez.hung = True
    async with driver(bus.address) as told:
        await told.tells("online", timeout=90)
    assert bluez.removed, "the gentler remedy comes first"
    assert bluez.cycles == 1


@needs_dbus
async def test_a_scan_that_does_not_begin_is_power_cycled(bus, bluez, band):
    bluez.refuse["Adapter1.StartDiscovery"] = ("org.bluez.Error.InProgress", "Busy")
    async with driver(bus.address) as told:
        while not bluez.cycles:
            await told.tells("offline", timeout=60)
        del bluez.refuse["Adapter1.StartDiscovery"]
        await told.tells("online")


@needs_dbus
async def test_no_bluetoothd(bus):
    async with driver(bus.address) as told:
        _, name, _, hint = await told.tells("error")
        assert name == "LinkLost"
        assert "bluetoothd" in hint


async def test_no_dbus(tmp_path):
    async with driver(f"unix:path={tmp_path}/none") as told:
        _, name, _, hint = await told.tells("error")
        assert name == "LinkLost"
        assert "D-Bus" in hint


async def test_a_killed_process_on_a_virtual_adapter_makes_room_for_the_next(air, band, tmp_path):
    async with VirtualAdapter(air, tmp_path / "radio.sock") as adapter:
        for rate in (65, 66):
            async with driver("", adapter=f"sim:{adapter.path}") as told:
                await told.tells("online")
                await band.beat(rate)
                await told.tells("emit", "MEASUREMENT", {"heart_rate": rate})
                await told.kill()
                await band.wait_connected(on=False)
    assert band.connections == 2


@needs_dbus
async def test_bluetoothd_crashes_while_a_band_is_looked_for(bus, bluez, band):
    band.walk_away()
    async with driver(bus.address, connect_timeout=1.0) as told:
        assert await told.tells("offline") == ["offline", "no answer in time"]
        async with asyncio.timeout(10):
            while not bluez.is_scanning():
                await asyncio.sleep(0.01)
        await bluez.crash()
        await told.tells("offline")
        band.come_back()
        await bluez.start()
        await told.tells("online")
