"""The M-Bus driver on a line: primary addresses, the FCB, several telegrams, bad wires."""

import asyncio
from datetime import datetime

import msgspec
import pytest
from line_faults import Echoing, Faulty, cut_short, late, mute, noise_before, one_byte_at_a_time
from mbus_faults import faults
from meter_bench import bench, values
from stub_context import StubContext

from drivers.bus.bus import shared_bus
from drivers.cjt188.driver import Cjt188Driver
from drivers.mbus import wire
from drivers.mbus.driver import MbusDriver, MbusSettings
from drivers.modbus.driver import ModbusDriver
from drivers.sim.meter_cjt188 import VirtualCjt188Meter
from drivers.sim.meter_mbus import MbusScript, VirtualMbusMeter, reverse_volume, volume
from drivers.sim.meter_modbus import VirtualModbusMeter
from drivers.sim.water_flow import WaterFlow
from drivers.sim.wires import VirtualBus
from gateway.driver import load_driver
from gateway.errors import DecodeError, DeviceRefused, DeviceSilent, SettingsError
from gateway.model import Kind
from gateway.settings import BusSettings

FAST = {"poll": 0.03, "timeout": 0.5, "retries": 0}
PATIENT = FAST | {"timeout": 3.0}  # where all answer, and a busy machine must not make one silent
METER = "12345678.KAM.01.07"
TEMPERATURE = bytes.fromhex("025ad700")  # 21.5 Cel


def meter(litres=123_456.0, address=5, text=METER, **script):
    return VirtualMbusMeter(text, address, WaterFlow(total_litres=litres), MbusScript(**script))


async def polled(speaker, n=3, **options):
    """The context of a driver that read this n times."""
    with VirtualBus() as line:
        line.add(speaker)
        async with bench(line.port, baudrate=2400, parity="E") as b:
            context = b.start(MbusDriver, **{"address": 5, **FAST, **options})
            await context.wait_until(lambda: len(context.of(Kind.MEASUREMENT)) >= n)
    return context


async def refused(speaker, **options):
    """Why a driver that reads this is offline."""
    with VirtualBus() as line:
        line.add(speaker)
        async with bench(line.port) as b:
            context = b.start(MbusDriver, **{"address": 5, **FAST, **options})
            await context.wait_until(lambda: context.states)
    assert context.observations == []
    ((state, reason),) = context.states[:1]
    assert state == "offline"
    return reason


def in_turn(*bends):
    """A bend for each answer, and none after the last."""
    waiting = list(bends)

    def bend(pieces):
        return waiting.pop(0)(pieces) if waiting else pieces

    return bend


class alone:
    """A driver without a schedule, for readings one by one."""

    def __init__(self, *speakers, **options):
        self.speakers, self.options = speakers, {"address": 5, "timeout": 0.5, **options}

    async def __aenter__(self):
        self.line = VirtualBus().__enter__()
        for speaker in self.speakers:
            self.line.add(speaker)
        self.context = StubContext("meter", BusSettings("wires", self.line.port))
        self.driver = MbusDriver(msgspec.convert(self.options, MbusSettings), self.context)
        return self

    async def __aexit__(self, *error):
        await self.context.close()
        self.line.__exit__(*error)

    async def read(self):
        reading = await self.driver.read(shared_bus(self.context))
        return {it.name: it.value for it in reading.measurements}


async def test_reads_a_meter():
    context = await polled(meter())
    seen = context.of(Kind.MEASUREMENT)[0]
    told = values(seen)
    clock = datetime.fromisoformat(told.pop("clock"))
    assert abs((datetime.now() - clock).total_seconds()) < 120
    assert told == {"volume": 123.456, "flow": 0.0, "battery_low": False, "status": 0}
    assert {it.name: it.unit for it in seen.measurements if it.unit} == {
        "volume": "m3",
        "flow": "m3/s",
    }
    assert context.states[0] == ("online", {"address": 5, "meter": METER})
    assert context.notes.values["meter"] == METER
    assert faults(context) == []


async def test_water_that_runs():
    it = meter()
    it.flow.litres_per_hour = 360.0
    context = await polled(it)
    assert values(context.of(Kind.MEASUREMENT)[0])["flow"] == 0.0001  # 360 L/h


async def test_a_meter_of_one_telegram_is_told_to_begin_once():
    it = Faulty(meter())
    await polled(it, n=5)
    begun = [heard for heard in it.heard if heard == wire.encode(wire.begin(5))]
    assert len(begun) == 1
    asked = it.meter.primary.heard
    assert asked == [bool(index % 2 == 0) for index in range(len(asked))]


