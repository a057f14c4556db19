"""Hours and days of a meter over restarts and power cuts, with the notes kept."""

import asyncio
from contextlib import suppress
from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stub_context import StubContext, StubReceipt

from drivers.water.teller import Teller
from drivers.water.volume import State
from gateway.errors import JournalSaturated, JournalWriteFailed
from gateway.model import Kind, Stamp, TimeQuality

BERLIN, SHANGHAI = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Shanghai")
MINUTE_MS, HOUR_MS = 60_000, 3_600_000


def ms(text, tz=SHANGHAI):
    return round(datetime.fromisoformat(text).replace(tzinfo=tz).timestamp() * 1000)


class Home:
    """A meter, its gateway and a clock; `context` keeps what was told and the notes."""

    def __init__(self, tz, start_ms, known=True):
        self.tz, self.now_ms, self.boot_ms, self.known = tz, start_ms, start_ms - 60_000, known
        self.counter_ml = 12_345_000
        self.context = StubContext("meter")
        self.restart()

    def stamp(self):
        quality = TimeQuality.SYNCHRONISED if self.known else TimeQuality.UNKNOWN
        wall_ms = self.now_ms if self.known else self.now_ms - self.boot_ms  # 1970
        return Stamp(bytes(8), self.now_ms - self.boot_ms, wall_ms, quality)

    def restart(self):
        """As after kill -9."""
        self.teller = Teller(self.context, self, self.tz)

    def reboot(self, off_minutes):
        self.now_ms += round(off_minutes * MINUTE_MS)
        self.boot_ms, self.known = self.now_ms - 20_000, False
        self.restart()

    async def read(self, minutes, use_ml):
        self.now_ms += round(minutes * MINUTE_MS)
        self.counter_ml += use_ml
        await self.teller.take(self.counter_ml / 1e6)

    def told(self, span):
        """Each period that was told: its event, and when it began and ended (ms)."""
        name = f"volume_{span}"
        return [
            (it, instant(it.detail["from"]), instant(it.detail["to"]), round(m.value * 1e6))
            for it in self.context.of(Kind.MEASUREMENT)
            for m in it.measurements
            if m.name == name
        ]


def instant(text):
    return round(datetime.fromisoformat(text).timestamp() * 1000)


READ = st.tuples(st.just("read"), st.floats(0.02, 9.9), st.integers(0, 15_000))
GAP = st.tuples(st.just("read"), st.floats(11, 3000), st.integers(0, 900_000))
NIGHT = st.tuples(st.just("many"), st.integers(1, 400), st.integers(0, 3_000))
EVENTS = st.one_of(
    READ,
    NIGHT,
    GAP,
    st.just(("kill",)),
    st.just(("stop",)),
    st.tuples(st.just("power"), st.floats(0.5, 600)),
    st.just(("clock",)),
)


async def live(home, events):
    for what, *more in events:
        if what == "read":
            await home.read(*more)
        elif what == "many":
            for _ in range(more[0]):
                await home.read(5, more[1])
        elif what == "kill":
            home.restart()
        elif what == "stop":
            await home.teller.close()
            home.restart()
        elif what == "power":
            home.reboot(*more)
        else:
            home.known = True
    home.known = True
    await home.read(1, 0)


@settings(max_examples=150, deadline=None)
@given(
    tz=st.sampled_from([BERLIN, SHANGHAI]),
    start=st.sampled_from(["2026-03-28", "2026-10-24", "2026-11-25"]),
    minute=st.integers(0, 1439),
    known=st.booleans(),
    events=st.lists(EVENTS, max_size=30),
)
def test_hours_make_days_and_both_make_the_counter(tz, start, minute, known, events):
    async def check():
        home = Home(tz, ms(start, tz) + minute * MINUTE_MS, known)
        await home.read(0, 0)
        begun = home.teller._volume.state
        await live(home, events)
        hours, days = home.told("hour"), home.told("day")
        for span in (hours, days):
            starts = [start for _, start, _, _ in span]
            assert starts == sorted(set(starts)), "twice, or out of order"
            assert all(volume >= 0 for *_, volume in span)
            for (_, _, end, _), (_, later, _, _) in pairwise(span):
                assert end <= later
        for _, start_ms, end_ms, volume in days:
            of_day = [used for _, at, _, used in hours if start_ms <= at < end_ms]
            assert sum(of_day) == volume
        assert not home.context.of(Kind.FAULT)
        state = home.teller._volume.state
        for series, open_ in ((hours, state.hour), (days, state.day)):
            total = sum(volume for *_, volume in series) + open_.used_ml
            assert total <= home.counter_ml - 12_345_000
            if begun:  # else what was used before the clock was known had no base to count from
                assert total == home.counter_ml - 12_345_000
        for it, *_ in hours + days:
            first, last = (round(it.detail[key] * 1e6) for key in ("first", "last"))
            (measured,) = it.measurements
            assert last - first == round(measured.value * 1e6)
            if it.detail["complete"]:
                assert "covered_to" not in it.detail

    asyncio.run(check())


