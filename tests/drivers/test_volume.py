"""Hours and days of a meter: borders, holes, clocks, counters that leap."""

from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.water import local_time
from drivers.water.counter import Break
from drivers.water.period import NEAR_MS, Period
from drivers.water.volume import MOST_WAITING, Volume

BERLIN, SHANGHAI = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Shanghai")
MINUTE_MS, HOUR_MS = 60_000, 3_600_000
BOOT_MS = 1_700_000_000_000


def ms(text, tz=SHANGHAI):
    return round(datetime.fromisoformat(text).replace(tzinfo=tz).timestamp() * 1000)


class Meter:
    """A Volume and what it told; the counter in m3, time in local words."""

    def __init__(self, tz=SHANGHAI, day="2026-11-25"):
        self.volume, self.tz, self.day = Volume(tz), tz, day
        self.told = []

    def read(self, time, volume_m3, known=True):
        at_ms = ms(f"{self.day} {time}", self.tz) if isinstance(time, str) else time
        wall_ms = at_ms if known else None
        new = self.volume.feed(volume_m3, 0.01, at_ms - BOOT_MS, wall_ms)
        self.told += new
        return new

    def periods(self, span):
        return [it for it in self.told if isinstance(it, Period) and it.span == span]

    @property
    def leaps(self):
        return [it for it in self.told if isinstance(it, Break)]


def used(period):
    return period.volume_ml / 1e6


# --- borders


def test_an_hour_ends_where_the_line_between_two_readings_crosses_it():
    meter = Meter()
    meter.read("10:00", 100.0)
    meter.read("10:59", 100.059)
    assert meter.read("11:03", 100.063) == [
        Period(
            span="hour",
            start_ms=ms("2026-11-25 10:00"),
            end_ms=ms("2026-11-25 11:00"),
            covered_from_ms=ms("2026-11-25 10:00"),
            covered_to_ms=ms("2026-11-25 11:00"),
            first_ml=100_000_000,
            last_ml=100_060_000,
            volume_ml=60_000,
        )
    ]
    assert meter.told[0].complete


def test_the_first_hour_began_before_anybody_looked():
    meter = Meter()
    meter.read("10:20", 5.0)
    meter.read("10:55", 5.1)
    (hour,) = meter.read("11:00", 5.2)
    assert (used(hour), hour.complete) == (0.2, False)
    assert hour.covered_from_ms == ms("2026-11-25 10:20")


def test_use_of_a_hole_is_not_given_to_a_side_of_the_border():
    meter = Meter()
    meter.read("10:00", 100.0)
    meter.read("10:20", 100.1)
    seen, *more = meter.read("13:40", 100.9)
    assert (used(seen), seen.complete, more) == (0.1, False, [])
    assert seen.covered_to_ms == ms("2026-11-25 10:20")
    meter.read("13:58", 101.0)
    (back,) = meter.read("14:02", 101.0)
    assert back.start_ms == ms("2026-11-25 13:00")
    assert (back.covered_from_ms, back.covered_to_ms) == (seen.covered_to_ms, back.end_ms)
    assert (used(back), back.complete) == (0.9, False)


@pytest.mark.parametrize(("apart_ms", "exact"), [(NEAR_MS, True), (NEAR_MS + 1, False)])
def test_how_far_readings_around_a_border_may_be_apart(apart_ms, exact):
    meter = Meter()
    meter.read("10:00", 1.0)
    before = ms("2026-11-25 10:55")
    meter.read(before, 1.1)
    (hour,) = meter.read(before + apart_ms, 1.2)
    assert (used(hour), hour.complete) == ((0.15, True) if exact else (0.1, False))


def test_a_reading_on_the_border_is_exact_whatever_was_before():
    meter = Meter()
    meter.read("10:00", 1.0)
    (hour,) = meter.read("11:00", 1.5)
    assert (used(hour), hour.complete) == (0.5, True)
    assert meter.read("12:30", 1.5) == []  # of 11:00 to 12:00 nothing was seen
    (later,) = meter.read("13:00", 2.0)
    assert (used(later), later.complete) == (0.5, False)
    assert later.covered_from_ms == ms("2026-11-25 11:00")


def test_a_hole_within_a_day_does_the_day_no_harm():
    meter = Meter()
    meter.read("00:00", 10.0)
    meter.read("08:00", 10.1)
    meter.read("20:00", 10.4)
    meter.read("23:55", 10.5)
    meter.read(ms("2026-11-26 00:05"), 10.5)
    (day,) = meter.periods("day")
    assert (used(day), day.complete) == (0.5, True)


