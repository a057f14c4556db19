"""Rules of recurrence: what is taken recurs for ever in bounded time; the rest is refused, with why."""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta
from itertools import islice, pairwise

import pytest
from dateutil import rrule
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.errors import CommandRefused
from gateway.reminders.rule import MAX_COUNT, occurrences, parse_rule
from gateway.reminders.schedule import Schedule

START = datetime(2026, 1, 31, 8, 0)

TAKEN = [
    "FREQ=DAILY",
    "RRULE:FREQ=DAILY",
    "freq=daily;byhour=8,12,18;byminute=0",
    "FREQ=DAILY;INTERVAL=2;COUNT=10",
    "FREQ=DAILY;UNTIL=20271231",
    "FREQ=DAILY;UNTIL=20271231T120000",
    "FREQ=HOURLY",
    "FREQ=HOURLY;BYMINUTE=0,15,30,45",
    "FREQ=HOURLY;INTERVAL=6",
    "FREQ=HOURLY;BYHOUR=8,9,10;BYDAY=MO,TU",
    "FREQ=WEEKLY;BYDAY=MO,WE,FR",
    "FREQ=WEEKLY;INTERVAL=2;BYDAY=SU",
    "FREQ=MONTHLY",
    "FREQ=MONTHLY;INTERVAL=3",
    "FREQ=MONTHLY;BYDAY=2TU,-1FR",
    "FREQ=MONTHLY;BYMONTHDAY=-1",
    "FREQ=MONTHLY;INTERVAL=2;BYMONTHDAY=28",
    "FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=29",
    "FREQ=YEARLY",
    "FREQ=YEARLY;INTERVAL=4",
    "FREQ=YEARLY;BYMONTH=3,10;BYDAY=-1SU",
    "FREQ=YEARLY;BYMONTHDAY=1",
    "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=29",
    "FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=29;BYHOUR=3",
]


@pytest.mark.parametrize("text", TAKEN)
def test_taken(text):
    schedule = Schedule(START, text)
    assert schedule.recurs
    began = time.process_time()
    for wanted in (START, datetime(2040, 7, 1), datetime(2096, 3, 1)):
        found = list(islice(schedule._locals(wanted), 5))
        assert found == sorted(found)
        assert all(it >= wanted for it in found)
        if "COUNT" not in text and "UNTIL" not in text:
            assert len(found) == 5
    assert time.process_time() - began < 5  # the last years of 29 February are some 50,000 hours


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (" ", "no part of a rule"),
        ("DAILY", "no part of a rule"),
        ("FREQ=", "no part"),
        ("FREQ=DAILY;", "no part"),
        ("INTERVAL=2", "FREQ is ''"),
        ("FREQ=FORTNIGHTLY", "FREQ is 'FORTNIGHTLY'"),
        ("FREQ=SECONDLY", "every 15 min is the most often"),
        ("FREQ=MINUTELY", "every 15 min is the most often"),
        ("FREQ=MINUTELY;INTERVAL=60", "every 15 min"),
        ("FREQ=HOURLY;BYMINUTE=0,10", "recurs after 10 min"),
        ("FREQ=HOURLY;BYMINUTE=0,50", "recurs after 10 min"),
        ("FREQ=DAILY;BYHOUR=8,9;BYMINUTE=0,50", "recurs after 10 min"),
        ("FREQ=DAILY;BYHOUR=0,23;BYMINUTE=0,55", "recurs after 5 min"),
        ("FREQ=HOURLY;INTERVAL=2;BYMINUTE=0,5", "recurs after 5 min"),
        ("FREQ=DAILY;BYMINUTE=0,1,2,3", "recurs after 1 min"),
        ("FREQ=DAILY;BYSECOND=0", "'BYSECOND' is not taken"),
        ("FREQ=DAILY;BYSETPOS=1", "'BYSETPOS' is not taken"),
        ("FREQ=YEARLY;BYWEEKNO=1", "'BYWEEKNO' is not taken"),
        ("FREQ=YEARLY;BYEASTER=0", "'BYEASTER' is not taken"),
        ("FREQ=DAILY;FREQ=DAILY", "FREQ is given twice"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL is '0'"),
        ("FREQ=DAILY;INTERVAL=367", "INTERVAL is '367'"),
        ("FREQ=DAILY;INTERVAL=1,2", "INTERVAL has 2 values"),
        ("FREQ=DAILY;COUNT=0", "COUNT is '0'"),
        (f"FREQ=DAILY;COUNT={MAX_COUNT + 1}", "COUNT is '1001'"),
        ("FREQ=DAILY;COUNT=999999999999", "COUNT is '999999999999'"),
        ("FREQ=DAILY;COUNT=2;UNTIL=20270101", "do not go together"),
        ("FREQ=DAILY;UNTIL=20271231T120000Z", "UNTIL is '20271231T120000Z'"),
        ("FREQ=DAILY;UNTIL=20271331", "UNTIL is '20271331'"),
        ("FREQ=DAILY;BYHOUR=24", "BYHOUR is '24'"),
        ("FREQ=DAILY;BYHOUR=x", "BYHOUR is 'X'"),
        ("FREQ=DAILY;BYHOUR=٣", "BYHOUR is"),
        ("FREQ=DAILY;BYMINUTE=60", "BYMINUTE is '60'"),
        ("FREQ=MONTHLY;BYMONTHDAY=0", "BYMONTHDAY is '0'"),
        ("FREQ=MONTHLY;BYMONTHDAY=32", "BYMONTHDAY is '32'"),
        ("FREQ=YEARLY;BYMONTH=13", "BYMONTH is '13'"),
        ("FREQ=WEEKLY;BYDAY=XX", "BYDAY is 'XX'"),
        ("FREQ=MONTHLY;BYDAY=5MO", "BYDAY is '5MO'"),
        ("FREQ=MONTHLY;BYDAY=-5MO", "a fifth"),
        ("FREQ=MONTHLY;BYDAY=0MO", "BYDAY is '0MO'"),
        ("FREQ=WEEKLY;BYDAY=1MO", "is for MONTHLY and YEARLY"),
        ("FREQ=WEEKLY;BYMONTHDAY=1", "a weekly rule takes no BYMONTHDAY"),
        ("FREQ=MONTHLY;BYMONTHDAY=13;BYDAY=FR", "together are not taken"),
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "none of these months has a day 30"),
        ("FREQ=MONTHLY;BYMONTH=4,6;BYMONTHDAY=31,-31", "none of these months has a day 31"),
        ("FREQ=MONTHLY;BYMONTH=4", "none of these months has a day 31"),  # the start's
        ("FREQ=YEARLY;BYMONTH=2", "none of these months has a day 31"),
        ("FREQ=DAILY;INTERVAL=7;BYDAY=TU", "takes no BYDAY: it could miss it for ever"),
        ("FREQ=HOURLY;INTERVAL=2;BYHOUR=1", "takes no BYHOUR"),
        ("FREQ=YEARLY;INTERVAL=4;BYMONTHDAY=29;BYMONTH=2", "takes no BYMONTH, BYMONTHDAY"),
        ("FREQ=MONTHLY;INTERVAL=12;BYMONTHDAY=30", "could miss it for ever"),
        ("FREQ=DAILY;BYHOUR=" + ",".join(["1"] * 200), "a rule of"),
        ("FREQ=DAILY;BYHOUR=" + ",".join(["1"] * 65), "BYHOUR has 65 values"),
        ("FREQ=DAILY" + " " * 300, "a rule of 310 characters"),
    ],
    ids=lambda text: text[-50:],
)
def test_refused_with_a_reason(text, reason):
    began = time.process_time()
    with pytest.raises(CommandRefused) as refused:
        Schedule(START, text)
    assert reason in str(refused.value)
    assert len(str(refused.value)) < 250
    assert time.process_time() - began < 1