async def test_a_garbled_answer_is_asked_for_with_the_same_fcb():
    """The meter says the same again: its access number has not moved."""
    it = Faulty(meter())
    async with alone(it) as one:
        await one.read()
        it.bend = in_turn(cut_short, list)
        assert (await one.read())["volume"] == 123.456
    assert it.meter.primary.heard == [True, False, False]


async def test_after_silence_no_old_telegram_is_taken_for_a_new_one():
    """The answer was lost on the wire. With the same FCB the meter would tell it again, now."""
    it = Faulty(meter(litres=1000))
    async with alone(it, timeout=0.05) as one:
        assert (await one.read())["volume"] == 1.0
        it.bend = mute
        with pytest.raises(DeviceSilent):
            await one.read()
        it.bend = list
        it.meter.flow = WaterFlow(total_litres=2000)
        assert (await one.read())["volume"] == 2.0
    assert it.meter.primary.heard == [True, False, True]


async def test_several_telegrams_are_one_reading():
    further = [[reverse_volume(250)], [TEMPERATURE, volume(90_000, storage=1)]]
    it = meter(further=further)
    context = await polled(it)
    for seen in context.of(Kind.MEASUREMENT):
        told = values(seen)
        del told["clock"]
        assert told == {
            "volume": 123.456,
            "flow": 0.0,
            "volume_reverse": 0.25,
            "temperature": 21.5,
            "volume_s1": 90.0,
            "battery_low": False,
            "status": 0,
        }
    assert it.primary.heard[:6] == [True, False, True] * 2


async def test_no_more_telegrams_than_are_permitted():
    it = meter(further=[[reverse_volume(250)], [TEMPERATURE]])
    context = await polled(it, max_telegrams=2)
    told = values(context.of(Kind.MEASUREMENT)[1])
    assert "temperature" not in told
    assert told["volume_reverse"] == 0.25


async def test_a_meter_without_fcb_is_not_asked_for_ever():
    script = {"knows_fcb": False, "records": [volume(7000)], "further": [[TEMPERATURE]]}
    context = await polled(meter(**script))
    assert set(context.values("volume")) == {7.0}


async def test_records_that_are_spoilt_are_withheld_alone():
    spoilt = bytes.fromhex("0c13 0a000000 4c13 ffffffff")
    context = await polled(meter(records=[spoilt, TEMPERATURE]))
    assert context.values("volume") == []
    assert set(context.values("temperature")) == {21.5}
    (fault,) = faults(context)
    assert fault == {
        "fault": "withheld",
        "active": True,
        "volume": "0000000a is no BCD",
        "volume_s1": "0fffffff is no BCD",
    }


@pytest.mark.parametrize("fault", [one_byte_at_a_time, noise_before(5), noise_before(6)])
async def test_bad_wires(fault):
    context = await polled(Faulty(meter(), fault))
    assert set(context.values("volume")) == {123.456}
    assert {state for state, _ in context.states} == {"online"}


async def test_an_adapter_that_hears_itself():
    assert set((await polled(Echoing(meter()))).values("volume")) == {123.456}


@pytest.mark.parametrize("fault", [mute, cut_short])
async def test_dead_and_back(fault):
    faulty = Faulty(meter(), fault)
    with VirtualBus() as line:
        line.add(faulty)
        async with bench(line.port) as b:
            context = b.start(MbusDriver, address=5, **FAST | {"timeout": 0.05})
            await context.wait_until(lambda: len(context.states) >= 2)
            assert not context.observations
            faulty.bend = list
            await context.wait_for(2)
    assert [state for state, _ in context.states[:2]] == ["offline", "offline"]
    assert context.states[-1][0] == "online"


async def test_a_late_answer_is_no_ones():
    """Both are asked in turn; what comes late of one is never told as the other's."""
    slow = Faulty(meter(99_000.0, address=6, text="87654321.ELS.0A.16"), late(0.6))
    with VirtualBus() as line:
        line.add(slow)
        line.add(Faulty(meter(11_000.0), late(0.1)))
        async with bench(line.port) as b:
            context = b.start(MbusDriver, address=5, **PATIENT)
            other = b.start(MbusDriver, address=6, **FAST)
            await context.wait_until(lambda: len(context.values("volume")) >= 5)
    assert set(context.values("volume")) == {11.0}
    assert set(other.values("volume")) <= {99.0}
    assert {state for state, _ in context.states} == {"online"}


