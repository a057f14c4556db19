"""The bus: turns, gaps, time-outs, late answers, lost ports. Real ptys, real serialx."""

import asyncio
import os
import random
from contextlib import asynccontextmanager, suppress

import pytest
from line_faults import (
    Echoing,
    Faulty,
    cut_short,
    late,
    mute,
    noise_before,
    one_bit_flipped,
    one_byte_at_a_time,
)

from drivers.bus import wires as wires_module
from drivers.bus.bus import Bus
from drivers.bus.line import Line
from drivers.modbus import wire
from drivers.modbus.wire import ReadRequest, rtu
from drivers.sim.wires import VirtualBus
from gateway.errors import DecodeError, DeviceSilent, LinkLost
from gateway.settings import BusSettings

LONG_S = 30.0  # a time-out that must not be waited for; longer than the whole test may take


def encode_answer(request, data):
    return rtu.frame(request.unit, wire.encode_answer(request, data))


class CountingSlave:
    """Register a of unit u holds 256 u + a: every answer tells what it answers."""

    def __init__(self, unit):
        self.unit = unit

    def hear(self, telegram):
        request = rtu.decode(telegram)
        if request.unit == self.unit:
            words = range(request.address, request.address + request.count)
            data = b"".join((256 * self.unit + a).to_bytes(2, "big") for a in words)
            yield 0.0, encode_answer(request, data)


@asynccontextmanager
async def line(*slaves, baudrate=115_200):
    with VirtualBus() as virtual:
        for slave in slaves:
            virtual.add(slave)
        bus = Bus(BusSettings("wires", virtual.port, baudrate))
        try:
            yield virtual, bus
        finally:
            await bus.close()


async def ask(bus, unit, address, timeout_s=LONG_S, count=1):
    request = ReadRequest(unit, 3, address, count)
    answer = await bus.transact(rtu.encode(request), rtu.Answer(request), timeout_s)
    assert isinstance(answer, wire.Values)
    assert len(answer.data) == 2 * count
    return int.from_bytes(answer.data[:2], "big")


async def test_asks_and_answers():
    async with line(CountingSlave(1), CountingSlave(2)) as (_, bus):
        assert await ask(bus, 1, 5) == 256 + 5
        assert await ask(bus, 2, 9, count=100) == 512 + 9


@pytest.mark.parametrize(
    ("baudrate", "parity", "stopbits", "gap_s"),
    [
        (2400, "E", 1, 3.5 * 11 / 2400),
        (9600, "N", 1, 3.5 * 10 / 9600),
        (9600, "N", 2, 3.5 * 11 / 9600),
        (19_200, "N", 1, 3.5 * 10 / 19_200),
        (38_400, "N", 1, 0.00175),
        (115_200, "E", 2, 0.00175),
    ],
)
def test_gap(baudrate, parity, stopbits, gap_s):
    assert Line(baudrate, parity, stopbits).gap_s == pytest.approx(gap_s)


async def test_the_line_is_silent_before_every_request():
    clock = asyncio.get_running_loop().time
    heard = []

    class Slave(CountingSlave):
        def hear(self, telegram):
            heard.append(clock())
            return super().hear(telegram)

    async with line(Slave(1), baudrate=600) as (_, bus):
        answered = []
        for _ in range(3):
            await ask(bus, 1, 1)
            answered.append(clock())
        gap_s = bus.line.gap_s
        assert all(h - a >= gap_s for a, h in zip(answered, heard[1:], strict=False))


@pytest.mark.parametrize(
    "fault", [one_byte_at_a_time, noise_before(1), noise_before(2), late(0.05)]
)
async def test_what_a_bus_lives_with(fault):
    async with line(Faulty(CountingSlave(1), fault)) as (_, bus):
        for address in range(5):
            assert await ask(bus, 1, address) == 256 + address


