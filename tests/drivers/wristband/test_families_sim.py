"""The driver on the virtual radio against a band of every family."""

import asyncio
from datetime import UTC, datetime

import pytest
from band_bench import ADDRESS, RefusingContext, SetClock, driven, settings, states
from bleak.exc import BleakDBusError

from drivers import call as band_call
from drivers.ble.radio import Radio
from drivers.ble.trouble import translate
from drivers.sim.band import ALERT_LEVEL, CURRENT_TIME, HEART_RATE, TREADMILL, VirtualBand
from drivers.sim.band_colmi import VirtualColmi
from drivers.sim.band_fff0 import VirtualFff0
from drivers.sim.band_moyoung import VirtualMoyoung
from drivers.wristband import driver as band_driver
from drivers.wristband.driver import WristbandDriver
from drivers.wristband.wire import colmi, fff0, moyoung
from drivers.wristband.wire.uuids import uuid_of
from gateway.errors import (
    DeviceRefused,
    DeviceSilent,
    JournalSaturated,
    LinkLost,
    SettingsError,
)
from gateway.model import Kind, TimeQuality

MOMENT = datetime(2026, 11, 25, 18, 42, 7, tzinfo=UTC)
LOCAL = MOMENT.astimezone()
BCD = bytes.fromhex(f"{LOCAL:%y%m%d%H%M%S}")


@pytest.fixture(autouse=True)
def gateway_knows_the_time(monkeypatch):
    monkeypatch.setattr(band_driver, "SystemClock", lambda: SetClock(MOMENT))


@pytest.fixture
def put_on(air):
    """A band of a kind, switched on."""

    async def make(kind):
        band = kind(air, ADDRESS)
        await band.power_on()
        return band

    return make


def profile(context):
    return context.states[0][1]["profile"]


# --- standard ------------------------------------------------------------------------------------


async def test_standard_sets_the_clock(adapter, put_on, context):
    band = await put_on(VirtualBand)
    async with driven(settings(adapter), context):
        await band.wait_written(CURRENT_TIME, b"")
        await context.wait_until(lambda: context.states)
    assert band.clock == LOCAL.replace(tzinfo=None)
    assert profile(context) == "standard"


async def test_a_clock_is_left_alone_by_a_gateway_that_does_not_know_the_time(
    adapter, put_on, context, monkeypatch
):
    unset = SetClock(MOMENT, TimeQuality.UNKNOWN)
    monkeypatch.setattr(band_driver, "SystemClock", lambda: unset)
    band = await put_on(VirtualBand)
    async with driven(settings(adapter), context):
        await context.wait_until(lambda: context.states)
    assert band.written == []


async def test_a_refused_write_is_a_fault_and_no_end(adapter, put_on, context):
    band = await put_on(VirtualBand)
    band.refuses.add(CURRENT_TIME)
    async with driven(settings(adapter), context):
        await band.wait_subscribed()
        await context.wait_until(lambda: context.states)
        await band.beat(70)
        await context.wait_until(lambda: context.values("heart_rate"))
    (fault,) = context.of(Kind.FAULT)
    assert fault.detail["fault"] == "refused"
    assert fault.detail["characteristic"] == "2a2b"
    assert states(context) == ["online"]


async def test_a_fitness_machine_is_a_device_of_this_driver_too(adapter, put_on, context):
    band = await put_on(VirtualBand)
    async with driven(settings(adapter), context):
        await band.wait_subscribed(TREADMILL)
        await band.walk(3.6, 120)
        await context.wait_until(lambda: context.values("distance"))
    assert context.values("speed") == [1]
    assert context.values("distance") == [120]


# --- the link ------------------------------------------------------------------------------------


@pytest.fixture
async def link(adapter, put_on):
    """A link to a standard band; `link.band` is the band."""
    band = await put_on(VirtualBand)
    radio = Radio(f"sim:{adapter.path}")
    link = await radio.connect(ADDRESS, 5, lambda advert: None)
    link.band = band
    yield link
    await radio.close()


async def test_a_link_says_what_the_band_offers(link):
    assert link.name == "Hearth Band"
    assert {uuid_of(0x180D), uuid_of(HEART_RATE)} <= link.offers
    assert link.can_write(uuid_of(ALERT_LEVEL))
    assert not link.can_write(uuid_of(HEART_RATE))


async def test_a_link_waits_for_a_response_where_there_is_one(link, monkeypatch):
    asked = []
    write = link._client.write_gatt_char

    async def spy(characteristic, data, response):
        asked.append(response)
        await write(characteristic, data, response=response)

    monkeypatch.setattr(link._client, "write_gatt_char", spy)
    await link.write(uuid_of(ALERT_LEVEL), b"\x02")
    assert await link.band.wait_alert() == 2
    await link.write(uuid_of(CURRENT_TIME), bytes.fromhex("ea070b19122a07038002"))
    assert asked == [False, True]


async def test_a_link_subscribes_anew(link):
    told = []
    for times in (1, 2):
        await link.subscribe(uuid_of(HEART_RATE), told.append)
        await link.band.wait_subscribed(HEART_RATE, times)
    await link.band.beat(70)
    async with asyncio.timeout(5):
        while not told:
            await asyncio.sleep(0.001)
    assert told == [b"\x06\x46"]


