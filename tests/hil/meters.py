"""Thousands of polls of a bus of many meters with bad wires, through the whole of hearth: `make hil`.

    python tests/hil/meters.py [--polls N] [--meters N] [--faults P] [--seed N]

The daemon is the shipped program on a pair of ptys. Meters of three protocols and three lines hang
on it; one is dead; there is noise on the wires, and the adapter is pulled now and then; of the
others' answers some share is slow, late, lost, garbled, cut, another meter's, comes byte by byte, or
has noise or an echo before it. Each answer says a number that no other answer says. Ends with a
table: what the collector has of a meter is what this meter said last when it was stored, and every
question that brought nothing lies in an absence that is told, and counted there. 0 if so.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "rigs"))
sys.path.insert(0, str(Path(__file__).parents[1] / "drivers"))

from home import Home
from line_faults import (
    Faulty,
    cut_short,
    late,
    mute,
    noise_before,
    one_bit_flipped,
    one_byte_at_a_time,
)
from shims import CLOCK, build_shim

from drivers.modbus import wire as modbus
from drivers.sim.meter_cjt188 import VirtualCjt188Meter
from drivers.sim.meter_mbus import VirtualMbusMeter
from drivers.sim.meter_modbus import VirtualModbusMeter
from drivers.sim.wires import VirtualBus

POLL_S = 1.0
TIMEOUT_S = 0.1
LATE_S = (1.2 * TIMEOUT_S, 2.8 * TIMEOUT_S)  # beyond three time-outs nothing is promised
SLOW_S = 0.5 * TIMEOUT_S
PLUGGED_S, UNPLUGGED_S = 15.0, 0.3
NOISE_S = 0.7  # between two bursts, on average
STEP_L = 10  # a CJ/T 188 counter knows no less
ABSENT = {"offline", "failed"}  # the meter does not answer; its driver lost the port

CONFIG = """
[gateway]
id = "hil-meters"
[journal]
path = "{folder}/journal"
quota = "64 MiB"
commit_interval = 0.2
[uplink]
url = "{broker}"
ack_timeout = 1.0
[control]
socket = "{folder}/control.sock"
[[bus]]
id = "wires"
port = "{port}"
"""
DEVICE = """
[[device]]
id = "{id}"
driver = "{driver}"
bus = "wires"
line = "{line}"
{keys}
poll = {poll}
timeout = {timeout}
retries = 0
"""


class Flow:
    """Water that only runs when the meter is asked."""

    litres_per_hour = 0.0

    def __init__(self, number: int) -> None:
        self.total_litres = number * 1_000_000


class Numbered:
    """A meter that says another number each time, and remembers when it said which."""

    def __init__(self, number: int, kind: str) -> None:
        self.device = f"{kind}-{number}"
        self.kind = kind
        self.number = number
        self.flow = Flow(number)
        self.said: list[tuple[float, int]] = []  # time in ms since 1970, and litres
        self.said_before = b""
        self.asked = b""
        self.meter, self.line, self.keys = _meter(kind, number, self.flow)

    def hear(self, telegram: bytes) -> list[tuple[float, bytes]]:
        self.asked = telegram
        self.flow.total_litres += STEP_L
        pieces = list(self.meter.hear(telegram))
        spoken = b"".join(data for _, data in pieces)
        if len(spoken) <= 1 or spoken == self.said_before or not _is_reading(self.kind, spoken):
            self.flow.total_litres -= STEP_L  # nothing, a yes, or what it said before
        if _is_reading(self.kind, spoken):
            self.said.append((time.time() * 1000, self.flow.total_litres))
            self.said_before = spoken
        return pieces


def _meter(kind: str, number: int, flow: Flow) -> tuple[object, str, str]:
    """The meter, its line, and the keys of its `[[device]]`."""
    if kind == "modbus":
        meter = VirtualModbusMeter(number, "bove", flow)
        return meter, "9600 8N1", f'unit = {number}\nprofile = "bove"'
    if kind == "cjt188":
        address = f"3378112233{number:04d}"
        return VirtualCjt188Meter(address, flow), "2400 8E1", f'address = "{address}"'
    name = f"7700{number:04d}.KAM.01.07"
    if number % 2:
        return VirtualMbusMeter(name, number, flow), "19200 8E1", f"address = {number}"
    return VirtualMbusMeter(name, 0, flow), "19200 8E1", f'secondary = "{name}"'


def _is_reading(kind: str, spoken: bytes) -> bool:
    """Whether it is an answer with the total in it, and not a month's or a yes."""
    if kind == "cjt188":
        return len(spoken) > 30
    return len(spoken) > 7


