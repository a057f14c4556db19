"""Slaves that are not ours: pymodbus and libmodbus, serial and TCP, every function we speak."""

from contextlib import asynccontextmanager

import libmodbus_slave
import modbus_slaves
import pytest
from modbus_bench import HEAD, use_profile, values
from modbus_slaves import UNIT
from stub_context import StubContext

from drivers.bus.bus import Bus
from drivers.modbus import wire
from drivers.modbus.driver import ModbusDriver, ModbusSettings
from drivers.modbus.unit import Unit
from gateway.errors import DeviceRefused
from gateway.settings import BusSettings

needs_libmodbus = pytest.mark.skipif(
    libmodbus_slave.library() is None, reason="libmodbus is not installed (libmodbus5)"
)
SLAVES = [
    pytest.param(modbus_slaves.pymodbus_rtu, id="pymodbus-rtu"),
    pytest.param(modbus_slaves.pymodbus_tcp, id="pymodbus-tcp"),
    pytest.param(modbus_slaves.libmodbus_rtu, id="libmodbus-rtu", marks=needs_libmodbus),
    pytest.param(modbus_slaves.libmodbus_tcp, id="libmodbus-tcp", marks=needs_libmodbus),
]


@pytest.fixture(params=SLAVES)
async def port(request):
    async with request.param() as port:
        yield port


@asynccontextmanager
async def bus_at(port):
    bus = Bus(BusSettings("wires", port, 115_200))
    try:
        yield bus
    finally:
        await bus.close()


async def read(bus, function, address, count):
    answer = await Unit(UNIT, 5.0).ask(bus, wire.ReadRequest(UNIT, function, address, count))
    if isinstance(answer, wire.Refusal):
        return str(answer)
    if function in wire.BIT_FUNCTIONS:
        return wire.unpack_bits(answer.data, count)
    return [int.from_bytes(answer.data[i : i + 2], "big") for i in range(0, 2 * count, 2)]


async def tell(bus, function, address, count, data):
    request = wire.WriteRequest(UNIT, function, address, count, data)
    return await Unit(UNIT, 5.0).ask(bus, request)


async def test_every_function(port):
    async with bus_at(port) as bus:
        assert await read(bus, 1, 3, 10) == [(3 + n) % 3 == 0 for n in range(10)]
        assert await read(bus, 2, 3, 10) == [(3 + n) % 2 == 0 for n in range(10)]
        assert await read(bus, 3, 5, 4) == [105, 106, 107, 108]
        assert await read(bus, 4, 5, 4) == [205, 206, 207, 208]
        assert await tell(bus, 5, 4, 1, b"\1") == wire.Written()
        assert await tell(bus, 15, 5, 10, wire.pack_bits([True, False] * 5)) == wire.Written()
        assert await read(bus, 1, 3, 12) == [True, True, *[True, False] * 5]
        assert await tell(bus, 6, 7, 1, b"\x12\x34") == wire.Written()
        assert await tell(bus, 16, 8, 2, b"\0\1\0\2") == wire.Written()
        assert await read(bus, 3, 6, 5) == [106, 0x1234, 1, 2, 110]


async def test_what_is_not_there(port):
    async with bus_at(port) as bus:
        for function in (1, 2, 3, 4):
            assert await read(bus, function, 60, 10) == "illegal data address"
        assert await tell(bus, 6, 900, 1, b"\0\0") == wire.Refusal(2)
        assert await read(bus, 3, 60, 4) == [160, 161, 162, 163]


MAP = (
    HEAD
    + """
[[register]]
name = "relay"
address = 4
function = 1
type = "bit"
writable = true
[[register]]
name = "contact"
address = 4
function = 2
type = "bit"
[[register]]
name = "word"
address = 5
type = "u16"
writable = true
[[register]]
name = "long"
address = 6
type = "u32"
writable = true
[[register]]
name = "beyond"
address = 100
type = "u16"
[[register]]
name = "sensor"
address = 9
function = 4
type = "u16"
scale = "0.1"
"""
)


async def test_the_driver_reads_and_writes(port, monkeypatch):
    use_profile(monkeypatch, MAP.replace("[profile]\n", "[profile]\njoin = 100\n"))
    context = StubContext("device", BusSettings("wires", port, 115_200))
    may = ("relay", "word", "long")
    driver = ModbusDriver(ModbusSettings(UNIT, "test", writable=may, timeout=5.0), context)
    before = await driver.read(driver.bus)
    await driver.write({"relay": True, "word": 4711, "long": 70_000})
    after = await driver.read(driver.bus)
    await context.close()
    words = {"word": 105, "long": (106 << 16) + 107}
    assert values(before) == {"relay": False, "contact": True, **words, "sensor": 20.9}
    told = {"relay": True, "word": 4711, "long": 70_000}
    assert values(after) == {"contact": True, **told, "sensor": 20.9}
    assert before.withheld == after.withheld == {"beyond": "refused: illegal data address"}


async def test_a_refused_write_is_an_error(port, monkeypatch):
    text = MAP.replace("address = 5\n", "address = 500\n")
    use_profile(monkeypatch, text)
    context = StubContext("device", BusSettings("wires", port, 115_200))
    settings = ModbusSettings(UNIT, "test", writable=("word",), timeout=5.0, retries=0)
    driver = ModbusDriver(settings, context)
    with pytest.raises(DeviceRefused, match=r"to write registers 500\+1: illegal data address"):
        await driver.write({"word": 1})
    await context.close()