async def test_an_adapter_that_hears_itself():
    async with line(Echoing(CountingSlave(1))) as (_, bus):
        for address in (0, 1, 0x0200, 0x0301):
            assert await ask(bus, 1, address) == 256 + address


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (mute, DeviceSilent),
        (cut_short, DecodeError),
        *((one_bit_flipped(seed), DecodeError) for seed in range(4)),
    ],
)
async def test_faults_have_names_and_pass(fault, error):
    slave = Faulty(CountingSlave(1), fault)
    async with line(slave) as (_, bus):
        with pytest.raises(error):
            await ask(bus, 1, 5, timeout_s=0.05)
        slave.bend = list
        assert await ask(bus, 1, 6) == 256 + 6


async def test_an_answer_of_another_unit_is_no_answer():
    class Impostor(CountingSlave):
        def hear(self, telegram):
            request = rtu.decode(telegram)
            other = ReadRequest(9, 3, request.address, request.count)
            yield 0.0, encode_answer(other, b"\0\1" * request.count)

    async with line(Impostor(1)) as (_, bus):
        with pytest.raises(DecodeError, match="7 bytes came and no answer among them: 09 03 02"):
            await ask(bus, 1, 5, timeout_s=0.05)


async def test_a_late_answer_is_not_the_next_ones():
    slave = Faulty(CountingSlave(1), late(0.25))
    async with line(slave) as (_, bus):
        with pytest.raises(DeviceSilent):
            await ask(bus, 1, 10, timeout_s=0.2)
        slave.bend = late(0.1)
        assert await ask(bus, 1, 20) == 256 + 20
        assert await ask(bus, 1, 30) == 256 + 30


@pytest.mark.parametrize("seed", range(3))
async def test_no_value_is_ever_taken_for_anothers(seed):
    rng = random.Random(seed)
    timeout_s = 0.03

    def sometimes_late(pieces):
        return [(rng.choice([0, 0, 0.5, 1.1, 1.5, 2.5]) * timeout_s, data) for _, data in pieces]

    outcomes = {"right": 0, "error": 0}

    async def poll(bus, unit):
        for address in range(15):
            try:
                assert await ask(bus, unit, address, timeout_s) == 256 * unit + address
                outcomes["right"] += 1
            except (DeviceSilent, DecodeError):
                outcomes["error"] += 1

    slaves = [Faulty(CountingSlave(unit), sometimes_late) for unit in (1, 2, 3)]
    async with line(*slaves) as (_, bus):
        await asyncio.gather(*(poll(bus, unit) for unit in (1, 2, 3)))
    assert outcomes["right"] >= 10
    assert outcomes["error"] >= 5


async def test_the_answer_to_a_cancelled_request_is_not_the_next_ones():
    slave = Faulty(CountingSlave(1), late(0.1))
    async with line(slave) as (_, bus):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await ask(bus, 1, 10, timeout_s=0.1)
        assert await ask(bus, 1, 20) == 256 + 20


async def test_a_dead_device_costs_the_others_its_timeout_and_no_more():
    order = []

    async def poll(name, unit, timeout_s):
        try:
            await ask(bus, unit, 1, timeout_s)
        except DeviceSilent:
            name = f"{name} gives up"
        order.append(name)

    dead, live = Faulty(CountingSlave(1), mute), CountingSlave(2)
    async with line(dead, live) as (_, bus):
        await ask(bus, 2, 0)

        async def dead_twice():
            await poll("dead", 1, 0.2)
            await poll("dead again", 1, 0.2)

        tasks = [asyncio.create_task(dead_twice())]
        tasks += [asyncio.create_task(poll(f"live {n}", 2, LONG_S)) for n in range(4)]
        await asyncio.gather(*tasks)
    lives = [f"live {n}" for n in range(4)]
    assert order == ["dead gives up", *lives, "dead again gives up"]
    assert len(dead.heard) == 2


async def test_devices_take_turns():
    heard = []

    class Slave(CountingSlave):
        def hear(self, telegram):
            answer = list(super().hear(telegram))
            heard.extend(self.unit for _ in answer)
            return answer

    async def poll(bus, unit):
        for address in range(5):
            await ask(bus, unit, address)

    async with line(Slave(1), Slave(2), Slave(3)) as (_, bus):
        await asyncio.gather(*(poll(bus, unit) for unit in (1, 2, 3)))
    assert heard == [1, 2, 3] * 5


