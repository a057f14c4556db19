"""Alarms of a meter, its clock, and a meter in the place of another."""

from datetime import timedelta

import pytest
from line_faults import Faulty, late
from meter_bench import bench, values

from drivers.cjt188.driver import Cjt188Driver
from drivers.sim.meter_cjt188 import Cjt188Script, Impostor, VirtualCjt188Meter
from drivers.sim.water_flow import WaterFlow
from drivers.sim.wires import VirtualBus
from gateway.model import Kind, TimeQuality

FAST = {"poll": 0.03, "timeout": 0.5, "retries": 0}
ADDRESS = "78330011223344"
OTHER = "78330011223399"


def details(context):
    return [fault.detail for fault in context.of(Kind.FAULT)]


async def told(script, polls=3, **options):
    """What is told of a meter in its first polls."""
    with VirtualBus() as line:
        line.add(VirtualCjt188Meter(ADDRESS, script=script))
        async with bench(line.port) as b:
            context = b.start(Cjt188Driver, address=ADDRESS, **FAST, **options)
            await context.wait_until(lambda: len(context.of(Kind.MEASUREMENT)) >= polls)
    return context


async def test_a_sound_meter_has_no_faults():
    assert details(await told(Cjt188Script(), profile="kingda")) == []


@pytest.mark.parametrize(
    ("status", "name"),
    [
        ("0200", "valve_fault"),
        ("0400", "battery_low"),
        ("0008", "magnet"),
        ("0010", "counter_fault"),
    ],
)
async def test_an_alarm_is_told_once(status, name):
    context = await told(Cjt188Script(status=bytearray.fromhex(status)), profile="kingda")
    assert details(context) == [{"fault": name, "active": True}]
    assert values(context.of(Kind.MEASUREMENT)[0])[name] is True


async def test_bits_of_a_maker_mean_nothing_without_a_profile():
    context = await told(Cjt188Script(status=bytearray.fromhex("f8ff")))
    assert details(context) == []
    assert "magnet" not in values(context.observations[0])


async def test_a_short_answer_has_a_status_too():
    script = Cjt188Script(short=True, status=bytearray.fromhex("0408"))
    context = await told(script, profile="kingda")
    assert details(context) == [
        {"fault": "battery_low", "active": True},
        {"fault": "magnet", "active": True},
    ]
    assert "clock" not in values(context.observations[0])


@pytest.mark.usefixtures("faults_end_at_once")
async def test_an_alarm_that_is_over_is_told_once():
    script = Cjt188Script(status=bytearray.fromhex("0408"))
    with VirtualBus() as line:
        line.add(VirtualCjt188Meter(ADDRESS, script=script))
        async with bench(line.port) as b:
            context = b.start(Cjt188Driver, address=ADDRESS, profile="kingda", **FAST)
            await context.wait_until(lambda: len(details(context)) == 2)
            script.status[1] = 0
            await context.wait_until(lambda: len(details(context)) == 3)
            await context.wait_for(len(context.observations) + 2)
    assert details(context)[2:] == [{"fault": "magnet", "active": False}]


# --- the meter's clock --------------------------------------------------------------------------


@pytest.mark.parametrize("off", [timedelta(minutes=20), timedelta(hours=-8), timedelta(days=-3650)])
async def test_a_clock_that_is_wrong(off):
    (fault,) = details(await told(Cjt188Script(clock_off=off)))
    skew_s = fault.pop("skew_s")
    assert fault == {"fault": "clock", "active": True}
    assert skew_s == pytest.approx(off.total_seconds(), abs=5)


async def test_a_clock_within_the_limit():
    assert details(await told(Cjt188Script(clock_off=timedelta(minutes=-9)))) == []
    script = Cjt188Script(clock_off=timedelta(minutes=20))
    assert details(await told(script, clock_limit=1800)) == []


async def test_no_clock_is_judged_by_one_that_is_not_known(clock):
    clock.quality = TimeQuality.UNKNOWN
    assert details(await told(Cjt188Script(clock_off=timedelta(days=-3650)))) == []


# --- a meter in the place of another ------------------------------------------------------------


async def test_a_meter_that_was_changed_is_refused():
    with VirtualBus() as line:
        line.add(Impostor(VirtualCjt188Meter(ADDRESS), OTHER))
        async with bench(line.port) as b:
            context = b.start(Cjt188Driver, address=ADDRESS, **FAST)
            await context.wait_until(lambda: len(context.states) >= 2)
    state, reason = context.states[0]
    assert state == "offline"
    assert reason.startswith(f"meter {ADDRESS}: meter {OTHER} of type 0x10 answers instead; was")
    assert context.observations == []


async def test_a_neighbours_late_answer_is_not_a_changed_meter():
    """It is heard in our turn; ours comes after it, and is the one that counts."""
    slow = Faulty(VirtualCjt188Meter(OTHER, WaterFlow(total_litres=99_000)), late(0.6))
    with VirtualBus() as line:
        line.add(slow)
        line.add(Faulty(VirtualCjt188Meter(ADDRESS, WaterFlow(total_litres=11_000)), late(0.1)))
        async with bench(line.port) as b:
            context = b.start(Cjt188Driver, address=ADDRESS, **FAST | {"timeout": 3.0})
            b.start(Cjt188Driver, address=OTHER, **FAST)
            await context.wait_until(lambda: len(context.values("volume")) >= 5)
    assert set(context.values("volume")) == {11.0}
    assert {state for state, _ in context.states} == {"online"}
