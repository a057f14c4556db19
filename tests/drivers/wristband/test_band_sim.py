"""The driver on the virtual radio: measuring, leaving, returning, and every way to be cut off."""

import asyncio
import random

import pytest
from band_bench import ADDRESS, driven, settings, states
from stub_context import StubContext

from drivers.sim.band import BATTERY, HEART_RATE, OXIMETER, TEMPERATURE, VirtualBand
from drivers.wristband import driver as band_driver
from drivers.wristband.driver import WristbandDriver
from drivers.wristband.settings import WristbandSettings
from gateway.errors import LinkLost
from gateway.model import Kind


@pytest.fixture
async def band(air):
    band = VirtualBand(air, ADDRESS)
    await band.power_on()
    return band


async def test_everything_a_band_measures(adapter, band, context):
    async with driven(settings(adapter), context):
        await band.wait_subscribed(TEMPERATURE)
        await context.wait_until(lambda: context.values("battery"))
        await band.beat(72, rr=(0.75, 1.0))
        await band.oxygen(97.5, 71)
        await band.temperature(36.6)
        await band.set_battery(50)
        await context.wait_until(lambda: len(context.values("battery")) == 2)
    assert context.states[0] == (
        "online",
        {
            "manufacturer": "Hearth",
            "model": "Virtual Band",
            "firmware": "1.0",
            "profile": "standard",
        },
    )
    assert context.values("heart_rate") == [72]
    assert context.values("rr_interval") == [0.75, 1.0]
    assert context.values("spo2") == [97.5]
    assert context.values("pulse_rate") == [71]
    assert context.values("body_temperature") == [36.6]
    assert context.values("battery") == [87, 50]
    assert context.values("contact") == [True]


async def test_off_the_wrist_is_a_state_and_no_reading(adapter, band, context):
    async with driven(settings(adapter), context):
        await band.wait_subscribed()
        band.take_off()
        await band.beat(130)
        await band.beat(131)
        band.put_on()
        await band.beat(70)
        await context.wait_until(lambda: context.values("heart_rate"))
    assert context.values("heart_rate") == [70]
    assert context.values("contact") == [False, True]


@pytest.mark.parametrize("way", ["drop", "walk away"])
async def test_subscribes_again_after_every_reconnect(adapter, band, context, way):
    async with driven(settings(adapter), context):
        for round_ in range(3):
            await band.wait_subscribed(OXIMETER)
            await band.wait_subscribed(HEART_RATE)
            await band.beat(60 + round_)
            await context.wait_until(lambda n=round_: 60 + n in context.values("heart_rate"))
            if way == "drop":
                await band.drop()
            else:
                band.walk_away()
                await context.wait_until(lambda: states(context)[-1] == "offline")
                band.come_back()
            await band.wait_connected(on=True)
            await context.wait_until(lambda n=round_: states(context).count("online") >= n + 2)
    assert context.values("heart_rate") == [60, 61, 62]
    assert band.connections == 4
    assert states(context)[:4] == ["online", "offline", "online", "offline"]


async def test_away_for_longer_than_an_attempt(adapter, band, context):
    band.walk_away()
    async with driven(settings(adapter, connect_timeout=0.2), context):
        await context.wait_until(lambda: states(context).count("offline") >= 3)
        assert context.states[0] == ("offline", "no answer in time")
        band.come_back()
        await band.wait_subscribed()


async def test_silence_is_a_lost_link(adapter, band, context):
    async with driven(settings(adapter, silence=0.3), context):
        await band.wait_subscribed()
        await context.wait_until(lambda: "offline" in states(context))
        await context.wait_until(lambda: states(context).count("online") == 2)
    assert context.states[1] == ("offline", "silent for 0.3 s")
    assert band.connections == 2


async def test_nonsense_is_a_fault_once_and_never_a_reading(adapter, band, context):
    async with driven(settings(adapter), context):
        await band.wait_subscribed()
        for _ in range(5):
            await band.send(HEART_RATE, b"\x01\x48")
        await band.beat(70)
        await context.wait_until(lambda: context.values("heart_rate"))
    (fault,) = context.of(Kind.FAULT)
    assert fault.detail["fault"] == "malformed"
    assert fault.detail["active"] is True
    assert fault.detail["characteristic"] == "2a37"
    assert context.values("heart_rate") == [70]


