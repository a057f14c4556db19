"""Faults of an M-Bus meter: its status byte, and its clock."""

from datetime import timedelta

import pytest
from mbus_faults import faults
from meter_bench import bench, values

from drivers.mbus.driver import MbusDriver
from drivers.sim.meter_mbus import MbusScript, VirtualMbusMeter
from drivers.sim.wires import VirtualBus
from gateway.model import Kind, TimeQuality

FAST = {"poll": 0.03, "timeout": 0.5, "retries": 0}
METER = "12345678.KAM.01.07"


async def told(polls=3, options=None, **script):
    """What is told of a meter in its first polls."""
    with VirtualBus() as line:
        line.add(VirtualMbusMeter(METER, 5, script=MbusScript(**script)))
        async with bench(line.port) as b:
            context = b.start(MbusDriver, address=5, **FAST, **options or {})
            await context.wait_until(lambda: len(context.of(Kind.MEASUREMENT)) >= polls)
    return context


async def test_a_sound_meter_has_no_faults():
    assert faults(await told()) == []


@pytest.mark.parametrize(
    ("status", "names"),
    [
        (0x04, ["battery_low"]),
        (0x08, ["permanent_error"]),
        (0x10, ["temporary_error"]),
        (0x02, ["application_error"]),
        (0x03, ["alarm"]),
        (0x0C, ["battery_low", "permanent_error"]),
        (0xE1, []),
    ],
)
async def test_an_alarm_is_told_once(status, names):
    context = await told(status=status)
    assert faults(context) == [{"fault": name, "active": True} for name in names]
    seen = values(context.of(Kind.MEASUREMENT)[0])
    assert (seen["status"], seen["battery_low"]) == (status, "battery_low" in names)


@pytest.mark.usefixtures("faults_end_at_once")
async def test_an_alarm_that_is_over_is_told_once():
    script = MbusScript(status=0x14)
    with VirtualBus() as line:
        line.add(VirtualMbusMeter(METER, 5, script=script))
        async with bench(line.port) as b:
            context = b.start(MbusDriver, address=5, **FAST)
            await context.wait_until(lambda: len(faults(context)) == 2)
            script.status = 0x04
            await context.wait_until(lambda: len(faults(context)) == 3)
            seen = len(context.of(Kind.MEASUREMENT))
            await context.wait_until(lambda: len(context.of(Kind.MEASUREMENT)) >= seen + 2)
    assert faults(context)[2:] == [{"fault": "temporary_error", "active": False}]


@pytest.mark.parametrize("off", [timedelta(minutes=20), timedelta(hours=-8), timedelta(days=-3650)])
async def test_a_clock_that_is_wrong(off):
    (fault,) = faults(await told(clock_off=off))
    skew_s = fault.pop("skew_s")
    assert fault == {"fault": "clock", "active": True}
    # It tells no seconds, so up to a minute is lost.
    assert off.total_seconds() - 65 <= skew_s <= off.total_seconds() + 5


async def test_a_clock_within_the_limit():
    assert faults(await told(clock_off=timedelta(minutes=-8))) == []
    context = await told(clock_off=timedelta(minutes=20), options={"clock_limit": 1800})
    assert faults(context) == []


async def test_no_clock_is_judged_by_one_that_is_not_known(clock):
    clock.quality = TimeQuality.UNKNOWN
    assert faults(await told(clock_off=timedelta(days=-3650))) == []


async def test_a_meter_without_a_clock():
    assert faults(await told(records=[bytes.fromhex("041301000000")])) == []


async def test_a_clock_that_says_it_is_invalid_is_withheld_and_not_judged():
    context = await told(records=[bytes.fromhex("046d b2178f16")])
    (fault,) = faults(context)
    assert fault == {
        "fault": "withheld",
        "active": True,
        "clock": "the meter says that its time is invalid",
    }
