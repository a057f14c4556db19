"""Hours of virtual meters behind a pseudo-terminal, by a clock that leaps; killed and started again."""

import asyncio
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import pytest
from meter_bench import bench
from stub_context import StubNotes

from drivers.cjt188.driver import Cjt188Driver
from drivers.modbus.driver import ModbusDriver
from drivers.sim.meter_cjt188 import VirtualCjt188Meter
from drivers.sim.meter_modbus import VirtualModbusMeter
from drivers.sim.water_flow import WaterFlow
from drivers.sim.wires import VirtualBus
from drivers.water import local_time, teller
from gateway.model import Kind, Stamp, TimeQuality

FAST = {"poll": 0.03, "timeout": 1.0, "retries": 0}
ADDRESS = "78330011223344"
MODBUS = (ModbusDriver, {"unit": 7, "profile": "xintai"})
CJT188 = (Cjt188Driver, {"address": ADDRESS})
BOVE = (ModbusDriver, {"unit": 8, "profile": "bove"})
BOOT_MS = 3_600_000


class LeapingClock:
    """Stands still at 10:58 local time until it leaps; the water runs by it."""

    def __init__(self):
        ten = local_time.hour_start(round(datetime(2026, 11, 25, 10, 30).timestamp() * 1000), None)
        self.start_ms = self.now_ms = ten + 58 * 60_000
        self.quality = TimeQuality.SYNCHRONISED

    def stamp(self):
        uptime_ms = BOOT_MS + self.now_ms - self.start_ms
        return Stamp(bytes(8), uptime_ms, self.now_ms, self.quality)

    def seconds(self):
        return self.now_ms / 1000

    async def leap(self, minutes, context):
        """Between two polls, until the meter was read at the new time."""
        seen = len(context.observations)
        await context.wait_for(seen + 1)
        self.now_ms += round(minutes * 60_000)
        await context.wait_for(len(context.observations) + 2)


@pytest.fixture
def clock(monkeypatch):
    clock = LeapingClock()
    monkeypatch.setattr(teller, "SystemClock", lambda: clock)
    return clock


@pytest.fixture
def flow(clock):
    return WaterFlow(600.0, 100_000.0, clock.seconds)  # 10 L a minute


@asynccontextmanager
async def wires(flow):
    with VirtualBus() as line:
        line.add(VirtualModbusMeter(7, "xintai", flow))
        line.add(VirtualModbusMeter(8, "bove", flow))
        line.add(VirtualCjt188Meter(ADDRESS, flow))
        yield line


def start(b, kind, notes=None):
    driver, options = kind
    context = b.start(driver, **options, **FAST)
    context.notes = notes or StubNotes()
    return context


def hours(context):
    return [
        (it, m.value)
        for it in context.of(Kind.MEASUREMENT)
        for m in it.measurements
        if m.name == "volume_hour"
    ]


@pytest.mark.parametrize("kind", [MODBUS, BOVE, CJT188], ids=["xintai", "bove", "cjt188"])
async def test_an_hour_is_told_when_it_is_over(clock, flow, kind):
    async with wires(flow) as line, bench(line.port) as b:
        context = start(b, kind)
        await context.wait_for(1)
        for _ in range(14):  # to 12:08
            await clock.leap(5, context)
        (first, part), (hour, volume) = hours(context)
    assert part == pytest.approx(0.02, abs=0.01)
    assert first.detail["complete"] is False
    assert volume == pytest.approx(0.6, abs=0.002)
    assert hour.detail == {
        "from": local_time.written(clock.start_ms + 2 * 60_000, None),
        "to": local_time.written(clock.start_ms + 62 * 60_000, None),
        "complete": True,
        "first": pytest.approx(100.02, abs=0.01),
        "last": pytest.approx(100.62, abs=0.01),
    }
    assert hour.uptime_ms == BOOT_MS + 62 * 60_000
    assert not context.of(Kind.FAULT)


