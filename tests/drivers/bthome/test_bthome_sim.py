"""The driver on the virtual radio, through bleak: presses, forgeries, strangers, a radio that goes."""

import asyncio
import gc
import tracemalloc

import pytest
from beacon_bench import (
    ADDRESS,
    KEY,
    RefusingContext,
    driven,
    faults,
    presses,
    settings,
    states,
)
from stub_context import StubContext

from drivers import fault
from drivers.bthome import driver as bthome_driver
from drivers.bthome import listener
from drivers.bthome.driver import BthomeDriver
from drivers.bthome.settings import BthomeSettings
from drivers.bthome.wire.frame import encode_plain
from drivers.call import SAME_CALL_S
from drivers.sim.band import VirtualBand
from drivers.sim.beacon import VirtualBeacon
from drivers.wristband.driver import WristbandDriver
from drivers.wristband.settings import WristbandSettings
from gateway.clock import uptime_now_ms
from gateway.errors import JournalSaturated, LinkLost
from gateway.model import Kind


@pytest.fixture
async def make(air):
    """Makes beacons that advertise for as long as the test runs."""
    made = []

    def make(address=ADDRESS, **options):
        beacon = VirtualBeacon(air, address, **options)
        made.append(beacon)
        beacon.power_on()
        return beacon

    yield make
    for beacon in made:
        await beacon.power_off()


async def online(context):
    await context.wait_until(lambda: "online" in states(context))


async def said(context, beacon, celsius=21.5, patience_s=10.0):
    """Until something that the beacon says now was told: everything before it was, too."""
    beacon.measure((0x02, celsius))
    await context.wait_until(lambda: celsius in context.values("temperature"), patience_s)


# --- presses -------------------------------------------------------------------------------------


async def test_a_press_is_one_call_though_repeated(adapter, make, context):
    beacon = make()
    async with driven(settings(adapter), context):
        await online(context)
        before_ms = uptime_now_ms()
        heard = len(context.observations)
        beacon.battery = 55
        beacon.press()
        await context.wait_until(lambda: 55 in context.values("battery"))
        for _ in range(50):
            beacon.send(beacon.said[-1])
        await said(context, beacon)
    (call,) = context.of(Kind.CALL)
    assert call.detail == {"cause": "beacon", "press": "press"}
    assert before_ms <= call.uptime_ms <= uptime_now_ms()
    assert context.observations[heard] is call  # before the battery of the same message
    assert context.values("battery") == [100, 55]
    assert context.states[0] == ("online", {"rssi": -60})
    assert states(context) == ["online"]
    assert faults(context) == []


@pytest.mark.parametrize("counts_packets", [True, False])
@pytest.mark.parametrize("counts_repetitions", [True, False])
async def test_an_encrypted_press_is_one_call_though_repeated(
    adapter, make, context, key_file, counts_packets, counts_repetitions
):
    beacon = make(key=KEY, counts_packets=counts_packets, counts_repetitions=counts_repetitions)
    async with driven(settings(adapter, key_file=str(key_file)), context):
        await online(context)
        beacon.press("long")
        await context.wait_until(lambda: presses(context))
        for _ in range(50):
            beacon.send(beacon.said[-1])
        await said(context, beacon)
    assert presses(context) == ["long"]


async def test_presses_in_fear_are_one_call_and_the_next_is_another(
    adapter, make, context, monkeypatch
):
    beacon = make()
    shift_s = 0.0
    loop = asyncio.get_running_loop()
    time = loop.time
    monkeypatch.setattr(loop, "time", lambda: time() + shift_s)
    async with driven(settings(adapter), context):
        await online(context)
        for kind in ("press", "double", "hold", "press"):
            beacon.press(kind)
        await said(context, beacon)
        assert presses(context) == ["press"]
        shift_s += SAME_CALL_S
        beacon.press("triple")
        await context.wait_until(lambda: len(presses(context)) == 2)
    assert presses(context) == ["press", "triple"]


