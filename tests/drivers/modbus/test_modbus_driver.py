"""The Modbus driver: against pymodbus as an independent slave, and against our virtual meters."""

from contextlib import asynccontextmanager

import pytest
from line_faults import Faulty, cut_short, mute, noise_before, one_byte_at_a_time
from meter_bench import bench, values
from pty_bridge import PtyBridge
from pymodbus.client.mixin import ModbusClientMixin
from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusSerialServer
from pymodbus.simulator import DataType, SimData, SimDevice
from stub_context import StubContext

from drivers.modbus.driver import ModbusDriver, ModbusSettings
from drivers.sim.meter_modbus import VirtualModbusMeter
from drivers.sim.water_flow import WaterFlow
from drivers.sim.wires import VirtualBus
from gateway.driver import load_driver
from gateway.errors import DriverError, SettingsError
from gateway.model import Kind

FAST = {"poll": 0.03, "timeout": 0.5, "retries": 0}


def float_words(value):
    """A float32 as Xintai lays it out, in pymodbus's own words."""
    words = ModbusClientMixin.convert_to_registers(value, ModbusClientMixin.DATATYPE.FLOAT32)
    return [int.from_bytes(w.to_bytes(2, "big"), "little") for w in reversed(words)]


def xintai_registers():
    words = [0] * 40
    words[1:3] = float_words(123.456)
    words[3:5] = float_words(0.25)
    words[5:7] = float_words(0.36)
    words[7] = 0xAA
    words[0x1A:0x1C] = float_words(3.61)
    words[0x1C] = 0b0110  # closed, abnormal
    return words


@asynccontextmanager
async def pymodbus_slave(words, unit=7, address=0, action=None, trace=None):
    device = SimDevice(
        id=unit,
        simdata=[SimData(address=address, values=words, datatype=DataType.REGISTERS)],
        action=action,
    )
    with PtyBridge() as bridge:
        server = ModbusSerialServer(
            device, port=bridge.paths[0], baudrate=115_200, trace_packet=trace
        )
        await server.serve_forever(background=True)
        try:
            yield bridge.paths[1]
        finally:
            await server.shutdown()


async def test_reads_an_independent_slave():
    async with pymodbus_slave(xintai_registers()) as port, bench(port, baudrate=115_200) as b:
        context = b.start(ModbusDriver, unit=7, profile="xintai", **FAST)
        seen = await context.wait_for(3)
    assert all(o.kind is Kind.MEASUREMENT for o in seen)
    assert values(seen[0]) == {
        "volume": 123.456,
        "volume_reverse": 0.25,
        "flow": pytest.approx(0.0001),
        "pipe": "full",
        "battery": 3.61,
        "valve": "closed",
        "valve_fault": True,
        "battery_low": False,
    }
    assert {m.name: m.unit for m in seen[0].measurements if m.unit} == {
        "volume": "m3",
        "volume_reverse": "m3",
        "flow": "m3/s",
        "battery": "V",
    }
    assert context.states[0] == ("online", {"unit": 7, "profile": "xintai"})


async def test_a_refusal_is_told_from_silence():
    def trace(sending, data):  # pymodbus would refuse for units it does not have
        return b"" if sending and data[0] == 8 else data

    async with (
        pymodbus_slave([0] * 10, address=500, trace=trace) as port,
        bench(port, baudrate=115_200) as b,
    ):
        refused = b.start(ModbusDriver, unit=7, profile="xintai", **FAST)
        silent = b.start(ModbusDriver, unit=8, profile="xintai", **FAST)
        await refused.wait_until(lambda: refused.states)
        await silent.wait_until(lambda: silent.states)
    assert refused.states[0] == (
        "offline",
        "unit 7: refuses registers 1+28: illegal data address; is the profile that of this meter?",
    )
    state, reason = silent.states[0]
    assert state == "offline"
    assert reason.startswith("unit 8: no answer within 0.5 s")
    assert "leaves the factory with 9600 8N1, this bus runs 115200 8N1" in reason


async def test_a_slave_that_is_busy_is_asked_again():
    refusals = [ExcCodes.DEVICE_BUSY, ExcCodes.DEVICE_BUSY]

    async def action(*_):
        return refusals.pop() if refusals else None

    options = FAST | {"retries": 2}
    async with (
        pymodbus_slave(xintai_registers(), action=action) as port,
        bench(port, baudrate=115_200) as b,
    ):
        context = b.start(ModbusDriver, unit=7, profile="xintai", **options)
        await context.wait_for(1)
    assert not refusals
    assert [state for state, _ in context.states] == ["online"]


async def test_a_garbled_answer_is_asked_for_again():
    damage = [True, True]

    def trace(sending, data):
        if sending and damage and damage.pop():
            return data[:-1] + bytes([data[-1] ^ 0xFF])
        return data

    options = FAST | {"retries": 2}
    async with (
        pymodbus_slave(xintai_registers(), trace=trace) as port,
        bench(port, baudrate=115_200) as b,
    ):
        context = b.start(ModbusDriver, unit=7, profile="xintai", **options)
        (seen, *_) = await context.wait_for(1)
    assert not damage
    assert values(seen)["volume"] == 123.456


@pytest.mark.parametrize("profile", ["xintai", "bove"])
async def test_reads_the_virtual_meter_of_each_profile(profile):
    now = 0.0
    flow = WaterFlow(litres_per_hour=360.0, total_litres=1000.0, clock=lambda: now)
    meter = VirtualModbusMeter(3, profile, flow, {"serial": 12345678})
    with VirtualBus() as line:
        line.add(meter)
        async with bench(line.port) as b:
            context = b.start(ModbusDriver, unit=3, profile=profile, **FAST)
            first = (await context.wait_for(1))[0]
            now = 3600.0
            flow.litres_per_hour = 0.0
            before = len(context.observations)
            later = (await context.wait_for(before + 2))[-1]
    assert values(first)["volume"] == pytest.approx(1.0)
    assert values(first)["flow"] == pytest.approx(0.0001)
    assert values(later)["volume"] == pytest.approx(1.36)
    assert values(later)["flow"] == 0
    assert not context.of(Kind.FAULT)
    if profile == "bove":
        assert values(first)["serial"] == "12345678"
        assert values(first)["temperature"] == 18.5


