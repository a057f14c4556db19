"""The CJ/T 188 driver, and meters of two protocols on one pair of wires."""

import asyncio
from datetime import datetime

import msgspec
import pytest
from line_faults import Faulty, mute, noise_before, one_bit_flipped, one_byte_at_a_time
from meter_bench import bench, values
from stub_context import StubContext

from drivers.bus.bus import shared_bus
from drivers.cjt188 import wire
from drivers.cjt188.driver import Cjt188Driver, Cjt188Settings
from drivers.modbus.driver import ModbusDriver
from drivers.sim.meter_cjt188 import Cjt188Script, VirtualCjt188Meter
from drivers.sim.meter_modbus import VirtualModbusMeter
from drivers.sim.water_flow import WaterFlow
from drivers.sim.wires import VirtualBus
from gateway.driver import load_driver
from gateway.errors import DeviceSilent, JournalWriteFailed
from gateway.model import Kind
from gateway.settings import BusSettings

FAST = {"poll": 0.03, "timeout": 0.5, "retries": 0}
PATIENT = FAST | {"timeout": 3.0}  # where all answer, and a busy machine must not make one silent
ADDRESS = "78330011223344"


def meter(litres=123_450.0):
    return VirtualCjt188Meter(ADDRESS, WaterFlow(total_litres=litres))


@pytest.mark.parametrize("order", ["low-first", "high-first"])
async def test_reads_a_meter(order):
    with VirtualBus() as line:
        line.add(meter())
        async with bench(line.port, baudrate=2400, parity="E") as b:
            context = b.start(Cjt188Driver, address=ADDRESS, di_order=order, **FAST)
            seen = await context.wait_for(2)
    told = values(seen[0])
    clock = datetime.fromisoformat(told.pop("clock"))
    assert abs((datetime.now() - clock).total_seconds()) < 60
    assert told == {
        "volume": 123.45,
        "volume_settled": 123.45,
        "valve": "open",
        "valve_fault": False,
        "battery_low": False,
    }
    assert {m.name: m.unit for m in seen[0].measurements if m.unit} == {
        "volume": "m3",
        "volume_settled": "m3",
    }
    assert context.states[0] == ("online", {"address": ADDRESS})


class Refusing:
    def hear(self, telegram):
        request = wire.decode_frame(telegram.lstrip(b"\xfe"))
        data = request.data[:3] + b"\x02"
        yield 0.0, wire.encode(wire.Frame(request.meter_type, request.address, 0xC1, data))


async def test_a_refusal_is_told_from_silence():
    with VirtualBus() as line:
        line.add(Refusing())
        async with bench(line.port) as b:
            context = b.start(Cjt188Driver, address=ADDRESS, **FAST)
            await context.wait_until(lambda: context.states)
    assert context.states[0] == ("offline", f"meter {ADDRESS}: refuses with status 1f 90 00 02")


async def test_silence_says_what_to_try():
    with VirtualBus() as line:
        async with bench(line.port) as b:
            context = b.start(Cjt188Driver, address=ADDRESS, **FAST)
            await context.wait_until(lambda: context.states)
    assert "some meters want the other di_order than low-first" in context.states[0][1]


# --- the order of the identifier -----------------------------------------------------------------


def orders_asked(heard):
    """The orders that requests for the reading came in."""
    data = [wire.decode_frame(telegram.lstrip(b"\xfe")).data for telegram in heard]
    return ["low-first" if it[:2] == b"\x1f\x90" else "high-first" for it in data]