async def test_the_button_that_was_pressed_is_named(adapter, make, context):
    beacon = make()
    async with driven(settings(adapter), context):
        await online(context)
        beacon.press("double", button=3, of=4)
        await context.wait_until(lambda: presses(context))
    assert context.of(Kind.CALL)[0].detail == {"cause": "beacon", "press": "double", "button": 3}


async def test_only_some_presses_call(adapter, make, context):
    beacon = make()
    async with driven(settings(adapter, call_on=("hold", "long")), context):
        await online(context)
        beacon.press("press")
        beacon.press("double", button=2, of=2)
        beacon.press("hold")
        await context.wait_until(lambda: presses(context))
        await said(context, beacon)
    assert presses(context) == ["hold"]
    assert context.values("button") == ["press"]
    assert context.values("button_2") == ["double"]


async def test_a_call_survives_a_journal_that_is_full_for_a_moment(adapter, make):
    beacon = make()
    context = RefusingContext(Kind.CALL, JournalSaturated("full"), JournalSaturated("full"))
    async with driven(settings(adapter), context):
        await online(context)
        beacon.press()
        await context.wait_until(lambda: presses(context))
        await context.wait_until(lambda: states(context)[-1] == "online")
    assert states(context) == ["online", "offline", "online"]
    assert context.states[1] == ("offline", "call not stored: full")
    await context.close()


async def test_a_journal_that_takes_no_readings_still_gets_the_call(adapter, make):
    beacon = make()
    context = RefusingContext(Kind.MEASUREMENT, *(JournalSaturated("full") for _ in range(9)))
    beacon.press()
    with pytest.raises(JournalSaturated):
        await BthomeDriver(settings(adapter), context).run()
    assert presses(context) == ["press"]
    await context.close()


# --- measurements --------------------------------------------------------------------------------


async def test_values_are_told_when_they_change(adapter, make, context):
    beacon = make()
    async with driven(settings(adapter), context):
        await online(context)
        for celsius, window in ((21.5, 0), (21.5, 0), (21.5, 1), (21.6, 1)):
            beacon.measure((0x02, celsius), (0x03, 40.25), (0x2D, window))
        await context.wait_until(lambda: 21.6 in context.values("temperature"))
    assert context.values("temperature") == [21.5, 21.6]
    assert context.values("window") == [False, True]
    assert context.values("humidity") == [40.25]


async def test_a_dimmer_is_told_at_every_turn(adapter, make, context):
    beacon = make()
    async with driven(settings(adapter), context):
        await online(context)
        for _ in range(2):
            beacon.measure((0x3C, 0x0302))  # to the right, 3 steps
        await context.wait_until(lambda: len(context.values("dimmer")) == 2)
        await said(context, beacon)
    assert context.values("dimmer") == [3, 3]


# --- forgeries -----------------------------------------------------------------------------------


async def test_a_replay_is_refused_and_told_once(adapter, make, context, key_file, monkeypatch):
    monkeypatch.setattr(fault, "QUIET_S", 0.0)
    beacon = make(key=KEY)
    beacon.counter = 70_000
    beacon.press()
    recorded = len(beacon.said) - 1
    async with driven(settings(adapter, key_file=str(key_file)), context):
        await online(context)
        await said(context, beacon, 20.0)
        calls = len(presses(context))
        for _ in range(5):
            beacon.replay(recorded)
        await said(context, beacon, 20.5)
        await context.wait_until(lambda: faults(context, active=False))
    assert len(presses(context)) == calls
    told, over = context.of(Kind.FAULT)
    assert told.detail["fault"] == over.detail["fault"] == "replay"
    assert "counter 70001 was passed" in told.detail["what"]
    assert over.detail["count"] >= 5