def test_complete_periods_are_exact_and_stamped_with_their_end():
    async def check():
        home = Home(BERLIN, ms("2026-10-24 23:52", BERLIN))
        home.boot_ms = home.now_ms + 1  # so what is told first lies before the boot
        for _ in range(27 * 12):
            await home.read(5, 5000)
        _, day = home.told("day")
        assert (day[2] - day[1], day[3]) == (25 * HOUR_MS, 25 * 60_000)
        assert day[0].detail["from"] == "2026-10-25T00:00:00+02:00"
        assert day[0].detail["to"] == "2026-10-26T00:00:00+01:00"
        assert day[0].uptime_ms == day[2] - home.boot_ms
        assert [it.detail["complete"] for it, *_ in home.told("hour")] == [False] + 26 * [True]
        return home

    home = asyncio.run(check())
    assert {it.measurements[0].unit for it in home.context.observations} == {"m3"}


def test_a_value_may_lie_before_the_boot():
    async def check():
        home = Home(SHANGHAI, ms("2026-11-25 10:00"))
        await home.read(0, 0)
        await home.read(58, 50_000)
        await home.teller.close()
        home.reboot(3)
        home.known = True
        await home.read(0.5, 0)
        return home

    home = asyncio.run(check())
    ((hour, *_, volume),) = home.told("hour")
    assert (hour.uptime_ms, volume) == (20_000 - 60_000, 50_000)


def test_a_restart_in_the_middle_of_an_hour_loses_nothing():
    async def check():
        home = Home(SHANGHAI, ms("2026-11-25 10:00"))
        for _ in range(6):
            await home.read(5, 10_000)
        home.restart()
        for _ in range(7):
            await home.read(5, 10_000)
        return home

    home = asyncio.run(check())
    ((hour, *_, volume),) = home.told("hour")
    assert (volume, hour.detail["complete"]) == (110_000, False)  # its first reading was at 10:05


class PowerCut(BaseException):
    """At this point nothing more happens."""


class Fragile:
    """Notes and journal of a gateway whose power goes before or after the n-th write."""

    def __init__(self, context, at, after):
        self.context, self.left, self.after = context, at, after
        self.emit, self.put = context.emit, context.notes.put
        context.emit, context.notes.put = self._emit, self._put

    def _cut(self, after):
        if after is self.after:
            self.left -= 1
            if self.left == 0:
                raise PowerCut

    def _emit(self, observation):
        self._cut(False)
        receipt = self.emit(observation)
        self._cut(True)
        return receipt

    async def _put(self, values):
        self._cut(False)
        await self.put(values)
        self._cut(True)

    def mend(self):
        self.context.emit, self.context.notes.put = self.emit, self.put


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", range(1, 8))
def test_power_cut_at_any_point_tells_all_and_again_only_the_same(at, after):
    async def check():
        home = Home(SHANGHAI, ms("2026-11-25 23:00"))
        await home.read(0, 0)
        await home.read(57, 10_000)
        await home.teller.close()
        home.counter_ml = 1_000_000  # another meter: a leap, an hour and a day at once
        await home.read(1, 0)
        fragile = Fragile(home.context, at, after)
        with suppress(PowerCut):
            await home.read(3, 30_000)
        fragile.mend()
        home.restart()
        await home.read(1, 0)
        await home.read(1, 0)
        return home

    home = asyncio.run(check())
    assert [it.detail["fault"] for it in home.context.of(Kind.FAULT)][-1].startswith("volume_")
    for span in ("hour", "day"):
        told = {repr(it) for it, *_ in home.told(span)}
        assert len(told) == 1
        assert len(home.told(span)) <= 2
    assert home.told("hour")[0][3] == home.told("day")[0][3]


