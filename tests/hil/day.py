"""A day of people with wristbands, at speed, through the whole of hearth: `make hil`.

    python tests/hil/day.py [--seconds N] [--bands N] [--seed S]

The daemon is the shipped program on bleak's BlueZ backend; bands, radio and bluetoothd are played.
People walk away, take their bands off, press SOS; bands drop their connections; bluetoothd crashes,
the adapter is switched off, the broker is away. Ends with a table: each reading that a band
produced is at the collector once, or it was out of range or not worn, and that is told. 0 if so.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "rigs"))

from band_home import BandHome
from private_bus import DBUS_DAEMON
from shims import CLOCK, build_shim
from wearer import SETTLE_S, Colmi, Day, Wearer, dress

from drivers.sim.air import Air

PATIENCE_S = 90.0


class Row(NamedTuple):
    """What became of one band's day."""

    device: str
    family: str
    produced: int
    missing: int
    twice: int
    stored: int  # kept by the band while nobody listened
    stored_missing: int
    stored_twice: int
    out_of_range: int
    not_worn: int
    absences: int
    told_offline: int
    presses: int
    calls: int

    @property
    def good(self) -> bool:
        """Nothing is missing, nothing is there twice, every absence and every press is told."""
        lost = self.missing, self.twice, self.stored_missing, self.stored_twice
        return not any(lost) and self.told_offline >= self.absences and self.calls == self.presses


async def live(
    folder: Path, clock_shim: Path, *, bands: int, seconds: float, seed: int
) -> list[Row]:
    """One day; a row for each band."""
    air, rng = Air(), random.Random(seed)
    wearers = dress(air, bands)
    async with BandHome(folder, clock_shim, air, wearers) as home:
        await home.start()
        async with asyncio.timeout(PATIENCE_S):
            for wearer in wearers:
                await wearer.listened_to()
        there = asyncio.Event()
        there.set()
        days = [Day(it, random.Random(rng.random()), there) for it in wearers]
        until_s = asyncio.get_running_loop().time() + seconds
        async with asyncio.TaskGroup() as tasks:
            for day in days:
                tasks.create_task(day.run(until_s))
            tasks.create_task(_trouble(home, days, there, random.Random(rng.random()), until_s))
        await asyncio.sleep(SETTLE_S)
        code = await home.stop()
        _, books = await home.books()
        if code or any(book["missing"] for book in books):
            raise RuntimeError(f"the gateway ended with {code}; books {books}")
        return [_judge(home, wearer) for wearer in wearers]


async def _trouble(
    home: BandHome, days: list[Day], there: asyncio.Event, rng: random.Random, until_s: float
) -> None:
    """What befalls the whole home, in turn: bluetoothd, the broker, the adapter."""
    loop = asyncio.get_running_loop()
    kinds = [_bluetoothd, _broker, _adapter]
    rng.shuffle(kinds)
    for number in range(1000):
        await asyncio.sleep(rng.uniform(6, 10))
        if loop.time() > until_s - 5:
            return
        await kinds[number % len(kinds)](home, days, there)


async def _broker(home: BandHome, days: list[Day], there: asyncio.Event) -> None:
    del days, there  # nobody notices
    await home.broker.kill()
    await asyncio.sleep(3)
    await home.broker.start()


async def _bluetoothd(home: BandHome, days: list[Day], there: asyncio.Event) -> None:
    await _hush(days, there)
    await home.bluez.crash()
    await asyncio.sleep(1)
    await home.bluez.start()
    there.set()


async def _adapter(home: BandHome, days: list[Day], there: asyncio.Event) -> None:
    await _hush(days, there)
    home.bluez.power(on=False)  # hearth switches it on again
    there.set()


async def _hush(days: list[Day], there: asyncio.Event) -> None:
    """Nobody is in the middle of anything, and nothing is on its way."""
    there.clear()
    for day in days:
        await day.idle.wait()
    await asyncio.sleep(SETTLE_S)
    for day in days:
        day.gone()


def _judge(home: BandHome, wearer: Wearer) -> Row:
    rows = home.query(
        "SELECT kind, time, body FROM events WHERE device = ? ORDER BY lane, seq", wearer.device
    )
    live: Counter[int] = Counter()
    kept: Counter[tuple[int, int]] = Counter()
    offline = calls = 0
    for kind, time_ms, text in rows:
        body = json.loads(text)
        detail = body.get("detail") or {}
        values = {record["n"]: record.get("v") for record in body.get("measurements") or ()}
        if detail.get("stored"):
            kept[round(time_ms / 1000), values["heart_rate"]] += 1
        elif wearer.name in values:
            live[_number(wearer, values[wearer.name])] += 1
        offline += kind == "device" and detail.get("state") == "offline"
        calls += kind == "call"
    produced = Counter(_number_told(wearer, number) for number in wearer.produced)
    stored = Counter(wearer.stored)
    return Row(
        wearer.device,
        wearer.family,
        produced.total(),
        (produced - live).total(),
        (live - produced).total(),
        stored.total(),
        (stored - kept).total(),
        (kept - stored).total(),
        wearer.unheard,
        wearer.unworn,
        wearer.absences,
        offline,
        wearer.presses,
        calls,
    )


def _number(wearer: Wearer, value: float) -> int:
    return round(value / wearer.scale)


def _number_told(wearer: Wearer, number: int) -> int:
    """The number as the collector sees it."""
    if isinstance(wearer, Colmi):
        return Colmi.FIRST + number % Colmi.NUMBERS
    return number


def table(rows: list[Row]) -> str:
    """For a terminal."""
    heads = [
        "band", "family", "told", "missing", "twice", "kept", "missing", "twice",
        "out of range", "not worn", "absences", "told", "SOS", "calls",
    ]  # fmt: skip
    lines = [[*map(str, row)] for row in rows]
    widths = [max(len(line[n]) for line in [heads, *lines]) for n in range(len(heads))]
    return "\n".join(
        "  ".join(f"{text:>{width}}" for text, width in zip(line, widths, strict=True))
        for line in [heads, *lines]
    )


def main() -> int:
    """Live a day, print the table; 1 if something is missing or there twice."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--bands", type=int, default=8)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args()
    if DBUS_DAEMON is None:
        print("needs dbus-daemon")
        return 2
    print(f"seed {options.seed}, {options.bands} bands, {options.seconds:g} s", flush=True)
    with tempfile.TemporaryDirectory(prefix="hearth-hil-") as folder:
        shim = build_shim(CLOCK, Path(folder))
        if shim is None:
            print("needs a C compiler, for a clock that is synchronised")
            return 2
        rows = asyncio.run(
            live(
                Path(folder),
                shim,
                bands=options.bands,
                seconds=options.seconds,
                seed=options.seed,
            )
        )
    print(table(rows))
    return 0 if all(row.good for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
