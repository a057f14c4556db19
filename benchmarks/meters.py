"""Meters: what a reading costs, how much of the wire is used, a dead meter, a replugged adapter.

    python -m benchmarks.meters [--seconds N]

The wires are virtual and as slow as 9600 baud; the drivers are those that ship.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from pathlib import Path
from unittest.mock import patch

from benchmarks.report import Figure, show
from drivers.bus.line import Line
from drivers.modbus import driver as modbus_driver
from drivers.modbus import wire
from drivers.modbus.driver import ModbusDriver
from drivers.modbus.profile import Profile, parse_profile
from drivers.sim import meter_modbus
from drivers.sim.meter_modbus import VirtualModbusMeter
from drivers.sim.wires import VirtualBus
from gateway.cli.main import SWITCH_INTERVAL_S
from gateway.model import Kind

sys.path[:0] = [str(Path(__file__).parents[1] / "tests" / "drivers")]

from meter_bench import bench  # noqa: E402

LINE = Line(9600, "N", 1)
METERS = 32
REGISTERS = 10
# Replies and requests of a meter with ten registers, and the silence before each of them: what the
# wire itself allows (Modbus over serial line V1.02, 2.5.1.1).
REQUEST_BYTES, ANSWER_BYTES = 8, 5 + 2 * REGISTERS
POLL_ON_WIRE_S = (REQUEST_BYTES + ANSWER_BYTES) * LINE.character_s + 2 * LINE.gap_s


def ten_registers() -> Profile:
    """A register map of five float32, all in one request."""
    text = '[profile]\ntitle = "ten registers"\n' + "".join(
        f'[[register]]\nname = "value_{n}"\naddress = {2 * n}\ntype = "f32"\nunit = "m3"\n'
        for n in range(REGISTERS // 2)
    )
    return parse_profile(text, "ten", "ten.toml")


def decode_cost(rounds: int = 20_000) -> list[Figure]:
    """CPU from the end of the wire to values; beside it pymodbus's own codec."""
    profile = ten_registers()
    (block,) = profile.blocks()
    meter = VirtualModbusMeter.__new__(VirtualModbusMeter)
    with patch.object(meter_modbus, "load_profile", lambda _: profile):
        meter.__init__(1, "ten", values={f"value_{n}": 12.345 * n for n in range(5)})
    request = block.request(1)
    ((_, answer),) = meter.hear(wire.rtu.encode(request))

    def ours() -> None:
        found = wire.rtu.Answer(request).feed(answer)
        assert isinstance(found, wire.Values)
        block.read(found.data)

    return [
        Figure(
            f"CPU of {REGISTERS} registers, bytes to values",
            _cpu_us(ours, rounds), "us", 80,
            note=f"pymodbus's framer and converter, values unchecked: {_pymodbus(answer):.0f} us",
        )
    ]  # fmt: skip


def _pymodbus(answer: bytes, rounds: int = 20_000) -> float:
    from pymodbus.client import AsyncModbusSerialClient
    from pymodbus.framer import FramerRTU
    from pymodbus.pdu import DecodePDU

    framer = FramerRTU(DecodePDU(is_server=False))
    kind = AsyncModbusSerialClient.DATATYPE.FLOAT32
    convert = AsyncModbusSerialClient.convert_from_registers

    def theirs() -> None:
        _, pdu = framer.handleFrame(answer, 1, 0)
        for n in range(0, REGISTERS, 2):
            convert(pdu.registers[n : n + 2], kind)

    return _cpu_us(theirs, rounds)


def _cpu_us(work, rounds: int) -> float:
    costs = []
    for _ in range(5):
        began = time.process_time()
        for _ in range(rounds // 5):
            work()
        costs.append((time.process_time() - began) / (rounds // 5))
    return statistics.median(costs) * 1e6


async def polled(seconds: float, *, dead: bool = False) -> float:
    """Readings in a second from METERS living meters that are asked without a pause."""
    profile = ten_registers()
    with (
        patch.object(modbus_driver, "load_profile", lambda _: profile),
        patch.object(meter_modbus, "load_profile", lambda _: profile),
        VirtualBus(pace=LINE) as wires,
    ):
        for unit in range(1, METERS + 1):
            wires.add(VirtualModbusMeter(unit, "ten"))
        async with bench(wires.port, baudrate=LINE.baudrate) as b:
            contexts = [
                b.start(ModbusDriver, unit=unit, profile="ten", poll=1.0, timeout=1.0)
                for unit in range(1, METERS + 1)
            ]
            if dead:
                gone = b.start(ModbusDriver, unit=200, profile="ten", poll=1.0, timeout=1.0)
                await gone.wait_until(lambda: bool(gone.states), 60)
            began, before = time.monotonic(), _readings(contexts)
            await asyncio.sleep(seconds)
            return (_readings(contexts) - before) / (time.monotonic() - began)


def _readings(contexts) -> int:
    return sum(len(context.of(Kind.MEASUREMENT)) for context in contexts)


async def replugged(out_s: float = 6.0, poll_s: float = 2.0) -> float:
    """How many polls after the adapter is back the last meter has been read."""
    with VirtualBus() as wires:
        for unit in range(1, METERS + 1):
            wires.add(VirtualModbusMeter(unit, "bove"))
        async with bench(wires.port, baudrate=LINE.baudrate) as b:
            contexts = [
                b.start(ModbusDriver, unit=unit, profile="bove", poll=poll_s)
                for unit in range(1, METERS + 1)
            ]
            for context in contexts:
                await context.wait_until(lambda c=context: bool(c.of(Kind.MEASUREMENT)), 30)
            wires.unplug()
            await asyncio.sleep(out_s)
            counts = [len(context.of(Kind.MEASUREMENT)) for context in contexts]
            began = time.monotonic()
            wires.plug_in()
            for context, count in zip(contexts, counts, strict=True):
                await context.wait_until(
                    lambda c=context, n=count: len(c.of(Kind.MEASUREMENT)) > n, 60
                )
            return (time.monotonic() - began) / poll_s


def main(seconds: float = 30) -> int:
    """Print all figures; how many missed."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)  # as the daemon does
    missed = show(decode_cost())
    alone = asyncio.run(polled(seconds))
    allowed = 1 / POLL_ON_WIRE_S
    missed += show(
        [
            Figure(
                f"{METERS} meters at 9600 baud, share of what the wire allows",
                alone / allowed, "", 0.9, "more",
                f"{alone:.1f} of {allowed:.1f} readings/s",
            )
        ]
    )  # fmt: skip
    beside = asyncio.run(polled(2 * seconds, dead=True))
    missed += show(
        [
            Figure(
                "one dead meter beside them, throughput lost in a minute",
                1 - beside / alone, "", 0.05, note=f"{beside:.1f} of {alone:.1f} readings/s",
            ),
        ]
    )  # fmt: skip
    late = asyncio.run(replugged())
    return missed + show([Figure("adapter replugged, last meter read after", late, "polls", 1)])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30)
    raise SystemExit(main(parser.parse_args().seconds))