def test_what_the_journal_refuses_is_told_later_and_once():
    async def check():
        home = Home(SHANGHAI, ms("2026-11-25 10:00"))
        await home.read(0, 0)
        await home.read(58, 58_000)
        emit = home.context.emit

        def refuse(_):
            raise JournalSaturated("full")

        home.context.emit = refuse
        with pytest.raises(JournalSaturated):
            await home.read(4, 4_000)
        home.context.emit = emit
        await home.read(1, 0)
        await home.read(1, 0)
        return home

    assert [volume for *_, volume in asyncio.run(check()).told("hour")] == [60_000]


def test_a_flash_that_refuses_notes_does_not_keep_hours_from_being_told():
    async def check():
        home = Home(SHANGHAI, ms("2026-11-25 10:00"))
        home.context.notes.refusal = JournalWriteFailed("worn out")
        await home.read(0, 0)
        await home.read(58, 58_000)
        await home.read(4, 4_000)
        await home.read(1, 0)
        return home

    assert [volume for *_, volume in asyncio.run(check()).told("hour")] == [60_000]


def test_what_only_memory_has_is_told_again_after_a_restart():
    async def check():
        home = Home(SHANGHAI, ms("2026-11-25 10:00"))
        await home.read(0, 0)
        await home.read(58, 58_000)
        emit = home.context.emit

        def refuse(observation):
            emit(observation)
            receipt = StubReceipt()
            receipt.set_exception(JournalWriteFailed("read-only"))
            return receipt

        home.context.emit = refuse
        await home.read(4, 4_000)
        home.context.emit = emit
        await home.read(1, 0)
        before = home.told("hour")
        home.restart()
        await home.read(1, 0)
        return before, home.told("hour")

    before, after = asyncio.run(check())
    assert after == before * 2


def test_notes_are_seldom():
    async def check():
        home = Home(SHANGHAI, ms("2026-11-25 10:00"))
        puts = []
        put = home.context.notes.put

        async def counted(values):
            puts.append(values)
            await put(values)

        home.context.notes.put = counted
        for _ in range(24 * 60):
            await home.read(1, 100)
        return puts

    assert len(asyncio.run(check())) <= 1 + 2 * 24


@pytest.mark.parametrize("note", ["", "{}", "null", 7, '{"state":{"last":{"at_ms":-1}}}'])
def test_a_note_that_is_none_is_a_new_beginning(note):
    async def check():
        home = Home(SHANGHAI, ms("2026-11-25 10:00"))
        home.context.notes.values["volume"] = note
        home.restart()
        await home.read(0, 0)
        assert isinstance(home.teller._volume.state, State)

    asyncio.run(check())


def test_a_doubtful_reading_is_a_fault_until_readings_follow_again():
    async def check():
        home = Home(SHANGHAI, ms("2026-11-25 10:00"))
        await home.read(0, 0)
        await home.teller.take(900.0)
        await home.teller.take(800.0)
        await home.read(1, 0)
        return home

    assert [it.detail for it in asyncio.run(check()).context.of(Kind.FAULT)] == [
        {"fault": "volume_implausible", "active": True, "was": 12.345, "is": 900.0},
        {"fault": "volume_implausible", "active": False},
    ]


def test_a_swapped_meter_is_told_with_its_time():
    async def check():
        home = Home(SHANGHAI, ms("2026-11-25 10:00"))
        await home.read(0, 0)
        home.counter_ml = 5_000_000
        await home.read(5, 0)
        await home.read(5, 10)
        home.restart()
        await home.read(5, 10)
        return home

    home = asyncio.run(check())
    raised, over, told = home.context.of(Kind.FAULT)
    assert raised.detail["fault"] == over.detail["fault"] == "volume_implausible"
    assert told.detail == {"fault": "volume_swapped", "active": True, "was": 12.345, "is": 5.0}
    assert told.uptime_ms == 60_000 + 5 * MINUTE_MS