async def test_a_storm_of_nonsense_from_every_characteristic(adapter, band, context):
    rng = random.Random(7)
    async with driven(settings(adapter), context) as task:
        await band.wait_subscribed(BATTERY)
        for _ in range(300):
            await band.send(rng.choice([HEART_RATE, OXIMETER, BATTERY]), rng.randbytes(6))
        await band.beat(77)
        await context.wait_until(lambda: 77 in context.values("heart_rate"))
        assert not task.done()
    assert len(context.of(Kind.FAULT)) <= 6  # two sorts, three characteristics


async def test_battery_is_polled(adapter, band, context):
    async with driven(settings(adapter, battery_poll=0.1), context):
        await context.wait_until(lambda: len(context.values("battery")) >= 3)


async def test_ten_bands_share_one_adapter(adapter, air, context):
    bands = [VirtualBand(air, f"C0:FF:EE:00:00:{n:02X}", battery=n) for n in range(10, 20)]
    for band in bands:
        await band.power_on()
    contexts = [StubContext(band.address) for band in bands]
    tasks = []
    for band, mine in zip(bands, contexts, strict=True):
        mine.shared_objects = context.shared_objects
        tasks.append(
            asyncio.create_task(
                WristbandDriver(settings(adapter, band.address, connections=10), mine).run()
            )
        )
    for n, (band, mine) in enumerate(zip(bands, contexts, strict=True)):
        await band.wait_subscribed()
        await band.beat(60 + n)
        await mine.wait_until(lambda m=mine: m.values("heart_rate") and m.values("battery"))
        assert mine.values("heart_rate") == [60 + n]
        assert mine.values("battery") == [10 + n]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_an_absent_band_does_not_keep_the_others_waiting(adapter, air, band, context):
    absent = StubContext("band-2")
    absent.shared_objects = context.shared_objects
    missing = settings(adapter, "C0:FF:EE:00:00:FF", connect_timeout=60.0)
    async with driven(missing, absent):
        await asyncio.sleep(0.1)
        async with driven(settings(adapter), context):
            await band.wait_subscribed()
    assert absent.states == []


async def test_the_adapter_is_pulled_and_comes_back(adapter, band, context):
    async with driven(settings(adapter), context):
        await context.wait_until(lambda: states(context) == ["online"])
        await adapter.unplug()
        await context.wait_until(lambda: states(context)[-1] == "offline")
        assert context.states[1] == ("offline", "the virtual adapter is gone")
        await adapter.plug()
        await context.wait_until(lambda: states(context).count("online") == 2)
        await band.beat(65)
        await context.wait_until(lambda: context.values("heart_rate"))


async def test_the_adapter_stays_away(adapter, band, context, monkeypatch):
    monkeypatch.setattr(band_driver, "RADIO_GRACE_S", 0.3)
    task = asyncio.create_task(WristbandDriver(settings(adapter), context).run())
    await context.wait_until(lambda: states(context) == ["online"])
    await adapter.unplug()
    with pytest.raises(LinkLost):
        await task


async def test_no_adapter_from_the_start_has_a_hint(tmp_path, context):
    missing = WristbandSettings(address=ADDRESS, adapter=f"sim:{tmp_path}/none.sock")
    with pytest.raises(LinkLost) as lost:
        await WristbandDriver(missing, context).run()
    assert "virtual radio" in lost.value.hint


async def test_an_adapter_that_is_taken_has_a_hint(adapter, band, context):
    async with driven(settings(adapter), context):
        await band.wait_subscribed()
        other = StubContext()
        with pytest.raises(LinkLost) as lost:
            await WristbandDriver(settings(adapter), other).run()
        assert "one client" in lost.value.hint


async def test_a_band_that_measures_nothing_is_offline_with_the_reason(adapter, air, context):
    mute = air.device("mute", ADDRESS, advertising_interval_min=20, advertising_interval_max=20)
    await mute.power_on()
    await mute.start_advertising(auto_restart=True)
    async with driven(settings(adapter), context):
        await context.wait_until(lambda: "offline" in states(context))
    assert "measures nothing" in context.states[0][1]