class Wires:
    """All meters, and what befalls their answers."""

    def __init__(self, count: int, share: float, rng: random.Random) -> None:
        kinds = ["modbus", "cjt188", "mbus"]
        self.meters = [Numbered(n, kinds[n % len(kinds)]) for n in range(1, count + 1)]
        self.dead = self.meters[rng.randrange(count)]
        self.faults: Counter[str] = Counter()
        self.pulled: list[float] = []  # ms since 1970
        self._share = share
        self._rng = rng

    def hang(self, bus: VirtualBus) -> None:
        for meter in self.meters:
            bus.add(Faulty(meter, self._bend_of(meter)), meter.line)

    @property
    def polls(self) -> int:
        return sum(len(meter.said) for meter in self.meters)

    def _bend_of(self, meter: Numbered):
        def bend(pieces):
            if meter is self.dead:
                return []
            answer = b"".join(data for _, data in pieces)
            if not _is_reading(meter.kind, answer) or self._rng.random() >= self._share:
                return pieces
            name = self._rng.choice(FAULTS)
            self.faults[name] += 1
            return _bent(name, self._rng, meter.kind, meter.asked, answer)

        return bend


def _bent(name: str, rng: random.Random, kind: str, question: bytes, answer: bytes):
    """What comes instead of an answer."""
    pieces = [(0.0, answer)]
    if name == "another's":
        return [(0.0, _of_another(kind, answer))]
    if name == "echo":
        return [(0.0, question), *pieces]
    bends = {
        "byte by byte": one_byte_at_a_time,
        "cut": cut_short,
        "garbled": one_bit_flipped(rng.random()),
        "late": late(rng.uniform(*LATE_S)),
        "lost": mute,
        "noise before": noise_before(rng.random()),
        "slow": late(SLOW_S),
    }
    return bends[name](pieces)


FAULTS = (
    "another's", "byte by byte", "cut", "echo", "garbled", "late", "lost", "noise before", "slow",
)  # fmt: skip


def _of_another(kind: str, answer: bytes) -> bytes:
    """The same, as a meter of another address would say it."""
    if kind == "modbus":
        return modbus.rtu.frame(answer[0] + 100, answer[1:-2])
    body = bytearray(answer)
    # CJ/T 188: the lowest digits of the address. M-Bus: those of the number, and the address.
    for at in (2,) if kind == "cjt188" else (5, 7):
        body[at + answer.index(0x68)] ^= 0x10
    first = answer.index(0x68) + (0 if kind == "cjt188" else 4)
    body[-2] = sum(body[first:-2]) % 256
    return bytes(body)


class MeterHome(Home):
    def __init__(self, folder: Path, clock_shim: Path, wires: Wires) -> None:
        super().__init__(folder)
        self.wires = wires
        self._clock_shim = clock_shim

    async def hardware(self, stack: AsyncExitStack) -> dict[str, str]:
        self.bus = stack.enter_context(VirtualBus())
        self.wires.hang(self.bus)
        return {"LD_PRELOAD": str(self._clock_shim)}

    def config(self) -> str:
        devices = [
            DEVICE.format(
                id=it.device, driver=it.kind, line=it.line, keys=it.keys,
                poll=POLL_S, timeout=TIMEOUT_S,
            )
            for it in self.wires.meters
        ]  # fmt: skip
        head = CONFIG.format(folder=self.folder, broker=self.broker.url, port=self.bus.port)
        return head + "".join(devices)


class Row(NamedTuple):
    """What became of one meter's polls."""

    device: str
    asked: int
    read: int
    wrong: int  # not what this meter said last
    missed: int  # questions without a reading
    untold: int  # of these, in no absence that is told
    miscounted: int  # absences that tell of fewer missed polls than there were questions
    unheard: int  # missed polls of which this meter heard no question
    absences: int
    cut: int  # absences in which the adapter was pulled

    @property
    def good(self) -> bool:
        return not (self.wrong or self.untold or self.miscounted)


async def run(
    folder: Path, clock_shim: Path, *, polls: int, meters: int, share: float, seed: int
) -> tuple[list[Row], Counter[str]]:
    """So many polls; a row for each meter, and the faults there were."""
    rng = random.Random(seed)
    wires = Wires(meters, share, rng)
    async with MeterHome(folder, clock_shim, wires) as home:
        await home.start()
        async with asyncio.TaskGroup() as tasks:
            troubles = [
                tasks.create_task(_pull(home, wires)),
                tasks.create_task(_disturb(home, random.Random(rng.random()))),
            ]
            while wires.polls < polls:
                await asyncio.sleep(0.05)
            for trouble in troubles:
                trouble.cancel()
        code = await home.stop()  # sends what is left
        _, books = await home.books()
        if code or any(book["missing"] for book in books):
            raise RuntimeError(f"the gateway ended with {code}; books {books}")
        return [_judge(home, wires, meter) for meter in wires.meters], wires.faults


