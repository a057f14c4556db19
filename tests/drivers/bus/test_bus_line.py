"""Meters with lines of their own on one bus. Real ptys keep the baud rate; RFC 2217 also parity."""

import asyncio
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_bus import CountingSlave, ask, line

from drivers.bus.bus import Bus
from drivers.bus.line import Line, parse_line
from drivers.sim.wires import VirtualBus
from gateway.errors import DecodeError, DeviceSilent, DriverError, LinkLost
from gateway.settings import BusSettings

LINES = st.builds(
    Line,
    st.sampled_from([300, 1200, 2400, 9600, 19_200, 115_200]),
    st.sampled_from("NEO"),
    st.sampled_from([1, 2]),
)


@given(LINES)
def test_a_line_is_read_as_it_is_written(it):
    assert parse_line(str(it)) == it


@pytest.mark.parametrize(
    "text", ["", "9600", "9600 7E1", "9600 8X1", "9600 8N3", " 9600 8N1", "9600 8N1\n", "100 8N1"]
)
def test_what_is_no_line(text):
    with pytest.raises(DecodeError, match="no line; write it like"):
        parse_line(text)


async def test_each_meter_is_asked_at_its_own_rate():
    async with line(baudrate=9600) as (virtual, bus):
        virtual.add(CountingSlave(1), "9600 8N1")
        virtual.add(CountingSlave(2), "2400 8E1")
        virtual.add(CountingSlave(3), "19200 8N1")
        own = {1: bus, 2: bus.at(parse_line("2400 8E1")), 3: bus.at(parse_line("19200 8N1"))}
        for address in range(4):
            for unit, seat in own.items():
                assert await ask(seat, unit, address) == 256 * unit + address
        with pytest.raises(DeviceSilent):
            await ask(bus, 2, 1, timeout_s=0.02)


async def test_meters_of_different_rates_do_not_get_into_each_others_way():
    async def poll(seat, unit):
        for address in range(10):
            assert await ask(seat, unit, address) == 256 * unit + address

    async with line(baudrate=9600) as (virtual, bus):
        virtual.add(CountingSlave(1), "9600 8N1")
        virtual.add(CountingSlave(2), "19200 8E1")
        await asyncio.gather(poll(bus, 1), poll(bus.at(parse_line("19200 8E1")), 2))


async def test_the_rate_is_set_again_on_a_port_that_came_back():
    async with line(baudrate=9600) as (virtual, bus):
        virtual.add(CountingSlave(1), "2400 8E1")
        seat = bus.at(parse_line("2400 8E1"))
        assert await ask(seat, 1, 1) == 256 + 1
        virtual.unplug()
        virtual.plug_in()
        with suppress(LinkLost):  # or the loop has seen the loss already
            await ask(seat, 1, 2, timeout_s=0.1)
        assert await ask(seat, 1, 3) == 256 + 3


@pytest.mark.parametrize("port", ["socket://127.0.0.1:1", "modbus-tcp://127.0.0.1:502"])
async def test_a_serial_server_that_cannot_be_told(port):
    bus = Bus(BusSettings("wires", port, 9600))
    assert bus.at(parse_line("9600 8N1")).line == bus.line
    with pytest.raises(DriverError, match="runs 9600 8N1 and cannot be told 2400 8E1") as caught:
        bus.at(parse_line("2400 8E1"))
    assert "rfc2217://" in caught.value.hint


async def test_a_slow_bus_takes_the_time_of_its_bytes():
    clock = asyncio.get_running_loop().time
    slow = Line(2400, "E", 1)
    with VirtualBus(pace=slow) as virtual:
        virtual.add(CountingSlave(1))
        bus = Bus(BusSettings("wires", virtual.port, 2400, "E"))
        await ask(bus, 1, 1)
        began = clock()
        assert await ask(bus, 1, 5, count=20) == 256 + 5
        took = clock() - began
        await bus.close()
    assert took >= (8 + 45) * slow.character_s + slow.gap_s
