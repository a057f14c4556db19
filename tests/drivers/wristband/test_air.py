"""What the virtual radio adds to Bumble's: range, signal strength, attempts that can be given up."""

import asyncio

import pytest
from bumble import core
from bumble.hci import Address

from drivers.sim.air import DEFAULT_RSSI, Air
from drivers.sim.band import VirtualBand

ADDRESS = "C0:FF:EE:00:00:01"


@pytest.fixture
async def air():
    return Air()


@pytest.fixture
async def central(air):
    central = air.device("central", "F0:0D:00:00:00:09")
    await central.power_on()
    return central


@pytest.fixture
async def band(air):
    band = VirtualBand(air, ADDRESS)
    await band.power_on()
    return band


async def heard(central):
    """The next advertisement of the band."""
    found = asyncio.get_running_loop().create_future()
    central.on("advertisement", lambda seen: found.done() or found.set_result(seen))
    await central.start_scanning(filter_duplicates=False)
    try:
        async with asyncio.timeout(5):
            return await found
    finally:
        await central.stop_scanning()
        central.remove_all_listeners("advertisement")


async def test_a_connection_attempt_given_up_leaves_the_radio_free(central, band):
    band.walk_away()
    for _ in range(2):
        with pytest.raises(core.TimeoutError):
            await asyncio.wait_for(central.connect(Address(ADDRESS), timeout=0.1), 10)
    band.come_back()
    async with asyncio.timeout(10):
        await central.connect(Address(ADDRESS), timeout=8)
        await band.wait_connected()


async def test_signal_strength_is_of_this_air(central, band, air):
    assert (await heard(central)).rssi == DEFAULT_RSSI
    air.set_rssi(ADDRESS, -91)
    assert (await heard(central)).rssi == -91


async def test_out_of_range_ends_the_link_at_both_ends(central, band):
    connection = await central.connect(Address(ADDRESS))
    lost = asyncio.get_running_loop().create_future()
    connection.on("disconnection", lost.set_result)
    async with asyncio.timeout(10):
        await band.wait_connected()
        band.walk_away()
        await lost
        await band.wait_connected(on=False)


async def test_a_flat_battery_and_a_charged_one(central, band):
    await band.power_off()
    with pytest.raises(core.TimeoutError):
        await central.connect(Address(ADDRESS), timeout=0.1)
    await band.power_on()
    async with asyncio.timeout(10):
        await central.connect(Address(ADDRESS), timeout=8)


async def test_an_alert_makes_the_band_vibrate(central, band):
    from bumble.device import Peer

    peer = Peer(await central.connect(Address(ADDRESS)))
    await peer.discover_services()
    await peer.discover_characteristics()
    (alert,) = peer.get_characteristics_by_uuid(core.UUID.from_16_bits(0x2A06))
    await alert.write_value(b"\x02", with_response=False)
    async with asyncio.timeout(10):
        assert await band.wait_alert() == 2
