"""Bands that take turns: how long each is heard, and how long it is not.

Turns of a minute are too long to be waited for. They are computed: the seats are the driver's own
(drivers/ble/seats.py), on an event loop whose time leaps, and a band is what it takes to find and
to connect it. What is computed is held against the driver on a virtual radio with short turns.
"""

from __future__ import annotations

import asyncio
import selectors
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING
from unittest.mock import patch

from benchmarks.ble_cost import TEN, live, make_bands, wait_subscribed
from benchmarks.ble_delay import COMMIT_S, WAIT_S, driven
from benchmarks.journal_events import open_journal
from benchmarks.report import Figure
from drivers.ble import radio, seats
from drivers.ble.seats import CONNECTIONS, Seats
from drivers.sim.air import Air
from drivers.sim.band_base import ADVERTISING_INTERVAL_MS

if TYPE_CHECKING:
    from pathlib import Path

    from drivers.sim.band import VirtualBand
    from drivers.sim.band_fff0 import VirtualFff0

COUNTS = (5, 6, 10, 20)
TURNS = 480  # eight hours of them
SETTLED_TURNS = 60  # not counted: the first bands come all at once

SHORT_TURN_S = 1.0
SHORT_TURNS = 20
SHORTER = SHORT_TURN_S / seats.TURN_S  # what else is measured in seconds shrinks with the turns


@dataclass(frozen=True)
class Pace:
    """How long it takes to find a band, and to connect, discover and subscribe it (s)."""

    found_s: float
    connected_s: float


# Bands advertise every 1 to 10 s; with the slow ones the scan misses one now and then.
PACES = (Pace(2, 3), Pace(10, 6))


# --- what is heard of a band --------------------------------------------------------------------


@dataclass
class Diary:
    """When a band was heard, in spans (s)."""

    spans: list[list[float]] = field(default_factory=list)

    def begins(self, now_s: float) -> None:
        """It is heard from now on."""
        self.spans.append([now_s, inf])

    def ends(self, now_s: float) -> None:
        """It is not heard any more."""
        self.spans[-1][1] = now_s

    def share(self, start_s: float, end_s: float) -> float:
        """For which part of a time it was heard."""
        heard = sum(max(0, min(off, end_s) - max(on, start_s)) for on, off in self.spans)
        return heard / (end_s - start_s)

    def longest_silence_s(self, start_s: float, end_s: float) -> float:
        """For how long at most it was not."""
        ends = [start_s, *(off for _, off in self.spans)]
        begins = [*(on for on, _ in self.spans), end_s]
        silences = (
            min(on, end_s) - max(off, start_s) for off, on in zip(ends, begins, strict=True)
        )
        return max(0, *silences)

    def turns(self, start_s: float, end_s: float) -> int:
        """How often it was connected."""
        return sum(start_s <= on < end_s for on, _ in self.spans)


@dataclass(frozen=True)
class Turns:
    """What was heard of so many bands."""

    bands: int
    least_share: float
    most_share: float
    longest_silence_s: float
    connects: float  # of each band, in an hour

    def __str__(self) -> str:
        shares = f"{self.least_share:.0%} to {self.most_share:.0%} of the time"
        return (
            f"{self.bands} bands: each connected {shares}, {self.connects:.0f} times an hour;"
            f" unheard for {self.longest_silence_s:.0f} s at most"
        )


def summed_up(diaries: list[Diary], start_s: float, end_s: float) -> Turns:
    """Of all bands, over a time."""
    connects = sum(diary.turns(start_s, end_s) for diary in diaries) / len(diaries)
    shares = [diary.share(start_s, end_s) for diary in diaries]
    return Turns(
        len(diaries),
        min(shares),
        max(shares),
        max(diary.longest_silence_s(start_s, end_s) for diary in diaries),
        connects * 3600 / (end_s - start_s),
    )


# --- computed -----------------------------------------------------------------------------------


class _Leaping(selectors.DefaultSelector):
    """Instead of waiting, time has passed."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list:
        self.now_s += timeout or 0
        return super().select(0)


class _LeapingLoop(asyncio.SelectorEventLoop):
    """An event loop on which hours pass in a moment."""

    def __init__(self) -> None:
        self._leaping = _Leaping()
        super().__init__(self._leaping)

    def time(self) -> float:
        return self._leaping.now_s


async def _come_and_go(at: Seats, connecting: asyncio.Lock, pace: Pace, diary: Diary) -> None:
    """A band, as the driver treats it."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(pace.found_s)
        seat = await at.sit()
        if loop.time() - seat.asked_s > radio.STALE_S:
            await asyncio.sleep(pace.found_s)
        async with connecting:
            await asyncio.sleep(pace.connected_s)
        diary.begins(loop.time())
        await seat.over()
        diary.ends(loop.time())
        at.leave(seat)


