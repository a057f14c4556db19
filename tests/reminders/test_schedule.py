"""From local times to instants, through changes to summer time and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st
from virtual_clock import VirtualClock, at_ms

from gateway.reminders.schedule import Schedule
from gateway.timekeeper import Timekeeper

BERLIN, SHANGHAI = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Shanghai")


def keeper(zone) -> Timekeeper:
    return Timekeeper(VirtualClock("2026-01-01T00:00", zone), zone)


def instants(rule: str, start: str, begin: str, end: str, zone=BERLIN) -> list[tuple[str, str]]:
    """Local time as the rule says it, and what a clock shows then, of (begin, end]."""
    time = keeper(zone)
    schedule = Schedule(datetime.fromisoformat(start), rule)
    found = takewhile(
        lambda it: it.at_ms <= at_ms(end, zone), schedule.after(at_ms(begin, zone), time)
    )
    return [
        (
            it.local.strftime("%d %H:%M"),
            datetime.fromtimestamp(it.at_ms / 1000, zone).strftime("%d %H:%M %Z"),
        )
        for it in found
    ]


def test_a_time_that_spring_skips_is_as_much_later():
    assert instants("FREQ=DAILY", "2027-01-01T02:30", "2027-03-27T12:00", "2027-03-29T12:00") == [
        ("28 02:30", "28 03:30 CEST"),
        ("29 02:30", "29 02:30 CEST"),
    ]


def test_a_time_that_autumn_has_twice_is_once_and_first():
    assert instants("FREQ=DAILY", "2027-01-01T02:30", "2027-10-30T12:00", "2027-11-01T12:00") == [
        ("31 02:30", "31 02:30 CEST"),
        ("01 02:30", "01 02:30 CET"),
    ]


def test_hourly_through_spring_is_once_an_hour():
    shown = instants("FREQ=HOURLY", "2027-01-01T00:30", "2027-03-28T00:45", "2027-03-28T05:00")
    assert [show for _, show in shown] == [
        "28 01:30 CET", "28 03:30 CEST", "28 04:30 CEST"
    ]  # fmt: skip


def test_each_quarter_of_an_hour_through_spring_is_in_order_and_never_twice():
    shown = instants(
        "FREQ=HOURLY;BYMINUTE=0,15,30,45",
        "2027-01-01T00:00",
        "2027-03-28T01:30",
        "2027-03-28T04:00",
    )
    assert [show[3:8] for _, show in shown] == [
        "01:45", "03:00", "03:15", "03:30", "03:45", "04:00"
    ]  # fmt: skip


def test_where_the_clock_moves_by_half_an_hour_they_come_in_the_order_of_their_instants():
    """2:20 becomes 2:50, and 2:40 stays: the later one comes first."""
    shown = instants(
        "FREQ=HOURLY;BYMINUTE=0,20,40",
        "2027-01-01T00:00",
        "2027-10-03T01:30",
        "2027-10-03T03:20",
        ZoneInfo("Australia/Lord_Howe"),
    )
    assert [show[3:8] for _, show in shown] == [
        "01:40",
        "02:30",
        "02:40",
        "02:50",
        "03:00",
        "03:20",
    ]


def test_once_is_once():
    assert instants("", "2027-03-28T02:30", "2027-03-01T00:00", "2030-01-01T00:00") == [
        ("28 02:30", "28 03:30 CEST")
    ]
    assert instants("", "2027-03-28T02:30", "2027-03-28T04:00", "2030-01-01T00:00") == []


def test_an_end_is_an_end():
    assert (
        len(
            instants(
                "FREQ=DAILY;COUNT=3", "2027-01-01T08:00", "2026-01-01T00:00", "2030-01-01T00:00"
            )
        )
        == 3
    )
    shown = instants(
        "FREQ=DAILY;UNTIL=20270103T080000",
        "2027-01-01T08:00",
        "2027-01-01T08:00",
        "2030-01-01T00:00",
    )
    assert [local for local, _ in shown] == ["02 08:00", "03 08:00"]


@given(
    st.sampled_from([BERLIN, SHANGHAI, ZoneInfo("Australia/Lord_Howe"), ZoneInfo("America/St_Johns")]),
    st.sampled_from(["FREQ=DAILY", "FREQ=HOURLY;BYMINUTE=0,30", "FREQ=WEEKLY;BYDAY=SU", "FREQ=HOURLY;INTERVAL=5"]),
    st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1)),
    st.integers(0, 24 * 60 - 1),
)  # fmt: skip
def test_instants_only_go_forward_and_none_is_left_out(zone, rule, after, minute):
    time = keeper(zone)
    after_ms = round(after.replace(tzinfo=UTC).timestamp() * 1000)
    schedule = Schedule(datetime(2025, 1, 1, minute // 60, minute % 60), rule)
    found = list(islice(schedule.after(after_ms, time), 60))
    assert found[0].at_ms > after_ms
    assert all(earlier.at_ms < later.at_ms for earlier, later in pairwise(found))
    begin = time.local(after_ms) - timedelta(hours=6)
    every = {time.instant_ms(local) for local in islice(schedule._locals(begin), 90)}
    assert {it.at_ms for it in found} == {it for it in every if after_ms < it <= found[-1].at_ms}