parts = st.fixed_dictionaries(
    {"FREQ": st.sampled_from(["HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY"])},
    optional={
        "INTERVAL": st.integers(1, 40).map(str),
        "BYHOUR": st.lists(st.integers(0, 23), min_size=1, max_size=3).map(
            lambda hours: ",".join(map(str, hours))
        ),
        "BYMINUTE": st.sampled_from(["0", "0,30", "5,20,35,50"]),
        "BYDAY": st.sampled_from(["MO", "TU,SU", "1MO", "-1FR,3WE"]),
        "BYMONTHDAY": st.sampled_from(["1", "-1", "15,31", "29", "30"]),
        "BYMONTH": st.sampled_from(["2", "4,6", "1,12", "2,3"]),
        "COUNT": st.integers(1, 200).map(str),
        "UNTIL": st.sampled_from(["20270630", "20300101T080000"]),
    },
)
starts = st.datetimes(datetime(2024, 1, 1), datetime(2027, 12, 31)).map(
    lambda at: at.replace(second=0, microsecond=0)
)


@example(
    {"FREQ": "DAILY", "UNTIL": "20270630", "BYMONTHDAY": "-1", "BYMONTH": "4,6"},
    datetime(2025, 1, 15, 0, 1),
    167,
)
@settings(max_examples=300)
@given(parts, starts, st.integers(0, 4000))
def test_begun_near_or_far_it_is_the_same(given_parts, start, days):
    """The short cut to the wanted time leaves nothing out and adds nothing."""
    text = ";".join(f"{name}={value}" for name, value in given_parts.items())
    try:
        Schedule(start, text)
    except CommandRefused:
        return
    wanted = start + timedelta(days=days)
    rule = parse_rule(text)
    near = list(islice(occurrences(rule, start, wanted).xafter(wanted, inc=True), 4))
    # A date alone is that whole day for us, and its first moment for dateutil.
    whole_day = re.sub(r"(UNTIL=\d{8})(?=;|\Z)", r"\1T235959", text)
    plain = rrule.rrulestr(whole_day, dtstart=start)
    assert near == list(islice(plain.xafter(wanted, inc=True), 4))
    if not {"COUNT", "UNTIL"} & given_parts.keys():
        assert len(near) == 4
        assert near[0] - wanted < timedelta(
            days=8 * 366 * (rule.interval if rule.frequency == "YEARLY" else 1) + 40 * 31
        )
    gaps = [later - earlier for earlier, later in pairwise(near)]
    assert all(gap >= timedelta(minutes=15) for gap in gaps)


@settings(max_examples=500)
@given(
    st.text(max_size=80) | st.from_regex(r"\AFREQ=[A-Z]{5,7}(;[A-Z]{2,10}=[-0-9A-Z,]{0,8}){0,3}\Z")
)
def test_whatever_it_is_it_is_taken_or_refused(text):
    try:
        Schedule(START, text or "x")
    except CommandRefused as refused:
        assert str(refused)
