"""The driver on the virtual radio, with bands that measured while nobody listened."""

from datetime import UTC, datetime, timedelta

import pytest
from band_bench import ADDRESS, SetClock, driven, settings

from drivers.sim.band_colmi import VirtualColmi
from drivers.sim.band_fff0 import VirtualFff0
from drivers.wristband import driver as band_driver
from drivers.wristband.backfill import LIVE, MET
from drivers.wristband.wire.fff0 import BATTERY, NOTIFY, SOS, WRITE
from drivers.wristband.wire.fff0_record import HEART_RATE
from drivers.wristband.wire.frame import encode_frame
from gateway.clock import uptime_now_ms
from gateway.model import Kind

MOMENT = datetime(2026, 11, 25, 18, 42, 7, tzinfo=UTC)
LOCAL = MOMENT.astimezone().replace(tzinfo=None)


@pytest.fixture(autouse=True)
def gateway_knows_the_time(monkeypatch):
    monkeypatch.setattr(band_driver, "SystemClock", lambda: SetClock(MOMENT))


@pytest.fixture
async def fff0(air):
    band = VirtualFff0(air, ADDRESS)
    await band.power_on()
    return band


@pytest.fixture
def met(context):
    """Hearth has known the band for two days."""
    context.notes.values[MET] = (LOCAL - timedelta(days=2)).isoformat()


def stored(context, name):
    """Values told of the past, and how many minutes ago they were."""
    now_ms = uptime_now_ms()
    return [
        (round((now_ms - seen.uptime_ms) / 60_000), measured.value)
        for seen in context.of(Kind.MEASUREMENT)
        if seen.detail.get("stored")
        for measured in seen.measurements
        if measured.name == name
    ]


async def test_what_an_fff0_band_stored_is_told_once_and_deleted_there(adapter, fff0, context, met):
    wanted = [(minutes, 60 + minutes % 40) for minutes in range(200, 100, -1)]
    for minutes, rate in wanted:
        fff0.store(LOCAL - timedelta(minutes=minutes), rate=rate)
    fff0.store(LOCAL - timedelta(minutes=90), celsius=36.6, spo2=97)
    async with driven(settings(adapter), context):
        await context.wait_until(lambda: len(stored(context, "body_temperature")) == 1)
        await fff0.drop()
        await context.wait_until(lambda: len(context.states) >= 3)  # and back
        await fff0.measured()
        await context.wait_until(lambda: context.values("steps"))
    assert stored(context, "heart_rate") == wanted
    assert stored(context, "spo2") == [(90, 97)]
    assert stored(context, "body_temperature") == [(90, 36.6)]
    assert fff0.stored.count(HEART_RATE) == 0
    assert not context.of(Kind.FAULT)


async def test_an_absence_is_filled_and_what_was_told_live_is_not_told_again(
    adapter, fff0, context, met
):
    async with driven(settings(adapter), context):
        await fff0.wait_written(WRITE, bytes([BATTERY]))  # which comes after the past
        await fff0.measured()
        await context.wait_until(lambda: context.values("steps"))
    assert context.notes.get(LIVE), "noted at the end of the session"
    context.notes.values[LIVE] = (LOCAL - timedelta(minutes=60)).isoformat()
    fff0.store(LOCAL - timedelta(minutes=61), rate=61)  # this was heard live, too
    fff0.store(LOCAL - timedelta(minutes=30), rate=62)
    async with driven(settings(adapter), context):
        await context.wait_until(lambda: stored(context, "heart_rate"))
    assert stored(context, "heart_rate") == [(30, 62)]


async def test_a_link_that_is_lost_half_way_costs_nothing_and_tells_nothing_twice(
    adapter, air, fff0, context, met
):
    for minutes in range(1, 61):
        fff0.store(LOCAL - timedelta(minutes=minutes), rate=60 + minutes)
    answer, answers = fff0.stored.answer, []

    def drops_once(request):
        answers.append(request)
        pages = answer(request)
        if len(answers) == 1:
            air.cut(ADDRESS)
            return pages[:1]
        return pages

    fff0.stored.answer = drops_once
    async with driven(settings(adapter), context):
        await context.wait_until(lambda: len(stored(context, "heart_rate")) == 60)
    assert stored(context, "heart_rate") == [(m, 60 + m) for m in range(60, 0, -1)]


async def test_an_sos_comes_first_also_while_the_past_is_read(adapter, fff0, context, met):
    for minutes in range(1, 601):
        fff0.store(LOCAL - timedelta(minutes=minutes), rate=70)
    answer = fff0.stored.answer

    def pressed_in_between(request):
        fff0.tell(NOTIFY, encode_frame(SOS))
        return answer(request)

    fff0.stored.answer = pressed_in_between
    async with driven(settings(adapter), context):
        await context.wait_until(lambda: len(stored(context, "heart_rate")) == 600)
    assert len(context.of(Kind.CALL)) == 1, "pressed again and again, within seconds"
    first = next(seen for seen in context.observations if "stored" in seen.detail)
    assert context.observations.index(context.of(Kind.CALL)[0]) < context.observations.index(first)


async def test_garbled_history_is_a_fault_and_the_band_is_served_all_the_same(
    adapter, fff0, context, met
):
    fff0.store(LOCAL - timedelta(minutes=5), rate=70)
    fff0.stored.garbled = True
    async with driven(settings(adapter), context):
        await context.wait_until(lambda: context.of(Kind.FAULT))
        await fff0.measured()
        await context.wait_until(lambda: context.values("steps"))
    assert context.of(Kind.FAULT)[0].detail["fault"] == "history"
    assert stored(context, "heart_rate") == []
    assert fff0.stored.count(HEART_RATE) == 1, "it keeps what was not understood"


async def test_a_ring_is_asked_for_its_log(adapter, air, context, met):
    ring = VirtualColmi(air, ADDRESS)
    await ring.power_on()
    slot = LOCAL.replace(minute=LOCAL.minute // 5 * 5, second=0)
    times = [slot - timedelta(minutes=5 * n) for n in range(400, 0, -1)]  # a day and a half
    for n, at in enumerate(times):
        ring.store(at, rate=60 + n % 60)
    async with driven(settings(adapter), context):
        await context.wait_until(lambda: len(stored(context, "heart_rate")) == 400)
        await ring.drop()
        await context.wait_until(lambda: len(context.states) >= 3)
    assert [rate for _, rate in stored(context, "heart_rate")] == [60 + n % 60 for n in range(400)]