async def _hours_of_turns(count: int, pace: Pace) -> Turns:
    at, connecting = Seats(), asyncio.Lock()
    diaries = [Diary() for _ in range(count)]
    bands = [asyncio.create_task(_come_and_go(at, connecting, pace, diary)) for diary in diaries]
    start_s, end_s = SETTLED_TURNS * seats.TURN_S, (SETTLED_TURNS + TURNS) * seats.TURN_S
    await asyncio.sleep(end_s)
    for band in bands:
        band.cancel()
    await asyncio.gather(*bands, return_exceptions=True)
    return summed_up(diaries, start_s, end_s)


def computed(count: int, pace: Pace) -> Turns:
    """So many bands on one adapter for hours, by the driver's own rule of who sits when."""
    with asyncio.Runner(loop_factory=_LeapingLoop) as runner:
        return runner.run(_hours_of_turns(count, pace))


def computed_table() -> None:
    """Print what so many bands get."""
    for pace in PACES:
        takes = f"found in {pace.found_s:g} s, connected in {pace.connected_s:g} s"
        print(f"computed, {CONNECTIONS} connections, turns of {seats.TURN_S:g} s: {takes}")
        for count in COUNTS:
            print(f"  {computed(count, pace)}", flush=True)


# --- on a virtual radio -------------------------------------------------------------------------


async def _follow(band: VirtualBand | VirtualFff0, diary: Diary) -> None:
    loop = asyncio.get_running_loop()
    while True:
        await wait_subscribed(band, len(diary.spans) + 1)
        diary.begins(loop.time())
        await band.wait_connected(on=False)
        diary.ends(loop.time())


async def short_turns(folder: Path) -> tuple[Turns, Pace]:
    """The driver itself, with turns of a second; how quickly it connects there."""
    folder.mkdir()
    loop, bands = asyncio.get_running_loop(), make_bands(Air(), TEN)
    diaries = [Diary() for _ in bands]
    journal = open_journal(folder / "journal", interval_s=COMMIT_S)
    async with driven(folder, journal, *bands):
        followed = [
            *(asyncio.create_task(_follow(*it)) for it in zip(bands, diaries, strict=True)),
            *(asyncio.create_task(live(band, n / TEN)) for n, band in enumerate(bands)),
        ]
        async with asyncio.timeout(WAIT_S):
            while not all(diary.spans for diary in diaries):
                await asyncio.sleep(SHORT_TURN_S / 10)
        start_s = loop.time()
        await asyncio.sleep(SHORT_TURNS * SHORT_TURN_S)
        end_s = loop.time()
        for task in followed:
            task.cancel()
        await asyncio.gather(*followed, return_exceptions=True)
    journal.close()
    return summed_up(diaries, start_s, end_s), _pace(diaries)


def _pace(diaries: list[Diary]) -> Pace:
    """How quick it is there: the first bands are connected one after the other, without turns."""
    begins = sorted(diary.spans[0][0] for diary in diaries)[:CONNECTIONS]
    return Pace(ADVERTISING_INTERVAL_MS / 1000, (begins[-1] - begins[0]) / (CONNECTIONS - 1))


def ten_on_five(folder: Path) -> list[Figure]:
    """What each of ten bands gets of five connections: computed, and by the driver."""
    longest = computed(TEN, PACES[0]).longest_silence_s
    stale_s = radio.STALE_S * SHORTER
    with patch.object(seats, "TURN_S", SHORT_TURN_S), patch.object(radio, "STALE_S", stale_s):
        got, pace = asyncio.run(short_turns(folder))
        expected = computed(TEN, pace)
    turns = f"{SHORT_TURNS} turns of {SHORT_TURN_S:g} s, connected in {pace.connected_s:.2f} s"
    share = f"{got.least_share:.2f}, computed {expected.least_share:.2f}; {turns}"
    silence = f"computed {expected.longest_silence_s / SHORT_TURN_S:.2f}; {turns}"
    return [
        Figure("ten bands on five connections: unheard at most", longest, "s", 2 * seats.TURN_S),
        Figure("  by the driver", got.longest_silence_s / SHORT_TURN_S, "turns", 2, note=silence),
        Figure(
            "  least time connected / computed", got.least_share / expected.least_share,
            "of computed", 0.9, "more", share,
        ),
    ]  # fmt: skip