async def test_a_meter_that_dies_is_reported_and_asked_until_it_is_back():
    meter = Faulty(VirtualModbusMeter(1))
    options = FAST | {"timeout": 0.03, "retries": 2}
    with VirtualBus() as line:
        line.add(meter)
        async with bench(line.port) as b:
            context = b.start(ModbusDriver, unit=1, profile="xintai", **options)
            await context.wait_for(1)
            meter.bend = mute
            meter.heard.clear()
            await context.wait_until(lambda: context.states[-1][0] == "offline")
            assert len(meter.heard) == 3  # the request and its two retries
            await context.wait_until(lambda: len(offlines(context)) >= 3)
            assert len(meter.heard) == 5  # known to be dead: one try each
            meter.bend = list
            await context.wait_until(lambda: context.states[-1][0] == "online")
            emitted = len(context.observations)
            await context.wait_for(emitted + 2)


def offlines(context):
    return [reason for state, reason in context.states if state == "offline"]


async def test_absurd_values_are_a_fault_once_and_cleared_once():
    meter = VirtualModbusMeter(1, values={"battery": 100.0})
    with VirtualBus() as line:
        line.add(meter)
        async with bench(line.port) as b:
            context = b.start(ModbusDriver, unit=1, profile="xintai", **FAST)
            await context.wait_until(lambda: len(context.of(Kind.MEASUREMENT)) >= 3)
            assert len(context.of(Kind.FAULT)) == 1
            meter.values |= {"battery": 99.0, "pipe": "gone"}
            await context.wait_until(lambda: len(context.of(Kind.FAULT)) == 2)
            meter.values |= {"battery": 3.6, "pipe": "full"}
            await context.wait_until(lambda: len(context.of(Kind.FAULT)) == 3)
            emitted = len(context.observations)
            seen = await context.wait_for(emitted + 2)
    assert [f.detail for f in context.of(Kind.FAULT)] == [
        {"fault": "withheld", "active": True, "battery": "100 V is not within 0 and 24"},
        {
            "fault": "withheld",
            "active": True,
            "battery": "99 V is not within 0 and 24",
            "pipe": "0x0000 is no state the map knows",
        },
        {"fault": "withheld", "active": False},
    ]
    assert "battery" not in values(seen[0])
    assert values(seen[0])["pipe"] == "full"
    assert values(seen[-1])["battery"] == 3.6


@pytest.mark.parametrize("fault", [one_byte_at_a_time, noise_before(3)])
async def test_bad_wires(fault):
    with VirtualBus() as line:
        line.add(Faulty(VirtualModbusMeter(1, flow=WaterFlow(total_litres=777.0)), fault))
        async with bench(line.port) as b:
            context = b.start(ModbusDriver, unit=1, profile="xintai", **FAST)
            await context.wait_until(lambda: len(context.of(Kind.MEASUREMENT)) >= 3)
    assert set(context.values("volume")) == {0.777}


async def test_answers_cut_short_are_offline_and_no_values():
    with VirtualBus() as line:
        line.add(Faulty(VirtualModbusMeter(1), cut_short))
        async with bench(line.port) as b:
            context = b.start(ModbusDriver, unit=1, profile="xintai", **FAST)
            await context.wait_until(lambda: len(context.states) >= 2)
    assert {state for state, _ in context.states} == {"offline"}
    assert "58 bytes came and no answer among them" in context.states[0][1]
    assert not context.observations


async def test_a_pulled_adapter_is_offline_and_goes_on_when_it_is_back():
    with VirtualBus() as line:
        line.add(VirtualModbusMeter(1))
        async with bench(line.port) as b:
            context = b.start(ModbusDriver, unit=1, profile="xintai", **FAST)
            await context.wait_for(1)
            line.unplug()
            await context.wait_until(lambda: any("not open" in it for it in offlines(context)))
            line.plug_in()
            await context.wait_until(lambda: context.states[-1][0] == "online")
            await context.wait_for(len(context.observations) + 2)


async def test_a_dead_meter_does_not_starve_its_neighbours():
    with VirtualBus() as line:
        for unit in (1, 2):
            line.add(VirtualModbusMeter(unit))
        async with bench(line.port) as b:
            options = FAST | {"timeout": 0.4, "retries": 3}
            dead = b.start(ModbusDriver, unit=9, profile="xintai", **options)
            live = [b.start(ModbusDriver, unit=u, profile="xintai", **FAST) for u in (1, 2)]
            await dead.wait_until(lambda: dead.states)
            # Four tries of 0.4 s, with 0.8 s for late answers between. If the neighbours had to wait
            # for those too, they would have had four or five turns; they have room for sixty.
            assert min(len(context.observations) for context in live) >= 9
    assert dead.states[0][0] == "offline"


async def test_without_a_bus():
    with pytest.raises(DriverError, match="names no bus"):
        await ModbusDriver(ModbusSettings(1, "xintai"), StubContext()).run()


def test_an_unknown_profile_is_refused_before_it_runs():
    with pytest.raises(SettingsError, match="nonesuch"):
        ModbusDriver(ModbusSettings(1, "nonesuch"), StubContext())


def test_it_is_found_by_its_name():
    assert load_driver("modbus") is ModbusDriver
