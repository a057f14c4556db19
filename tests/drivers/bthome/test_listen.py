"""What the radio promises to those who listen: every advertisement, and word of its end."""

import asyncio

import pytest
from beacon_bench import ADDRESS

from drivers.ble.radio import Radio
from drivers.bthome.wire.frame import UUID
from drivers.sim.beacon import VirtualBeacon

SECOND = "C0:FF:EE:00:00:03"


@pytest.fixture
async def radio(adapter):
    radio = Radio(f"sim:{adapter.path}")
    yield radio
    await radio.close()


@pytest.fixture
async def beacon(air):
    beacon = VirtualBeacon(air, ADDRESS)
    beacon.power_on()
    yield beacon
    await beacon.power_off()


async def next_heard(radio, address=ADDRESS):
    """The next advertisement of an address."""
    found = asyncio.get_running_loop().create_future()
    async with asyncio.timeout(5):
        async with radio.listen(address, lambda it: found.done() or found.set_result(it)):
            return await found


async def test_an_advertisement_is_told_as_it_is(radio, beacon, air):
    air.set_rssi(ADDRESS, -88)
    advert = await next_heard(radio, ADDRESS.lower())
    assert (advert.address, advert.name, advert.rssi) == (ADDRESS, "", -88)
    assert advert.service_data == {UUID: beacon.said[-1]}
    assert not advert.manufacturer_data
    assert not advert.service_uuids


async def test_the_loss_of_the_adapter_is_told(radio, adapter, beacon):
    async with asyncio.timeout(5), radio.listen(ADDRESS, lambda _: None) as lost:
        await adapter.unplug()
        assert await lost.wait() == "the virtual adapter is gone"


async def test_who_is_slow_to_leave_does_not_keep_others_from_listening(radio, adapter, beacon):
    async with radio.listen(ADDRESS, lambda _: None) as lost:
        await adapter.unplug()
        await lost.wait()
        await adapter.plug()
        assert (await next_heard(radio)).address == ADDRESS
    assert (await next_heard(radio)).address == ADDRESS


async def test_who_leaves_does_not_end_the_scan_of_others(radio, beacon, air):
    second = VirtualBeacon(air, SECOND)
    heard = asyncio.Queue()
    async with radio.listen(ADDRESS, heard.put_nowait):
        second.power_on()
        assert (await next_heard(radio, SECOND)).address == SECOND
        while not heard.empty():
            heard.get_nowait()
        async with asyncio.timeout(5):
            assert (await heard.get()).address == ADDRESS
    await second.power_off()


async def test_nothing_is_heard_outside(radio, beacon):
    heard = []
    async with radio.listen(ADDRESS, heard.append):
        pass
    before = len(heard)
    await next_heard(radio)
    assert len(heard) == before