async def test_plaintext_is_refused_once_there_is_a_key(adapter, make, context, key_file):
    beacon = make(key=KEY)
    async with driven(settings(adapter, key_file=str(key_file)), context):
        await online(context)
        for _ in range(5):
            beacon.forge()
        await said(context, beacon)
    assert presses(context) == []
    assert faults(context) == ["plaintext"]


async def test_a_wrong_key_is_told_and_the_device_is_not_there(adapter, make, context, key_file):
    beacon = make(key=bytes(16))
    async with driven(settings(adapter, key_file=str(key_file)), context):
        beacon.press()
        await context.wait_until(lambda: faults(context))
    assert faults(context) == ["key"]
    assert context.states == []
    assert not any(KEY.hex() in str(f.detail) for f in context.of(Kind.FAULT))


async def test_an_encrypted_device_without_a_key_is_told(adapter, make, context):
    make(key=KEY)
    async with driven(settings(adapter), context):
        await context.wait_until(lambda: faults(context))
    assert faults(context) == ["encrypted"]


async def test_a_new_battery_starts_the_counter_anew(adapter, make, context, key_file):
    beacon = make(key=KEY)
    beacon.counter = 70_000
    async with driven(settings(adapter, key_file=str(key_file)), context):
        await online(context)
        await said(context, beacon)
        beacon.restart()
        beacon.press()
        await context.wait_until(lambda: presses(context))
    assert faults(context) == []


async def test_nonsense_is_a_fault_and_never_a_reading(adapter, make, context):
    beacon = make()
    async with driven(settings(adapter), context):
        await online(context)
        for data in (b"", b"\x00", b"\x20\x3a\x01", encode_plain(b"\x02\xca")):
            beacon.send(data)
        beacon.send(encode_plain(b"\x70\x3a\x01"))
        await said(context, beacon)
    assert faults(context) == ["malformed", "unknown_object"]
    assert presses(context) == []


# --- the radio -----------------------------------------------------------------------------------


async def test_the_adapter_goes_and_comes_back(adapter, make, context):
    beacon = make()
    async with driven(settings(adapter), context):
        await online(context)
        for round_ in range(2):
            await adapter.unplug()
            await context.wait_until(lambda: states(context)[-1] == "offline")
            await adapter.plug()
            await context.wait_until(lambda n=round_: states(context).count("online") >= n + 2)
        assert context.states[1] == ("offline", "the virtual adapter is gone")
        beacon.press()
        await context.wait_until(lambda: presses(context))
    assert presses(context) == ["press"]


async def test_a_button_that_is_silent_is_there_again_with_the_radio(adapter, make, context):
    beacon = make()
    async with driven(settings(adapter), context):
        await online(context)
        await beacon.power_off()
        await adapter.unplug()
        await context.wait_until(lambda: states(context)[-1] == "offline")
        await adapter.plug()
        await context.wait_until(lambda: states(context)[-1] == "online")


async def test_the_adapter_stays_away(adapter, make, context, monkeypatch):
    monkeypatch.setattr(bthome_driver, "RADIO_GRACE_S", 0.3)
    make()
    task = asyncio.create_task(BthomeDriver(settings(adapter), context).run())
    await online(context)
    await adapter.unplug()
    with pytest.raises(LinkLost):
        await task


async def test_no_adapter_from_the_start_has_a_hint(tmp_path, context):
    missing = BthomeSettings(ADDRESS, adapter=f"sim:{tmp_path}/none.sock")
    with pytest.raises(LinkLost) as lost:
        await BthomeDriver(missing, context).run()
    assert "virtual radio" in lost.value.hint


async def test_silence_is_offline_where_it_is_not_normal(adapter, make, context):
    beacon = make()
    async with driven(settings(adapter, silence=0.3), context):
        await online(context)
        await beacon.power_off()
        await context.wait_until(lambda: states(context)[-1] == "offline")
        assert context.states[-1] == ("offline", "not heard for 0.3 s")
        beacon.power_on()
        await context.wait_until(lambda: states(context)[-1] == "online")