@pytest.mark.parametrize("word", ["NotPermitted", "NotAuthorized", "NotSupported"])
def test_what_bluez_will_not_write_is_refused(word):
    error = translate(BleakDBusError(f"org.bluez.Error.{word}", ["no"]), ADDRESS, "hci0")
    assert isinstance(error, DeviceRefused)
    assert isinstance(
        translate(BleakDBusError("org.bluez.Error.Failed", ["no"]), "", ""), DeviceSilent
    )


# --- Colmi ---------------------------------------------------------------------------------------


async def test_colmi(adapter, put_on, context):
    band = await put_on(VirtualColmi)
    band.quarters = [(120, 90, 40), (30, 20, 10)]
    async with driven(settings(adapter), context):
        await context.wait_until(
            lambda: all(map(context.values, ("battery", "steps", "heart_rate")))
        )
        band.rate = 90
        await band.measured()
        await band.walked(2000, 1500)
        await band.set_battery(63)
        await context.wait_until(lambda: 63 in context.values("battery"))
    assert profile(context) == "colmi"
    assert band.clock == BCD
    assert context.values("battery") == [64, 63]
    assert context.values("steps") == [150, 2000]
    assert context.values("distance") == [110, 1500]
    assert context.values("energy") == [round(500 * 4.184)]
    assert context.values("heart_rate") == [72, 90]
    assert context.values("contact") == [True]


async def test_colmi_measures_in_turns(adapter, put_on, context):
    await put_on(VirtualColmi)
    async with driven(settings(adapter, poll=0.05), context):
        await context.wait_until(lambda: len(context.values("heart_rate")) >= 2)
    assert context.values("spo2")[0] == 97


async def test_colmi_off_the_finger(adapter, put_on, context):
    band = await put_on(VirtualColmi)
    band.take_off()
    async with driven(settings(adapter), context):
        await context.wait_until(lambda: context.values("contact") == [False])
        band.put_on()
        await band.measured()
        await context.wait_until(lambda: context.values("contact") == [False, True])
    assert context.values("heart_rate") == [72]


async def test_colmi_with_wrong_checksums_is_a_fault(adapter, put_on, context):
    band = await put_on(VirtualColmi)
    band.garbled = True
    async with driven(settings(adapter), context):
        await context.wait_until(lambda: context.of(Kind.FAULT))
        band.garbled = False
        await band.measured()
        await context.wait_until(lambda: context.values("heart_rate"))
    (fault,) = context.of(Kind.FAULT)
    assert fault.detail["fault"] == "malformed"
    assert "checksum" in fault.detail["what"]


async def test_colmi_that_refuses_says_what(adapter, put_on, context):
    band = await put_on(VirtualColmi)
    band.refused.add(colmi.START)
    async with driven(settings(adapter), context):
        await context.wait_until(lambda: context.of(Kind.FAULT))
    assert context.of(Kind.FAULT)[0].detail["what"] == "the band refused command 69, code ee"


# --- FFF0 ----------------------------------------------------------------------------------------


async def test_fff0(adapter, put_on, context):
    band = await put_on(VirtualFff0)
    band.steps, band.metres, band.spo2 = 1234, 950, 96
    async with driven(settings(adapter), context):
        await context.wait_until(lambda: context.values("battery"))
        assert band.live
        await band.measured()
        await context.wait_until(lambda: context.values("steps"))
    assert profile(context) == "fff0"
    assert band.clock == BCD
    assert context.values("battery") == [71]
    assert context.values("heart_rate") == [68]
    assert context.values("body_temperature") == [36.4]
    assert context.values("spo2") == [96]
    assert context.values("distance") == [950]


async def test_fff0_off_the_wrist_measures_no_heart(adapter, put_on, context):
    band = await put_on(VirtualFff0)
    band.take_off()
    async with driven(settings(adapter), context):
        await context.wait_until(lambda: context.values("battery"))
        await band.measured()
        await context.wait_until(lambda: context.values("steps"))
    assert context.values("heart_rate") == []


async def test_fff0_sos_is_one_call_and_is_answered(adapter, put_on, context):
    band = await put_on(VirtualFff0)
    async with driven(settings(adapter), context):
        await context.wait_until(lambda: context.values("battery"))
        before = len(context.observations)
        await band.press_sos(5)
        await band.measured()
        await context.wait_until(lambda: context.values("heart_rate"))
        async with asyncio.timeout(10):
            await band.wait_written(fff0.WRITE, bytes([fff0.VIBRATE]))
    (call,) = context.of(Kind.CALL)
    assert context.observations[before] is call
    assert call.detail == {"cause": "band"}
    assert band.vibrations == 3


async def test_fff0_sos_survives_a_journal_that_is_full_for_a_moment(adapter, put_on):
    band = await put_on(VirtualFff0)
    context = RefusingContext(JournalSaturated("full"), JournalSaturated("full"))
    async with driven(settings(adapter), context):
        await context.wait_until(lambda: context.values("battery"))
        await band.press_sos()
        await context.wait_until(lambda: context.of(Kind.CALL))
        await context.wait_until(lambda: states(context)[-1] == "online")
    assert states(context) == ["online", "offline", "offline", "online"]
    await context.close()