@pytest.mark.parametrize(
    ("tz", "day", "hours"),
    [
        (SHANGHAI, "2026-03-29", 24),
        (BERLIN, "2026-03-29", 23),
        (BERLIN, "2026-10-25", 25),
        (ZoneInfo("Africa/Cairo"), "2026-04-24", 23),  # clocks change at midnight itself
        (ZoneInfo("America/Havana"), "2026-11-01", 25),
        (ZoneInfo("Australia/Lord_Howe"), "2026-10-04", 23.5),
        (ZoneInfo("Asia/Kathmandu"), "2026-11-25", 24),
    ],
    ids=str,
)
def test_days_are_those_of_the_calendar(tz, day, hours):
    meter = Meter(tz)
    at, total = ms(day, tz) - 3 * MINUTE_MS, 0.0
    for _ in range(32 * 12):
        meter.read(at, total)
        at, total = at + 5 * MINUTE_MS, total + 0.005
    _, it = meter.periods("day")
    assert (it.start_ms, it.end_ms - it.start_ms) == (ms(day, tz), hours * HOUR_MS)
    assert (used(it), it.complete) == (pytest.approx(0.06 * hours), True)
    of_day = [h for h in meter.periods("hour") if it.start_ms <= h.start_ms < it.end_ms]
    assert sum(hour.volume_ml for hour in of_day) == it.volume_ml
    assert all(hour.complete for hour in of_day)
    assert len(of_day) == -(-hours // 1)


def test_the_systems_own_time_zone():
    now = datetime.now().replace(minute=30, second=5, microsecond=0)
    at = round(now.timestamp() * 1000)
    assert local_time.hour_start(at, None) == at - 1805 * 1000
    midnight = datetime.fromtimestamp(local_time.day_start(at, None) / 1000)
    assert midnight == now.replace(hour=0, minute=0, second=0)
    assert local_time.written(at, SHANGHAI)[-6:] == "+08:00"


# --- clocks


def test_readings_wait_for_the_clock_of_their_boot():
    meter = Meter()
    start = ms("2026-11-25 10:00")
    for minute in range(0, 125, 5):
        assert meter.read(start + minute * MINUTE_MS, 1 + minute / 1000, known=False) == []
    told = meter.read("12:05", 1.125)
    assert [(used(it), it.complete) for it in told] == [(0.06, True), (0.06, True)]


def test_a_clock_that_is_lost_again_was_known_once():
    meter = Meter()
    meter.read("10:00", 1.0)
    meter.read("10:58", 1.058, known=False)
    assert [used(it) for it in meter.read("11:02", 1.062, known=False)] == [0.06]


def test_those_that_wait_get_fewer_and_lose_no_water():
    meter = Meter()
    meter.read("00:00", 1.0)
    restarted = Volume(SHANGHAI, meter.volume.state)
    start = ms("2026-11-25 00:01")
    minutes = 3 * MOST_WAITING
    for minute in range(minutes):
        told = restarted.feed(1 + minute / 1e6, 0.01, minute * MINUTE_MS, None)
        assert told == []
        assert len(restarted._waiting) <= MOST_WAITING
        if minute == 3 * 24 * 60:
            times = [it.uptime_ms for it in restarted._waiting]
            assert max(b - a for a, b in pairwise(times)) <= NEAR_MS
    told = restarted.feed(1.5, 0.01, minutes * MINUTE_MS, start + minutes * MINUTE_MS)
    days = [it for it in told if it.span == "day"]
    assert len(days) == 4
    assert days[-1].complete
    assert sum(it.volume_ml for it in days) + restarted.state.day.used_ml == 500_000


def test_a_clock_that_is_set_back_a_little_stands_still():
    meter = Meter()
    meter.read("10:00", 1.0)
    meter.read("10:58", 1.1)
    (hour,) = meter.read("11:01", 1.16)
    assert meter.read("10:59", 1.17) == []
    meter.read("11:55", 1.3)
    (later,) = meter.read("12:00", 1.3)
    assert used(hour) + used(later) == pytest.approx(0.3)
    assert later.complete


def test_a_clock_that_was_wrong_by_years_begins_again():
    meter = Meter()
    meter.read(ms("2030-01-01 10:00"), 1.0)
    meter.read(ms("2030-01-01 10:10"), 1.1)
    wrong, day = meter.read("10:00", 1.2)
    assert (used(wrong), wrong.complete, used(day), day.complete) == (0.1, False, 0.1, False)
    meter.read("10:57", 1.2)
    assert [used(it) for it in meter.read("11:00", 1.3)] == [0.2]


def test_another_time_zone_after_a_restart():
    meter = Meter()
    meter.read("20:00", 1.0)
    meter.read("20:10", 1.1)
    moved = Volume(ZoneInfo("America/New_York"), meter.volume.state)
    at = ms("2026-11-25 20:10")
    told = moved.feed(1.2, 0.01, 0, at + MINUTE_MS)
    told += moved.feed(1.3, 0.01, NEAR_MS * 90, at + NEAR_MS * 90)
    assert all(it.volume_ml >= 0 for it in told)
    days = [it.volume_ml for it in told if it.span == "day"]
    assert sum(days) + moved.state.day.used_ml == 300_000


# --- counters that leap


def leapt(was, now, resolution=0.0, after=0.002):
    """What became of a counter that leapt within a minute; it went on for `after` m3 each time."""
    meter = Meter()
    meter.read("10:00", was - 0.05)
    meter.read("10:10", was)
    meter.read("10:11", now)
    assert meter.volume.doubt == (round(was * 1e6), round(now * 1e6))
    meter.read("10:12", now + after)
    assert meter.volume.doubt is None
    meter.read("10:59", now + 2 * after)
    meter.read("11:00", now + 2 * after)
    (hour,) = meter.periods("hour")
    return [it.what for it in meter.leaps], pytest.approx(used(hour), abs=1e-6)


@pytest.mark.parametrize(
    ("was", "now", "what", "counts"),
    [
        (9999.99, 0.0, "rollover", 0.01),
        (99_999.999, 0.002, "rollover", 0.003),
        (999_999.99, 0.02, "rollover", 0.03),
        (4_294_967.29, 0.004, "rollover", 0.01),
        (9999.0, 0.0, "rollover", 1.0),
        (9990.0, 0.0, "reset", 0.0),  # ten m3 in a minute: no rollover
        (123.4, 0.0, "reset", 0.0),
        (123.4, 0.9, "reset", 0.0),
        (123.4, 57.0, "swapped", 0.0),
        (123.4, 123.38, "swapped", 0.0),
        (123.4, 4567.8, "swapped", 0.0),
        (123.4, 125.4, None, 2.0),  # it had stood still
    ],
)
def test_what_a_leap_is_and_what_counts(was, now, what, counts):
    assert leapt(was, now) == ([what] if what else [], 0.05 + counts + 0.004)


def test_a_leap_says_what_was_and_is():
    meter = Meter()
    for time, volume in [("10:00", 50.0), ("10:01", 7.0), ("10:02", 7.0)]:
        meter.read(time, volume)
    assert meter.leaps == [Break("swapped", ms("2026-11-25 10:01"), 50_000_000, 7_000_000)]


@pytest.mark.parametrize("wrong", [0.0, 57.0, 101.5, 8000.0])
def test_one_wrong_reading_changes_nothing(wrong):
    meter = Meter()
    meter.read("10:00", 100.0)
    meter.read("10:01", wrong)
    meter.read("10:02", 100.002)
    meter.read("10:59", 100.05)
    (hour,) = meter.read("11:00", 100.06)
    assert (used(hour), meter.leaps) == (0.06, [])


def test_wrong_readings_that_agree_with_nothing_are_never_counted():
    meter = Meter()
    meter.read("10:00", 100.0)
    for minute, wrong in enumerate([9000.0, 3.0, 777.0, 50.0], start=1):
        meter.read(f"10:0{minute}", wrong)
    meter.read("10:05", 100.0)
    meter.read("10:56", 100.0)
    assert [used(it) for it in meter.read("11:00", 100.0)] == [0.0]
    assert not meter.leaps


def test_a_last_digit_that_wavers_counts_once():
    meter = Meter()
    meter.read("10:00", 100.0)
    for minute in range(1, 60):
        meter.read(f"10:{minute:02}", 100.01 if minute % 2 else 100.0)
    (hour,) = meter.read("11:00", 100.01)
    assert (used(hour), meter.leaps) == (0.01, [])


def test_what_is_no_leap_after_a_day_without_readings():
    meter = Meter()
    meter.read("00:00", 100.0)
    meter.read(ms("2026-11-26 00:00"), 110.0)
    assert meter.volume.doubt is None
    assert [used(it) for it in meter.periods("day")] == [10.0]


@given(
    st.lists(
        st.tuples(
            st.integers(-2 * HOUR_MS, 4 * HOUR_MS) | st.integers(0, NEAR_MS),
            st.floats(0, 5e6) | st.floats(9990, 9999.99) | st.floats(0, 2),
            st.integers(1, 4),
        )
    )
)
def test_whatever_a_meter_and_a_clock_do_no_volume_is_negative_and_hours_make_days(readings):
    meter, at = Meter(), ms("2026-11-25 10:00")
    for step, volume_m3, times in readings:
        for n in range(times):
            at += step
            meter.read(at, volume_m3 + n / 1000)
    assert all(it.volume_ml >= 0 for it in meter.told if isinstance(it, Period))
    if state := meter.volume.state:
        hours, days = (sum(it.volume_ml for it in meter.periods(x)) for x in ("hour", "day"))
        assert hours + state.hour.used_ml == days + state.day.used_ml