class AtAnotherAddress:
    """A meter that hears address 5 and answers from its own."""

    def __init__(self, it):
        self.it = it

    def hear(self, telegram):
        frame = wire.decode_frame(telegram)
        return self.it.hear(wire.encode(msgspec.structs.replace(frame, address=self.it.address)))


async def test_an_answer_from_another_address_is_refused():
    reason = await refused(AtAnotherAddress(meter(address=9)))
    assert reason.startswith(f"meter at address 5: meter {METER} at address 9 answers instead")


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ({"signature": 0x0510}, "meter at address 5: the data is encrypted or signed (0510)"),
        ({"refusal": 8}, "meter at address 5: it answers: it is too busy to be read"),
        ({"acknowledges": False}, "meter at address 5: no answer within 0.5 s"),
        ({"records": [b"\x0d\x13"]}, "meter at address 5: the data ends before the length"),
    ],
)
async def test_why_a_meter_is_not_read(script, reason):
    assert (await refused(meter(**script))).startswith(reason)


async def test_nobody_there():
    with VirtualBus() as line:
        async with bench(line.port) as b:
            context = b.start(MbusDriver, address=5, **FAST | {"timeout": 0.05})
            await context.wait_until(lambda: len(context.states) >= 2)
    assert {state for state, _ in context.states} == {"offline"}


async def test_two_meters_of_one_address():
    """The second answers where the first has more to tell."""

    class Mixed:
        def __init__(self):
            self.first = meter(further=[[TEMPERATURE]])
            self.second = meter(text="87654321.ELS.0A.16")

        def hear(self, telegram):
            asked = wire.decode_frame(telegram)
            more = asked.control == wire.REQ_UD2  # FCB not set: the second telegram
            return (self.second if more else self.first).hear(telegram)

    reason = await refused(Mixed())
    assert reason == "meter at address 5: two meters have this address"


async def test_three_protocols_on_one_pair_of_wires():
    with VirtualBus() as line:
        line.add(VirtualModbusMeter(7, "xintai", WaterFlow(total_litres=7000)))
        line.add(VirtualCjt188Meter("78330011223344", WaterFlow(total_litres=8000)))
        line.add(meter(9000.0))
        line.add(meter(10_000.0, address=6, text="87654321.ELS.0A.16"))
        async with bench(line.port) as b:
            contexts = {
                7.0: b.start(ModbusDriver, unit=7, profile="xintai", **PATIENT),
                8.0: b.start(Cjt188Driver, address="78330011223344", **PATIENT),
                9.0: b.start(MbusDriver, address=5, **PATIENT),
                10.0: b.start(MbusDriver, secondary="87654321", **PATIENT),
            }
            await asyncio.gather(*(context.wait_for(10) for context in contexts.values()))
    for told, context in contexts.items():
        assert set(context.values("volume")) == {told}
        assert [state for state, _ in context.states if state == "offline"] == []


# --- settings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"address": 251},
        {"address": -1},
        {"secondary": "1234"},
        {"secondary": "1234567F"},
        {"secondary": "12345678.KAM.FF.07"},
        {"secondary": METER, "max_telegrams": 0},
    ],
)
def test_settings_that_are_wrong(options):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(options, MbusSettings)


@pytest.mark.parametrize("options", [{}, {"address": 0, "secondary": METER}])
def test_one_way_to_reach_a_meter(options):
    with pytest.raises(SettingsError, match="either address"):
        MbusDriver.check(msgspec.convert(options, MbusSettings))


@pytest.mark.parametrize(
    "options",
    [{"address": 0}, {"address": 250}, {"secondary": "12345678"}, {"secondary": METER}],
)
def test_settings_that_are_right(options):
    MbusDriver.check(msgspec.convert(options, MbusSettings))


def test_it_is_found_by_its_name():
    assert load_driver("mbus") is MbusDriver


async def test_a_reading_that_was_broken_off_is_begun_again():
    it = Faulty(meter(further=[[TEMPERATURE]]))
    async with alone(it) as one:
        await one.read()
        it.bend = in_turn(list, mute)
        reading = asyncio.create_task(one.read())
        with pytest.raises((DeviceSilent, DecodeError, DeviceRefused)):
            await reading
        told = await one.read()
    assert (told["volume"], told["temperature"]) == (123.456, 21.5)
