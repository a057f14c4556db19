"""The driver on a network: virtual devices behind TCP, and all that a network does to answers."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from line_faults import late, mute, one_byte_at_a_time
from meter_bench import bench, values
from stub_context import StubContext

from drivers.bus.bus import Bus
from drivers.modbus import wire
from drivers.modbus.driver import ModbusDriver, ModbusSettings
from drivers.modbus.unit import Unit
from drivers.sim.meter_modbus import ModbusScript, VirtualModbusMeter
from drivers.sim.modbus_tcp import VirtualModbusTcp
from drivers.sim.water_flow import WaterFlow
from gateway.errors import DecodeError, DeviceSilent, LinkLost
from gateway.model import Kind
from gateway.settings import BusSettings

FAST = {"poll": 0.03, "timeout": 0.5, "retries": 0}


@asynccontextmanager
async def served(*meters):
    async with VirtualModbusTcp() as server:
        for meter in meters:
            server.add(meter)
        yield server


@asynccontextmanager
async def driving(*meters, profile="sdm120", **options):
    async with served(*meters) as server:
        context = StubContext("meter", BusSettings("net", server.port))
        settings = {"unit": 1, "profile": profile, "timeout": 1.0, "retries": 0, **options}
        yield server, ModbusDriver(ModbusSettings(**settings), context)
        await context.close()


async def test_several_devices_behind_one_connection():
    meters = [VirtualModbusMeter(n, flow=WaterFlow(total_litres=1000.0 * n)) for n in (1, 2, 255)]
    async with served(*meters) as server, bench(server.port) as b:
        contexts = {n: b.start(ModbusDriver, unit=n, profile="xintai", **FAST) for n in (1, 2, 255)}
        for context in contexts.values():
            await context.wait_until(lambda it=context: len(it.of(Kind.MEASUREMENT)) >= 5)
    for unit, context in contexts.items():
        assert set(context.values("volume")) == {float(unit)}
        assert {state for state, _ in context.states} == {"online"}


@pytest.mark.parametrize("fault", [one_byte_at_a_time, late(0.05)])
async def test_what_a_network_does(fault):
    async with driving(VirtualModbusMeter(1, "sdm120")) as (server, driver):
        server.bend = fault
        for _ in range(3):
            assert values(await driver.read(driver.bus))["voltage"] == 230.0


async def test_a_late_answer_is_not_the_next_ones_and_nobody_waits_for_it():
    meter = VirtualModbusMeter(1, "xintai", flow=WaterFlow(total_litres=1000.0))
    clock = asyncio.get_running_loop().time
    async with driving(meter, profile="xintai", timeout=1.5) as (server, driver):
        server.bend = late(1.6)
        with pytest.raises(DeviceSilent):
            await driver.read(driver.bus)
        meter.flow = WaterFlow(total_litres=2000.0)
        server.bend = late(0.2)  # after that of the first request, which comes 0.1 s from now
        began = clock()
        assert values(await driver.read(driver.bus))["volume"] == 2.0
        assert clock() - began < 2.9  # on a serial line it would be left alone for 3 s


def wrong_transaction(pieces):
    return [(pause, bytes([data[0] ^ 0x40]) + data[1:]) for pause, data in pieces]


async def test_an_answer_to_a_question_that_was_not_asked():
    async with driving(VirtualModbusMeter(1, "sdm120")) as (server, driver):
        server.bend = wrong_transaction
        with pytest.raises(DecodeError, match="no answer among them"):
            await driver.read(driver.bus)
        server.bend = list
        assert values(await driver.read(driver.bus))["frequency"] == 50.0


def lying(change):
    return lambda pieces: [(pause, change(bytearray(data))) for pause, data in pieces]


def other_unit(data):
    data[6] = 9
    return bytes(data)


def other_protocol(data):
    data[3] = 1
    return bytes(data)


def short_length(data):
    data[5] = 4
    return bytes(data)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (other_unit, "unit 1: unit 9 answers where 1 was asked"),
        (other_protocol, "unit 1: protocol 1 is not Modbus"),
        (short_length, "unit 1: an answer of 3 bytes where"),
    ],
)
async def test_lies_have_names_and_pass(change, what):
    async with driving(VirtualModbusMeter(1, "sdm120")) as (server, driver):
        server.bend = lying(change)
        for _ in range(2):
            with pytest.raises(DecodeError, match=what):
                await driver.read(driver.bus)
        server.bend = list
        assert values(await driver.read(driver.bus))["frequency"] == 50.0


async def test_a_head_that_is_cut_off_is_made_up_for():
    async with driving(VirtualModbusMeter(1, "sdm120"), timeout=2.0) as (server, driver):
        # The first half comes in time to be thrown away, the second into the next answer.
        server.bend = lambda pieces: [
            part for _, data in pieces for part in ((0.0, data[:5]), (2.3, data[5:]))
        ]
        with pytest.raises(DecodeError, match="5 bytes came"):
            await driver.read(driver.bus)
        server.bend = late(0.6)
        assert values(await driver.read(driver.bus))["frequency"] == 50.0


async def test_a_connection_that_is_closed_is_made_again():
    async with driving(VirtualModbusMeter(1, "sdm120")) as (server, driver):
        server.bend = lambda pieces: [(0.0, b"")]
        for _ in range(2):
            with pytest.raises(LinkLost):
                await driver.read(driver.bus)
        server.bend = list
        assert values(await driver.read(driver.bus))["voltage"] == 230.0


async def test_a_server_that_is_gone_is_offline_and_goes_on_when_it_is_back():
    async with served(VirtualModbusMeter(1, "sdm120")) as server, bench(server.port) as b:
        context = b.start(ModbusDriver, unit=1, profile="sdm120", **FAST)
        await context.wait_for(2)
        for _ in range(2):
            await server.unplug()
            await context.wait_until(lambda: context.states[-1][0] == "offline")
            await server.plug_in()
            await context.wait_until(lambda: context.states[-1][0] == "online")
        await context.wait_for(len(context.observations) + 2)


async def test_refusals_and_silence():
    script = ModbusScript(refusals=[11])
    async with driving(VirtualModbusMeter(1, "sdm120", script=script)) as (server, driver):
        with pytest.raises(DeviceSilent, match="the gateway says: gateway target does not"):
            await driver.read(driver.bus)
        script.missing = {"energy_total"}
        reading = await driver.read(driver.bus)
        assert reading.withheld == {"energy_total": "refused: illegal data address"}
        server.bend = mute
        with pytest.raises(DeviceSilent, match="unit 1: no answer within") as caught:
            await driver.read(driver.bus)
        assert caught.value.hint == ""  # a factory baud rate is no matter here


async def test_writing():
    meter = VirtualModbusMeter(1, "waveshare-io8")
    may = {"profile": "waveshare-io8", "writable": ("output_3", "output_4")}
    async with driving(meter, **may) as (_, driver):
        await driver.write({"output_3": True, "output_4": True})
        reading = await driver.read(driver.bus)
    on = {name for name, value in values(reading).items() if value}
    assert on == {"output_3", "output_4"}


async def test_ids_are_not_given_twice_to_those_who_share_a_connection():
    bus = Bus(BusSettings("net", "modbus-tcp://127.0.0.1:1"))
    seen = []

    async def transact(request, answer, timeout_s):
        seen.append(request[:2])
        return wire.Values(b"\0\0")

    bus.transact = transact
    units = [Unit(1, 1.0), Unit(1, 1.0), Unit(2, 1.0)]
    for _ in range(5):
        for unit in units:
            await unit.ask(bus, wire.ReadRequest(unit.number, 3, 0, 1))
    assert len(set(seen)) == 15
    await bus.close()