async def test_fff0_sos_in_the_same_breath_as_the_end_of_the_link(adapter, put_on):
    """The call goes on being offered while the band is away."""
    band = await put_on(VirtualFff0)
    context = RefusingContext(*(JournalSaturated("full") for _ in range(3)))
    async with driven(settings(adapter), context):
        await context.wait_until(lambda: context.values("battery"))
        await band.press_sos()
        await context.wait_until(lambda: len(context.refusals) < 3)
        band.walk_away()
        await context.wait_until(lambda: context.of(Kind.CALL))
    assert len(context.of(Kind.CALL)) == 1
    await context.close()


async def test_fff0_sos_outlives_the_radio(adapter, put_on, monkeypatch):
    """The driver gives up for want of a radio; not before the call is settled."""
    monkeypatch.setattr(band_driver, "RADIO_GRACE_S", 0.0)
    monkeypatch.setattr(band_call, "RETRY_FIRST_S", 0.5)
    monkeypatch.setattr(band_call, "RETRY_CAP_S", 0.5)
    band = await put_on(VirtualFff0)
    context = RefusingContext(JournalSaturated("full"))
    task = asyncio.create_task(WristbandDriver(settings(adapter), context).run())
    await context.wait_until(lambda: context.values("battery"))
    await band.press_sos()
    await context.wait_until(lambda: not context.refusals)
    await adapter.unplug()
    with pytest.raises(LinkLost):
        await task
    assert len(context.of(Kind.CALL)) == 1
    await context.close()


async def test_fff0_with_wrong_checksums_is_a_fault_and_its_sos_is_still_a_call(
    adapter, put_on, context
):
    band = await put_on(VirtualFff0)
    band.garbled = True
    async with driven(settings(adapter), context):
        await context.wait_until(lambda: context.of(Kind.FAULT))
        await band.send(fff0.NOTIFY, b"\xfe\x01\x02")
        await context.wait_until(lambda: context.of(Kind.CALL))
    assert context.values("battery") == []


# --- Moyoung -------------------------------------------------------------------------------------


async def test_moyoung(adapter, put_on, context):
    band = await put_on(VirtualMoyoung)
    async with driven(settings(adapter, poll=0.1), context):
        await band.wait_subscribed(moyoung.STEPS)
        await context.wait_until(
            lambda: all(map(context.values, ("battery", "heart_rate", "spo2")))
        )
        await band.walked(1234, 900, 42)
        await band.set_battery(54)
        await context.wait_until(lambda: 54 in context.values("battery"))
    assert profile(context) == "moyoung"
    assert context.values("battery") == [55, 54]
    assert set(context.values("heart_rate")) == {75}
    assert set(context.values("spo2")) == {96}
    assert context.values("steps") == [1234]
    assert context.values("energy") == [42 * 4184]
    shown = datetime.fromtimestamp(band.clock + 8 * 3600, UTC)
    assert shown.replace(tzinfo=None) == LOCAL.replace(tzinfo=None)


async def test_moyoung_by_fragments_in_the_second_version(adapter, put_on, context):
    band = await put_on(VirtualMoyoung)
    band.fragment, band.v2 = 4, True
    async with driven(settings(adapter, poll=0.05), context):
        await context.wait_until(lambda: context.values("heart_rate"))
        async with asyncio.timeout(10):
            await band.wait_written(moyoung.WRITE, b"\xfe\xea\x20")
    assert context.of(Kind.FAULT) == []


async def test_moyoung_off_the_wrist_and_with_broken_packets(adapter, put_on, context):
    band = await put_on(VirtualMoyoung)
    band.take_off()
    band.garbled = True
    async with driven(settings(adapter, poll=0.05), context):
        await context.wait_until(lambda: context.of(Kind.FAULT))
        band.garbled = False
        await band.walked(10, 8, 0)
        await context.wait_until(lambda: context.values("steps"))
    assert context.values("heart_rate") == context.values("spo2") == []


# --- profiles ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["colmi", "fff0"])
async def test_a_wrong_profile_is_offline_with_the_reason(adapter, put_on, context, name):
    await put_on(VirtualBand)
    async with driven(settings(adapter, profile=name), context):
        await context.wait_until(lambda: context.states)
    assert context.states[0][1] == f"it measures nothing that the profile {name} understands"


async def test_a_profile_can_be_forced(adapter, put_on, context):
    band = await put_on(VirtualMoyoung)
    async with driven(settings(adapter, profile="standard"), context):
        await context.wait_until(lambda: context.values("battery"))
    assert profile(context) == "standard"
    assert band.written == []


async def test_an_unknown_profile_does_not_run(adapter, put_on, context):
    await put_on(VirtualBand)
    with pytest.raises(SettingsError, match="no wristband profile 'colmy'"):
        async with driven(settings(adapter, profile="colmy"), context) as task:
            await task
