"""Monthly totals: read once a month, each told once, told before noted."""

from datetime import datetime, timedelta

import pytest
from meter_bench import bench
from stub_context import StubContext

from drivers.cjt188.driver import Cjt188Driver
from drivers.cjt188.months import TOLD, Months
from drivers.sim.meter_cjt188 import Cjt188Script, VirtualCjt188Meter
from drivers.sim.wires import VirtualBus
from gateway.errors import DecodeError, DeviceRefused, DeviceSilent, JournalWriteFailed, LinkLost
from gateway.model import Kind, Measurement, TimeQuality

NOW = datetime(2026, 11, 26, 12, 0)
FAST = {"poll": 0.03, "timeout": 0.3, "retries": 0}
ADDRESS = "78330011223344"


class Meter:
    """Totals, or what it raises, the last month first; refuses beyond."""

    def __init__(self, *totals):
        self.totals = totals
        self.asked = []

    async def read(self, back):
        self.asked.append(back)
        if back > len(self.totals):
            raise DeviceRefused("no more")
        total = self.totals[back - 1]
        if isinstance(total, Exception):
            raise total
        return total


def months_of(meter, context):
    return Months(context, meter.read)


def told(context):
    return [(it.detail["month"], it.measurements[0].value) for it in context.observations]


async def test_the_first_contact_tells_all_there_are_oldest_first():
    context, meter = StubContext(), Meter(3.0, 2.0, 1.0)
    await months_of(meter, context).run(NOW, NOW)
    assert told(context) == [("2026-08", 1.0), ("2026-09", 2.0), ("2026-10", 3.0)]
    assert context.observations[0].measurements == (Measurement("volume_month", 1.0, "m3"),)
    assert context.observations[0].kind is Kind.MEASUREMENT
    assert context.notes.values == {TOLD: "2026-10"}


async def test_at_most_a_year():
    context, meter = StubContext(), Meter(*[float(n) for n in range(20)])
    await months_of(meter, context).run(NOW, NOW)
    assert meter.asked == list(range(1, 13))
    assert told(context)[0] == ("2025-11", 11.0)


async def test_once_a_month():
    context, meter = StubContext(), Meter(3.0)
    months = months_of(meter, context)
    for day in range(3):
        await months.run(NOW + timedelta(days=day), NOW + timedelta(days=day))
    assert meter.asked == [1, 2]
    meter.totals = (4.0, 3.0)
    later = datetime(2026, 12, 1, 0, 5)
    await months.run(later, later)
    assert meter.asked[2:] == [1]
    assert told(context) == [("2026-10", 3.0), ("2026-11", 4.0)]


async def test_a_restart_tells_nothing_again():
    context, meter = StubContext(), Meter(3.0)
    context.notes.values[TOLD] = "2026-10"
    await months_of(meter, context).run(NOW, NOW)
    assert (context.observations, meter.asked) == ([], [])


async def test_over_new_year():
    context, meter = StubContext(), Meter(3.0, 2.0, 1.0)
    context.notes.values[TOLD] = "2026-10"
    january = datetime(2027, 1, 2)
    await months_of(meter, context).run(january, january)
    assert told(context) == [("2026-11", 2.0), ("2026-12", 3.0)]


@pytest.mark.parametrize("note", ["", "x", "2026", "2026-", "-", 5, True])
async def test_a_broken_note_is_none(note):
    context, meter = StubContext(), Meter(3.0)
    context.notes.values[TOLD] = note
    await months_of(meter, context).run(NOW, NOW)
    assert told(context) == [("2026-10", 3.0)]


@pytest.mark.parametrize(
    ("now", "meter_now"),
    [(None, NOW), (NOW, None), (NOW, NOW.replace(month=10)), (NOW, NOW.replace(year=2016))],
)
async def test_no_month_is_told_while_it_is_not_sure_which(now, meter_now):
    context, meter = StubContext(), Meter(3.0)
    await months_of(meter, context).run(now, meter_now)
    assert (context.observations, meter.asked) == ([], [])


async def test_absurd_months_are_passed_over():
    context, meter = StubContext(), Meter(3.0, None, 1.0)
    await months_of(meter, context).run(NOW, NOW)
    assert told(context) == [("2026-08", 1.0), ("2026-10", 3.0)]


@pytest.mark.parametrize("error", [DeviceSilent("no answer"), DecodeError("noise")])
async def test_silence_is_believed_at_the_third_poll(error):
    context, meter = StubContext(), Meter(3.0, error)
    months = months_of(meter, context)
    for tries in (1, 2):
        await months.run(NOW, NOW)
        assert (context.observations, len(meter.asked)) == ([], 2 * tries)
    await months.run(NOW, NOW)
    assert told(context) == [("2026-10", 3.0)]


async def test_a_meter_without_months_is_asked_once_a_month():
    context, meter = StubContext(), Meter()
    months = months_of(meter, context)
    for _ in range(3):
        await months.run(NOW, NOW)
    assert meter.asked == [1]
    assert context.notes.values == {}


async def test_a_lost_port_is_passed_on():
    context = StubContext()
    with pytest.raises(LinkLost):
        await months_of(Meter(LinkLost("gone")), context).run(NOW, NOW)


async def test_flash_that_refuses_does_not_stop_the_meter():
    context, meter = StubContext(), Meter(3.0)
    context.notes.refusal = JournalWriteFailed("read-only")
    months = months_of(meter, context)
    await months.run(NOW, NOW)
    await months.run(NOW, NOW)
    assert told(context) == [("2026-10", 3.0)]
    assert context.notes.values == {}


async def test_it_is_noted_only_when_it_is_durable():
    context, meter = StubContext(), Meter(3.0)
    order = []
    emit, put = context.emit, context.notes.put

    class Receipt:
        def __init__(self, receipt):
            self.receipt = receipt

        def __await__(self):
            order.append("durable")
            return self.receipt.__await__()

    async def noting(values):
        order.append("noted")
        await put(values)

    context.emit = lambda observation: Receipt(emit(observation))
    context.notes.put = noting
    await months_of(meter, context).run(NOW, NOW)
    assert order == ["durable", "noted"]


# --- from the wire ------------------------------------------------------------------------------


def of_months(context):
    return [it for it in context.of(Kind.MEASUREMENT) if "month" in it.detail]


@pytest.mark.parametrize("order", ["low-first", "high-first"])
@pytest.mark.parametrize("silent_beyond", [False, True])
async def test_from_the_wire(order, silent_beyond):
    script = Cjt188Script(orders=(order,), months=[123_450, 111_110], silent_beyond=silent_beyond)
    with VirtualBus() as line:
        line.add(VirtualCjt188Meter(ADDRESS, script=script))
        async with bench(line.port) as b:
            context = b.start(Cjt188Driver, address=ADDRESS, **FAST)
            await context.wait_until(lambda: len(of_months(context)) == 2)
            await context.wait_for(len(context.observations) + 3)
    assert [it.measurements[0].value for it in of_months(context)] == [111.11, 123.45]
    assert context.states[-1][0] == "online"


async def test_not_while_the_gateway_does_not_know_the_time(clock):
    clock.quality = TimeQuality.UNKNOWN
    with VirtualBus() as line:
        line.add(VirtualCjt188Meter(ADDRESS, script=Cjt188Script(months=[123_450])))
        async with bench(line.port) as b:
            context = b.start(Cjt188Driver, address=ADDRESS, **FAST)
            await context.wait_until(lambda: len(context.values("volume")) >= 3)
            assert of_months(context) == []
            clock.quality = TimeQuality.ANCHORED
            await context.wait_until(lambda: len(of_months(context)) == 1)
