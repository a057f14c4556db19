"""Ports at the far end of a network: raw TCP, and RFC 2217 with pyserial's server as the peer."""

import asyncio
import socket
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from line_faults import Faulty, late, mute, one_byte_at_a_time
from test_bus import LONG_S, CountingSlave, ask

from drivers.bus import link as link_module
from drivers.bus.bus import Bus
from drivers.bus.line import parse_line
from drivers.bus.link import Link
from drivers.sim.wires import VirtualBus
from gateway.errors import DecodeError, DeviceSilent, LinkLost
from gateway.settings import BusSettings

sys.path.insert(0, str(Path(__file__).parents[2] / "rigs"))

from serial_server import SerialServer

SCHEMES = ["socket", "rfc2217"]


@asynccontextmanager
async def remote(scheme, *slaves, baudrate=115_200, parity="N"):
    server = SerialServer(scheme)
    with VirtualBus(server) as virtual:
        for slave in slaves:
            virtual.add(slave)
        bus = Bus(BusSettings("wires", server.path, baudrate, parity))
        try:
            yield virtual, server, bus
        finally:
            await bus.close()


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_asks_and_answers(scheme):
    async with remote(scheme, CountingSlave(1), CountingSlave(2)) as (_, server, bus):
        assert await ask(bus, 1, 5) == 256 + 5
        assert await ask(bus, 2, 0xFF, count=100) == 512 + 0xFF  # 0xFF is telnet's escape
        assert server.connections == 1


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("fault", [one_byte_at_a_time, late(0.05)])
async def test_what_a_network_does_to_frames(scheme, fault):
    async with remote(scheme, Faulty(CountingSlave(1), fault)) as (_, _, bus):
        for address in range(3):
            assert await ask(bus, 1, address) == 256 + address


async def test_rfc_2217_sets_rate_and_parity_of_each_meter():
    async with remote("rfc2217", baudrate=9600) as (virtual, _, bus):
        lines = {1: "9600 8N1", 2: "2400 8E1", 3: "2400 8N1", 4: "9600 8O2"}
        for unit, text in lines.items():
            virtual.add(CountingSlave(unit), text)
        for address in range(3):
            for unit, text in lines.items():
                assert await ask(bus.at(parse_line(text)), unit, address) == 256 * unit + address
        with pytest.raises(DeviceSilent):  # the right rate with the wrong parity
            await ask(bus.at(parse_line("2400 8N1")), 2, 1, timeout_s=0.05)


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_a_connection_that_broke_is_made_anew(scheme):
    async with remote(scheme, CountingSlave(1)) as (virtual, server, bus):
        assert await ask(bus, 1, 1) == 256 + 1
        virtual.unplug()
        with pytest.raises(LinkLost):
            await ask(bus, 1, 2, timeout_s=0.1)
        with pytest.raises(LinkLost, match="does not open") as caught:
            await ask(bus, 1, 2)
        assert "nothing listens" in caught.value.hint
        virtual.plug_in()
        assert await ask(bus, 1, 3) == 256 + 3
        assert server.connections == 2


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_a_server_that_fell_silent_is_connected_to_anew(scheme):
    async with remote(scheme, CountingSlave(1)) as (_, server, bus):
        assert await ask(bus, 1, 1) == 256 + 1
        server.freeze()
        for address in range(3):
            with pytest.raises(DeviceSilent):
                await ask(bus, 1, address, timeout_s=0.02)
        assert await ask(bus, 1, 9) == 256 + 9
        assert server.connections == 2


async def test_a_dead_meter_among_living_ones_costs_no_connection():
    dead = Faulty(CountingSlave(1), mute)
    async with remote("socket", dead, CountingSlave(2)) as (_, server, bus):
        for address in range(5):
            with pytest.raises(DeviceSilent):
                await ask(bus, 1, address, timeout_s=0.02)
            assert await ask(bus, 2, address) == 512 + address
        assert server.connections == 1


async def test_who_waits_learns_at_once_that_the_connection_is_gone():
    slave = Faulty(CountingSlave(1), mute)
    async with remote("socket", slave) as (virtual, _, bus):
        waiting = asyncio.create_task(ask(bus, 1, 1))
        while not slave.heard:
            await asyncio.sleep(0.001)
        virtual.unplug()
        async with asyncio.timeout(LONG_S / 3):
            with pytest.raises(LinkLost):
                await waiting


async def test_a_server_that_does_not_take_the_connection(monkeypatch):
    monkeypatch.setattr(link_module, "_CONNECT_S", 1.0)
    opened, really_open = [], Link.open

    async def counted(settings):
        opened.append(settings)
        return await really_open(settings)

    monkeypatch.setattr(Link, "open", counted)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for it in waiting:  # the kernel's queue is full, the next connection gets no answer
            it.setblocking(False)
            it.connect_ex(("127.0.0.1", port))
        bus = Bus(BusSettings("wires", f"socket://127.0.0.1:{port}"))
        with pytest.raises(LinkLost, match="does not open within"):
            await ask(bus, 1, 1)
        with pytest.raises(LinkLost, match="does not open within"):
            await ask(bus, 2, 1)
        assert len(opened) == 1  # who comes next does not wait as well
        for it in waiting:
            it.close()


async def test_something_that_is_no_rfc_2217_server(monkeypatch):
    monkeypatch.setattr(link_module, "_CONNECT_S", 0.3)

    async def deaf(reader, writer):
        await reader.read()
        writer.close()

    async with await asyncio.start_server(deaf, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        bus = Bus(BusSettings("wires", f"rfc2217://127.0.0.1:{port}"))
        with pytest.raises(LinkLost, match="does not open"):
            await ask(bus, 1, 1)


async def test_noise_from_the_network():
    async with remote("socket", Faulty(CountingSlave(1), lambda _: [(0.0, b"\xff" * 300)])) as it:
        _, _, bus = it
        with pytest.raises(DecodeError, match="300 bytes came"):
            await ask(bus, 1, 1, timeout_s=0.5)
