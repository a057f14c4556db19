"""A virtual week, through outages, restarts and changes of the clock: each rings exactly once."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reminding_home import Home, pill
from virtual_clock import at_ms

from gateway.model import TimeQuality
from gateway.reminders.schedule import Schedule

BERLIN, SHANGHAI = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Shanghai")
MINUTE, HOUR, DAY = 60, 3600, 86_400

REMINDERS = [
    pill(id="morning"),
    pill(id="thrice", start="2026-01-01T00:00:00", rule="FREQ=DAILY;BYHOUR=7,13,19;BYMINUTE=30"),
    pill(id="night", start="2026-01-01T02:30:00"),  # the hour that is skipped, or comes twice
    pill(id="hourly", start="2026-01-01T00:10:00", rule="FREQ=HOURLY", repeats=0, repeat_s=60),
    pill(id="visit", kind="appointment", ack=False, rule="FREQ=WEEKLY;BYDAY=TH,MO"),
    pill(id="wake", kind="alarm", start="2026-01-01T06:45:00", rule="FREQ=DAILY;INTERVAL=2"),
]


def expected(home: Home, begin_ms: int) -> Counter[tuple[str, str]]:
    """Every occurrence from then to now, once each, as instants that differ."""
    found: Counter[tuple[str, str]] = Counter()
    for item in REMINDERS:
        schedule = Schedule(datetime.fromisoformat(item["start"]), item["rule"])
        until = takewhile(
            lambda it: it.at_ms <= home.clock.wall_ms, schedule.after(begin_ms, home.time)
        )
        found.update((item["id"], it.local.isoformat()) for it in until)
    return found


WEEKS = {
    "Berlin, to summer time": ("2027-03-25T05:00", BERLIN),
    "Berlin, from summer time": ("2027-10-28T05:00", BERLIN),
    "Shanghai": ("2027-03-25T05:00", SHANGHAI),
}


@pytest.mark.parametrize(("begin", "zone"), WEEKS.values(), ids=WEEKS)
async def test_a_week_across_an_outage_a_restart_and_a_change_of_the_clock(tmp_path, begin, zone):
    home = Home(tmp_path / "reminders.json", begin, zone)
    await home.bell.set_all(REMINDERS)
    began_ms = home.clock.wall_ms
    await home.live(1.3 * DAY)
    home.clock.unsynchronise()  # the line is down for two days
    await home.live(2 * DAY - 7 * MINUTE)
    home.restart()
    await home.live(HOUR)
    home.clock.quality = TimeQuality.SYNCHRONISED
    home.clock.step_s(4)  # what it was off by meanwhile
    await home.live(HOUR)
    home.power_cut(20 * MINUTE)
    await home.live(3 * DAY)
    assert home.rung() == expected(home, began_ms)
    assert max(home.rung().values()) == 1
    assert home.of("not_rung") == []
    assert sum(home.rung().values()) > 150 + 6


async def test_the_night_of_the_change_to_summer_time(tmp_path):
    home = Home(tmp_path / "reminders.json", "2027-03-28T01:00", BERLIN)
    await home.bell.set_all([pill(start="2027-01-01T02:30:00", repeats=0)])
    await home.live_until("2027-03-28T03:29", 30)
    assert home.events == []
    await home.live_until("2027-03-28T03:30", 30)
    assert home.of("rung") == ["2027-03-28T02:30:00"]
    await home.live_until("2027-03-29T02:31")
    assert home.of("rung") == ["2027-03-28T02:30:00", "2027-03-29T02:30:00"]


async def test_the_night_of_the_change_from_summer_time(tmp_path):
    home = Home(tmp_path / "reminders.json", "2027-10-31T01:00", BERLIN)
    await home.bell.set_all([pill(start="2027-01-01T02:30:00", repeats=0)])
    await home.live(1.5 * HOUR, 30)  # 2:30 for the first time
    assert home.of("rung") == ["2027-10-31T02:30:00"]
    home.power_cut(10 * MINUTE)
    await home.live(3 * HOUR, 30)  # and for the second
    assert home.of("rung") == ["2027-10-31T02:30:00"]


actions = st.lists(
    st.one_of(
        st.tuples(st.just("live"), st.integers(1, 700)),  # min
        st.tuples(st.just("off"), st.integers(1, 400)),  # min
        st.tuples(st.just("restart"), st.just(0)),
        st.tuples(st.just("press"), st.just(0)),
        st.tuples(st.just("step"), st.integers(-40, 40)),  # min
        st.tuples(st.just("no time server"), st.just(0)),
        st.tuples(st.just("time server"), st.just(0)),
        st.tuples(st.just("set again"), st.just(0)),
    ),
    max_size=14,
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(actions, st.sampled_from([*WEEKS.values()]))
async def test_whatever_happens_each_rings_once_or_is_told(tmp_path_factory, steps, week):
    """Steps of the clock may let one be told as missed first; it never rings twice, nor is lost."""
    begin, zone = week
    home = Home(tmp_path_factory.mktemp("week") / "r.json", begin, zone)
    await home.bell.set_all(REMINDERS)
    began_ms = furthest_ms = home.clock.wall_ms
    for action, amount in steps:
        if action == "live":
            await home.live(amount * MINUTE, 300)
        elif action == "off":
            home.power_cut(amount * MINUTE)
        elif action == "restart":
            home.restart()
        elif action == "press":
            home.bell.acknowledge("key")
        elif action == "step":
            home.clock.step_s(amount * MINUTE)
        elif action == "no time server":
            home.clock.unsynchronise()
        elif action == "time server":
            home.clock.quality = TimeQuality.SYNCHRONISED
        else:
            await home.bell.set_all(REMINDERS)
        furthest_ms = max(furthest_ms, home.clock.wall_ms)
    home.clock.quality = TimeQuality.SYNCHRONISED
    home.clock.pass_s(max(0, furthest_ms - home.clock.wall_ms) / 1000)
    await home.live(7 * HOUR, 300)
    rung = home.rung()
    assert max(rung.values(), default=0) <= 1
    missed = 0
    for event in home.events:
        missed += event.get("missed", 0)
    lost = expected(home, began_ms) - rung
    assert sum(lost.values()) <= missed
    ends = Counter(
        (it["reminder"], it["occurrence"]) for it in home.events if "taken" in it["state"]
    )
    assert max(ends.values(), default=0) <= 1
    assert set(ends) <= set(rung)


def test_the_weeks_are_what_they_say():
    for begin, zone in WEEKS.values():
        week = timedelta(days=7)
        at = datetime.fromisoformat(begin)
        hours = (at_ms((at + week).isoformat(), zone) - at_ms(begin, zone)) / 3_600_000
        changes = {BERLIN: {167, 169}, SHANGHAI: {168}}[zone]
        assert hours in changes