async def test_a_recording_does_not_keep_a_device_alive(adapter, make, context, key_file):
    beacon = make(key=KEY, counts_repetitions=False)
    options = {"silence": 0.3, "key_file": str(key_file)}
    async with driven(settings(adapter, **options), context):
        await online(context)  # and goes on saying the same
        await context.wait_until(lambda: states(context)[-1] == "offline")
        beacon.press()
        await context.wait_until(lambda: presses(context))
    # Before it was heard at all it may have been offline, if the machine was busy for so long.
    assert states(context)[-3:] == ["online", "offline", "online"]


async def test_beside_a_band_on_the_same_adapter(adapter, air, make, context):
    beacon = make()
    other = StubContext("band-1")
    other.shared_objects = context.shared_objects
    band_address = "C0:FF:EE:00:00:01"
    worn = WristbandSettings(band_address, adapter=f"sim:{adapter.path}", connect_timeout=5.0)
    task = asyncio.create_task(WristbandDriver(worn, other).run())
    async with driven(settings(adapter), context):
        await online(context)
        band = VirtualBand(air, band_address)
        await band.power_on()
        await band.wait_subscribed()
        beacon.press()
        await context.wait_until(lambda: presses(context))
        await band.drop()  # it is looked for while the beacon is listened to
        await band.wait_subscribed(times=2)
        await band.beat(70)
        await other.wait_until(lambda: other.values("heart_rate"))
        beacon.measure((0x02, 19.5))
        await context.wait_until(lambda: context.values("temperature"))
    await band.beat(71)  # the band stays when nobody listens any more
    await other.wait_until(lambda: 71 in other.values("heart_rate"))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_two_drivers_listen_to_their_own(adapter, make, context):
    first, second = make(), make("C0:FF:EE:00:00:03")
    other = StubContext("button-2")
    other.shared_objects = context.shared_objects
    async with (
        driven(settings(adapter), context),
        driven(settings(adapter, second.address), other),
    ):
        await online(context)
        await online(other)
        first.press("double")
        second.press("triple")
        await context.wait_until(lambda: presses(context))
        await other.wait_until(lambda: presses(other))
    assert (presses(context), presses(other)) == (["double"], ["triple"])


# --- strangers -----------------------------------------------------------------------------------


async def test_strangers_cost_nothing_and_say_nothing(adapter, make, context):
    beacon = make()
    async with driven(settings(adapter), context):
        await online(context)
        beacon.strangers(1000)
        await said(context, beacon, 20.0)
        await beacon.power_off()
        kept = [_of("drivers/ble"), _of("drivers/bthome")]
        tracemalloc.start()
        try:
            beacon.strangers(100)
            await said(context, beacon, 20.5)
            before = _bytes(kept)
            beacon.strangers(500)
            await said(context, beacon, 21.0, patience_s=60.0)  # tracemalloc makes it slow
            grown = _bytes(kept) - before
        finally:
            tracemalloc.stop()
    assert grown < 4096  # a stranger that is remembered takes 100 bytes at least
    assert presses(context) == faults(context) == []
    assert set(context.values("temperature")) == {20.0, 20.5, 21.0}
    assert len(context.observations) == 4  # those, and the battery


def _of(folder):
    return tracemalloc.Filter(True, f"*/{folder}/*")


def _bytes(filters):
    gc.collect()
    snapshot = tracemalloc.take_snapshot().filter_traces(filters)
    return sum(trace.size for trace in snapshot.traces)


async def test_an_error_in_the_listener_ends_the_driver(adapter, make, context, monkeypatch):
    def fail(_data):
        raise RuntimeError("a mistake")

    monkeypatch.setattr(listener, "decode_frame", fail)
    make()
    with pytest.raises(RuntimeError, match="a mistake"):
        await BthomeDriver(settings(adapter), context).run()