async def test_no_hour_is_told_before_the_clock_is_known(clock, flow):
    clock.quality = TimeQuality.UNKNOWN
    async with wires(flow) as line, bench(line.port) as b:
        context = start(b, MODBUS)
        await context.wait_for(1)
        for _ in range(14):
            await clock.leap(5, context)
        assert not hours(context)
        clock.quality = TimeQuality.SYNCHRONISED
        await context.wait_until(lambda: len(hours(context)) == 2)
    assert [value for _, value in hours(context)] == pytest.approx([0.02, 0.6])


async def kill(b, context):
    """The driver and all that it shares are gone, and nothing of it gets a chance to write."""
    context.task.cancel()
    await asyncio.gather(context.task, return_exceptions=True)
    del context.shared_objects[f"water:{context.device}"]


@pytest.mark.parametrize("gently", [False, True])
async def test_killed_and_started_again_with_its_notes(clock, flow, gently):
    async with wires(flow) as line:
        async with bench(line.port) as b:
            context = start(b, MODBUS)
            await context.wait_for(1)
            for _ in range(6):  # to 11:28
                await clock.leap(5, context)
            notes = context.notes
            if not gently:
                await kill(b, context)
        clock.now_ms += 20 * 60_000
        async with bench(line.port) as b:
            again = start(b, MODBUS, notes)
            await again.wait_for(1)
            for _ in range(3):  # to 12:03
                await clock.leap(5, again)
    ((hour, volume),) = hours(again)
    assert (volume, hour.detail["complete"]) == (pytest.approx(0.6), True)
    assert len(hours(context)) == 1
    assert not context.of(Kind.FAULT) + again.of(Kind.FAULT)


async def test_a_stop_notes_when_the_last_reading_was(clock, flow):
    async with wires(flow) as line:
        async with bench(line.port) as b:
            context = start(b, MODBUS)
            await context.wait_for(1)
            await clock.leap(1, context)
        clock.now_ms += 5 * 60_000  # 11:04, after the border
        async with bench(line.port) as b:
            again = start(b, MODBUS, context.notes)
            await again.wait_until(lambda: hours(again))
    ((hour, volume),) = hours(again)
    assert volume == pytest.approx(0.02)
    assert datetime.fromisoformat(hour.detail["covered_to"]) - datetime.fromisoformat(
        hour.detail["covered_from"]
    ) == timedelta(minutes=2)


async def test_a_pulled_adapter_forgets_no_reading(clock, flow):
    async with wires(flow) as line, bench(line.port) as b:
        context = start(b, MODBUS)
        await context.wait_for(1)
        await clock.leap(1, context)
        line.unplug()
        await context.wait_until(lambda: context.states[-1][0] == "offline")
        line.plug_in()
        clock.now_ms += 5 * 60_000
        await context.wait_until(lambda: hours(context))
    assert [value for _, value in hours(context)] == pytest.approx([0.02])


async def test_a_swapped_meter(clock, flow):
    meter = VirtualModbusMeter(7, "xintai", flow)
    with VirtualBus() as line:
        line.add(meter)
        async with bench(line.port) as b:
            context = start(b, MODBUS)
            await context.wait_for(1)
            meter.flow = WaterFlow(600.0, 40_000.0, clock.seconds)
            await context.wait_until(lambda: len(context.of(Kind.FAULT)) == 3)
            await clock.leap(4, context)
    told = [it.detail["fault"] for it in context.of(Kind.FAULT)]
    assert told == ["volume_implausible", "volume_implausible", "volume_swapped"]
    assert context.of(Kind.FAULT)[-1].detail == {
        "fault": "volume_swapped",
        "active": True,
        "was": 100.0,
        "is": 40.0,
    }
    assert [value for _, value in hours(context)] == pytest.approx([0.02])


async def test_a_counter_that_is_withheld_is_none(clock):
    meter = VirtualModbusMeter(7, "xintai", WaterFlow(0, 2e10))
    with VirtualBus() as line:
        line.add(meter)
        async with bench(line.port) as b:
            context = start(b, MODBUS)
            await context.wait_for(3)
            assert not [key for key in context.shared_objects if key.startswith("water:")]