async def test_a_pulled_adapter_fails_who_waits_at_once_and_comes_back():
    slave = Faulty(CountingSlave(1), mute)
    async with line(slave) as (virtual, bus):
        waiting = [asyncio.create_task(ask(bus, 1, n)) for n in range(3)]
        while not slave.heard:
            await asyncio.sleep(0.001)
        virtual.unplug()
        async with asyncio.timeout(LONG_S / 3):
            for task in waiting:
                with pytest.raises(LinkLost):
                    await task
        with pytest.raises(LinkLost, match="does not open") as caught:
            await ask(bus, 2, 1)
        assert "plugged in" in caught.value.hint
        virtual.add(CountingSlave(2))
        virtual.plug_in()
        assert await ask(bus, 2, 1) == 512 + 1


async def test_a_pulled_adapter_fails_who_waits_for_a_late_answer():
    slave = Faulty(CountingSlave(1), mute)
    async with line(slave) as (virtual, bus):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await ask(bus, 1, 10, LONG_S)
        resting = asyncio.create_task(ask(bus, 1, 20))
        await asyncio.sleep(0.05)
        virtual.unplug()
        async with asyncio.timeout(LONG_S / 3):
            with pytest.raises(LinkLost):
                await resting
    assert len(slave.heard) == 1


async def test_an_adapter_pulled_between_two_requests():
    async with line(CountingSlave(1), CountingSlave(2)) as (virtual, bus):
        for address in range(3):
            assert await ask(bus, 1, address) == 256 + address
            virtual.unplug()
            virtual.plug_in()
            with suppress(LinkLost):  # or the loop has seen the loss already: then it is mended
                assert await ask(bus, 2, address) == 512 + address


async def test_a_port_somebody_else_has():
    async with line(CountingSlave(1)) as (_, bus):
        await ask(bus, 1, 1)
        second = Bus(bus.settings)
        with pytest.raises(LinkLost, match="does not open") as caught:
            await ask(second, 1, 1)
        assert "another process has the port" in caught.value.hint
        assert bus.settings.port in str(caught.value)
        assert await ask(bus, 1, 2) == 256 + 2
        await bus.close()
        assert await ask(second, 1, 3) == 256 + 3
        await second.close()


@pytest.mark.parametrize("kind", ["missing", "file", "null"])
async def test_what_is_no_port(tmp_path, kind):
    paths = {"missing": tmp_path / "no", "file": tmp_path / "file", "null": os.devnull}
    (tmp_path / "file").touch()
    bus = Bus(BusSettings("wires", str(paths[kind])))
    with pytest.raises(LinkLost, match="does not open") as caught:
        await ask(bus, 1, 1)
    assert caught.value.hint


async def test_closing_fails_who_waits_and_who_comes_later():
    slave = Faulty(CountingSlave(1), mute)
    async with line(slave) as (_, bus):
        waiting = asyncio.create_task(ask(bus, 1, 1))
        while not slave.heard:
            await asyncio.sleep(0.001)
        await bus.close()
        with pytest.raises(LinkLost):
            await waiting
        with pytest.raises(LinkLost, match="bus is closed"):
            await ask(bus, 1, 1)


async def jabber(virtual):
    while True:
        virtual._port.write(os.urandom(50))
        await asyncio.sleep(0.0005)


async def test_a_line_that_is_never_silent(monkeypatch):
    monkeypatch.setattr(wires_module, "NEVER_SILENT_S", 1.0)
    # At 50 baud a gap is 0.7 s: a busy machine that keeps the jabberer quiet for a while makes none.
    async with line(CountingSlave(1), baudrate=50) as (virtual, bus):
        await ask(bus, 1, 1)
        jabberer = asyncio.create_task(jabber(virtual))
        with pytest.raises(DeviceSilent, match="never silent"):
            await ask(bus, 1, 2)
        jabberer.cancel()
        assert await ask(bus, 1, 3) == 256 + 3


async def test_an_answer_that_never_ends():
    flood = Faulty(CountingSlave(1), lambda pieces: [(0.0, b"\x55" * 200)] * 8)
    async with line(flood) as (_, bus):
        with pytest.raises(DecodeError, match="bytes came and no answer"):
            await ask(bus, 1, 1, timeout_s=LONG_S)