async def _pull(home: MeterHome, wires: Wires) -> None:
    """The adapter comes out now and then."""
    while True:
        await asyncio.sleep(PLUGGED_S)
        wires.pulled.append(time.time() * 1000)
        home.bus.unplug()
        await asyncio.sleep(UNPLUGGED_S)
        home.bus.plug_in()


async def _disturb(home: MeterHome, rng: random.Random) -> None:
    """Noise, whenever it likes."""
    while True:
        await asyncio.sleep(rng.expovariate(1 / NOISE_S))
        home.bus.disturb(rng.randbytes(rng.randrange(1, 20)))


class Told(NamedTuple):
    """One event of a meter, in order."""

    time_ms: float
    litres: int | None
    state: str
    missed: int


def _judge(home: MeterHome, wires: Wires, meter: Numbered) -> Row:
    told = [_told(*row) for row in _rows(home, meter)]
    readings = [it for it in told if it.litres is not None]
    wrong = sum(it.litres != _last_said(meter, it.time_ms) for it in readings)
    numbers = sorted({litres for _, litres in meter.said})
    missed = untold = miscounted = unheard = absences = cut = 0
    before = numbers[0] - STEP_L if numbers else 0
    since = float("-inf")
    absence: list[Told] = []
    for it in told:
        if it.litres is None:
            absence.append(it)
            continue
        asked = (it.litres - before) // STEP_L - 1
        offline = any(event.state in ABSENT for event in absence)
        pulled = any(since <= at <= it.time_ms for at in wires.pulled)
        count = sum(event.missed for event in absence)
        missed += asked
        untold += asked if not offline else 0
        miscounted += count < asked
        # The adapter was out, an M-Bus meter was not heard to say that it is there, or this process
        # was late and took two questions for one.
        unheard += max(0, count - asked)
        absences += offline
        cut += offline and pulled
        before, since, absence = it.litres, it.time_ms, []
    rest = len([litres for litres in numbers if litres > before])
    if rest > 1 and not any(event.state in ABSENT for event in absence):  # one is on its way
        untold += rest - 1
    return Row(
        meter.device, len(numbers), len(readings), wrong,
        missed + rest, untold, miscounted, unheard, absences, cut,
    )  # fmt: skip


def _rows(home: MeterHome, meter: Numbered) -> list[tuple]:
    return home.query(
        "SELECT kind, time, body FROM events WHERE device = ? ORDER BY lane, seq", meter.device
    )


def _told(kind: str, time_ms: float, text: str) -> Told:
    body = json.loads(text)
    detail = body.get("detail") or {}
    values = {it["n"]: it.get("v") for it in body.get("measurements") or ()}
    litres = (
        round(values["volume"] * 1000) if kind == "measurement" and "volume" in values else None
    )
    state = str(detail.get("state", "")) if kind == "device" else ""
    return Told(time_ms, litres, state, int(detail.get("missed", 0)) if state else 0)


def _last_said(meter: Numbered, time_ms: float) -> int | None:
    said = [litres for at, litres in meter.said if at <= time_ms + 1]
    return said[-1] if said else None


def table(rows: list[Row]) -> str:
    """For a terminal; the last line is the sum."""
    heads = ["meter", *Row._fields[1:]]
    total = ["all", *(str(sum(column)) for column in list(zip(*rows, strict=True))[1:])]
    lines = [heads, *([*map(str, row)] for row in rows), total]
    widths = [max(len(line[n]) for line in lines) for n in range(len(heads))]
    return "\n".join(
        "  ".join(f"{text:>{width}}" for text, width in zip(line, widths, strict=True))
        for line in lines
    )


def main() -> int:
    """Poll, print the table; 1 if a value was wrong or a missed poll was not told."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--polls", type=int, default=10_000)
    parser.add_argument("--meters", type=int, default=32)
    parser.add_argument("--faults", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args()
    print(f"seed {options.seed}, {options.meters} meters, {options.polls} polls", flush=True)
    with tempfile.TemporaryDirectory(prefix="hearth-hil-") as folder:
        shim = build_shim(CLOCK, Path(folder))
        if shim is None:
            print("needs a C compiler, for a clock that is synchronised")
            return 2
        began = time.monotonic()
        rows, faults = asyncio.run(
            run(
                Path(folder), shim, polls=options.polls, meters=options.meters,
                share=options.faults, seed=options.seed,
            )
        )  # fmt: skip
    print(table(rows))
    print(f"{time.monotonic() - began:.0f} s; faults: {dict(sorted(faults.items()))}")
    return 0 if all(row.good for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