class Listening(VirtualCjt188Meter):
    """Keeps every telegram."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.heard = []

    def hear(self, telegram):
        self.heard.append(telegram)
        return super().hear(telegram)


@pytest.mark.parametrize("configured", wire.DI_ORDERS)
async def test_the_order_a_meter_wants_is_probed_once_and_noted(configured):
    wanted = wire.other_order(configured)
    it = Listening(ADDRESS, script=Cjt188Script(orders=(wanted,)))
    with VirtualBus() as line:
        line.add(it)
        async with bench(line.port) as b:
            context = b.start(
                Cjt188Driver, address=ADDRESS, di_order=configured, **FAST | {"retries": 2}
            )
            await context.wait_for(3)
    assert orders_asked(it.heard[:2]) == [configured, wanted]
    readings = [t for t in it.heard[1:] if wire.decode_di(t[15:17], wanted) == wire.DI_READING]
    assert set(orders_asked(readings)) == {wanted}
    assert context.notes.values["di_order"] == wanted
    assert {state for state, _ in context.states} == {"online"}


async def test_the_noted_order_is_tried_first():
    it = Listening(ADDRESS, script=Cjt188Script(orders=("high-first",)))
    with VirtualBus() as line:
        line.add(it)
        context = StubContext("meter", BusSettings("wires", line.port))
        context.notes.values["di_order"] = "high-first"
        settings = msgspec.convert({"address": ADDRESS}, Cjt188Settings)
        await Cjt188Driver(settings, context).read(shared_bus(context))
        await context.close()
    assert orders_asked(it.heard) == ["high-first"]


async def test_an_order_that_is_known_is_not_doubted():
    """A meter that falls silent has not changed its mind."""
    it = Listening(ADDRESS)
    faulty = Faulty(it)
    with VirtualBus() as line:
        line.add(faulty)
        async with bench(line.port) as b:
            context = b.start(Cjt188Driver, address=ADDRESS, **FAST | {"timeout": 0.05})
            await context.wait_for(1)
            faulty.bend = mute
            await context.wait_until(lambda: len(context.states) >= 3)
            assert "di_order" not in context.states[-1][1]
    readings = [t for t in it.heard if t[15:17] in {b"\x1f\x90", b"\x90\x1f"}]
    assert set(orders_asked(readings)) == {"low-first"}
    assert "di_order" not in context.notes.values


@pytest.mark.parametrize("note", ["", "nonsense", 5])
async def test_a_note_that_is_no_order_is_none(note):
    it = Listening(ADDRESS)
    with VirtualBus() as line:
        line.add(it)
        context = StubContext("meter", BusSettings("wires", line.port))
        context.notes.values["di_order"] = note
        settings = msgspec.convert({"address": ADDRESS}, Cjt188Settings)
        await Cjt188Driver(settings, context).read(shared_bus(context))
        await context.close()
    assert orders_asked(it.heard) == ["low-first"]


async def test_a_note_that_cannot_be_written_does_not_stop_the_meter():
    with VirtualBus() as line:
        line.add(VirtualCjt188Meter(ADDRESS, script=Cjt188Script(orders=("high-first",))))
        context = StubContext("meter", BusSettings("wires", line.port))
        context.notes.refusal = JournalWriteFailed("read-only")
        driver = Cjt188Driver(msgspec.convert({"address": ADDRESS}, Cjt188Settings), context)
        with pytest.raises(DeviceSilent):
            await driver.read(shared_bus(context))
        assert (await driver.read(shared_bus(context))).measurements
        await context.close()


class Absurd(VirtualCjt188Meter):
    """Its total is FFFFFFFF, as meters have it that lost their memory."""

    def hear(self, telegram):
        for pause_s, data in super().hear(telegram):
            frame = wire.decode_frame(data.lstrip(b"\xfe"))
            lost = frame.data[:3] + b"\xff" * 4 + frame.data[7:]
            yield pause_s, wire.encode(msgspec.structs.replace(frame, data=lost))


async def test_an_absurd_total_is_withheld_and_a_fault_once():
    with VirtualBus() as line:
        line.add(Absurd(ADDRESS))
        async with bench(line.port) as b:
            context = b.start(Cjt188Driver, address=ADDRESS, **FAST)
            await context.wait_until(lambda: len(context.of(Kind.MEASUREMENT)) >= 3)
    (fault,) = context.of(Kind.FAULT)
    assert fault.detail == {"fault": "withheld", "active": True, "volume": "ffffffff in unit 0x2c"}
    assert all("volume" not in values(o) for o in context.observations)
    assert values(context.observations[0])["valve"] == "open"


@pytest.mark.parametrize("fault", [one_byte_at_a_time, noise_before(5)])
async def test_bad_wires(fault):
    with VirtualBus() as line:
        line.add(Faulty(meter(), fault))
        async with bench(line.port) as b:
            context = b.start(Cjt188Driver, address=ADDRESS, **FAST)
            await context.wait_until(lambda: len(context.of(Kind.MEASUREMENT)) >= 3)
    assert set(context.values("volume")) == {123.45}


@pytest.mark.parametrize("fault", [mute, one_bit_flipped(7)])
async def test_dead_and_back(fault):
    faulty = Faulty(meter(), fault)
    with VirtualBus() as line:
        line.add(faulty)
        async with bench(line.port) as b:
            context = b.start(Cjt188Driver, address=ADDRESS, **FAST | {"timeout": 0.05})
            await context.wait_until(lambda: len(context.states) >= 2)
            assert not context.observations
            faulty.bend = list
            await context.wait_for(2)
    assert [state for state, _ in context.states[:2]] == ["offline", "offline"]
    assert context.states[-1][0] == "online"


async def test_two_protocols_on_one_pair_of_wires():
    others = [f"0000000000{n:04d}" for n in (11, 12)]
    with VirtualBus() as line:
        line.add(VirtualModbusMeter(7, "xintai", WaterFlow(total_litres=7000)))
        line.add(VirtualModbusMeter(8, "bove", WaterFlow(total_litres=8000)))
        for n, address in enumerate(others):
            line.add(VirtualCjt188Meter(address, WaterFlow(total_litres=11_000 + 1000 * n)))
        async with bench(line.port) as b:
            contexts = {
                7.0: b.start(ModbusDriver, unit=7, profile="xintai", **PATIENT),
                8.0: b.start(ModbusDriver, unit=8, profile="bove", **PATIENT),
                11.0: b.start(Cjt188Driver, address=others[0], **PATIENT),
                12.0: b.start(Cjt188Driver, address=others[1], **PATIENT),
            }
            b.start(ModbusDriver, unit=99, profile="xintai", **FAST)  # one that is not there
            await asyncio.gather(*(context.wait_for(10) for context in contexts.values()))
    for volume, context in contexts.items():
        assert set(context.values("volume")) == {volume}
        assert [state for state, _ in context.states if state == "offline"] == []


@pytest.mark.parametrize(
    "address", ["", "1234", "783300112233445", "7833001122334g", "78AA0011223344", "A" * 14]
)
def test_addresses_that_are_none(address):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"address": address}, Cjt188Settings)


def test_addresses_that_hold_an_a():
    assert msgspec.convert({"address": "1AA20000000000"}, Cjt188Settings)


def test_it_is_found_by_its_name():
    assert load_driver("cjt188") is Cjt188Driver
