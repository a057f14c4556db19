"""The valve: only with permission, only the right meter's, and believed only when it is read back."""

from contextlib import asynccontextmanager

import msgspec
import pytest
from line_faults import Faulty, mute
from stub_context import StubContext

from drivers.cjt188 import driver as driver_module
from drivers.cjt188 import wire
from drivers.cjt188.driver import Cjt188Driver, Cjt188Settings
from drivers.sim.meter_cjt188 import Cjt188Script, Impostor, VirtualCjt188Meter
from drivers.sim.wires import VirtualBus
from gateway.errors import DeviceRefused, DeviceSilent, DriverError
from gateway.settings import BusSettings

ADDRESS = "78330011223344"
CLOSED = 0x01


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(driver_module, "VALVE_TURN_S", 2.0)
    monkeypatch.setattr(driver_module, "VALVE_LOOK_S", 0.02)


@asynccontextmanager
async def driving(meter, **options):
    """A driver that may turn the valve, and a line with one meter."""
    with VirtualBus() as line:
        line.add(meter)
        context = StubContext("meter", BusSettings("wires", line.port))
        options = {"address": ADDRESS, "valve": True, "timeout": 0.5, **options}
        yield Cjt188Driver(msgspec.convert(options, Cjt188Settings), context)
        await context.close()


def meter(**script):
    return VirtualCjt188Meter(ADDRESS, script=Cjt188Script(**script))


@pytest.mark.parametrize("opened", [False, True])
@pytest.mark.parametrize("short", [False, True])
async def test_it_turns(opened, short):
    it = meter(status=bytearray([CLOSED * opened, 0]), short=short, valve_turn_s=0.1)
    async with driving(it) as driver:
        await driver.set_valve(opened=opened)
    assert it.script.status[0] == CLOSED * (not opened)


async def test_not_without_permission():
    it = Faulty(meter())
    async with driving(it, valve=False) as driver:
        with pytest.raises(DriverError, match="not to be turned") as caught:
            await driver.set_valve(opened=False)
    assert caught.value.hint == "valve = true in this [[device]] permits it"
    assert it.heard == []
    assert it.meter.script.status[0] == 0


def test_permission_is_not_the_default():
    assert msgspec.convert({"address": ADDRESS}, Cjt188Settings).valve is False


async def test_not_the_valve_of_a_changed_meter():
    it = meter()
    async with driving(Impostor(it, "78330011223399")) as driver:
        with pytest.raises(DeviceRefused, match="answers instead"):
            await driver.set_valve(opened=False)
    assert it.script.status[0] == 0


async def test_not_of_a_silent_meter():
    it = Faulty(meter(), mute)
    async with driving(it) as driver:
        with pytest.raises(DeviceSilent):
            await driver.set_valve(opened=False)
    assert [wire.decode_frame(t.lstrip(b"\xfe")).control for t in it.heard] == [wire.READ]


async def test_a_meter_without_a_valve_refuses():
    async with driving(meter(has_valve=False)) as driver:
        with pytest.raises(DeviceRefused, match="refuses with status"):
            await driver.set_valve(opened=False)


async def test_a_valve_that_is_stuck():
    async with driving(meter(valve_stuck=True)) as driver:
        with pytest.raises(DeviceRefused, match="not closed after 2 s"):
            await driver.set_valve(opened=False)


async def test_a_valve_that_reports_a_fault():
    async with driving(meter(status=bytearray([0x02, 0]))) as driver:
        with pytest.raises(DeviceRefused, match="reports a fault"):
            await driver.set_valve(opened=False)


class DeafToItsAnswer(VirtualCjt188Meter):
    """It does what it is told, and the answer is lost."""

    def hear(self, telegram):
        pieces = list(super().hear(telegram))
        told = wire.decode_frame(telegram.lstrip(b"\xfe")).control == wire.WRITE
        return [] if told else pieces


async def test_a_lost_answer_is_made_up_for_by_reading_it_back():
    it = DeafToItsAnswer(ADDRESS)
    async with driving(it) as driver:
        await driver.set_valve(opened=False)
    assert it.script.status[0] == CLOSED


class DeafThenRefusing(VirtualCjt188Meter):
    """The answer in its own order is lost, and the other order it refuses."""

    def hear(self, telegram):
        pieces = list(super().hear(telegram))
        request = wire.decode_frame(telegram.lstrip(b"\xfe"))
        if request.control != wire.WRITE:
            return pieces
        if wire.decode_di(request.data, "low-first") == wire.DI_VALVE:
            return []
        return [(0.0, wire.encode(wire.encode_refusal(request, request.address, b"\0\0")))]


async def test_a_refusal_of_the_other_order_does_not_hide_that_it_turned():
    it = DeafThenRefusing(ADDRESS, script=Cjt188Script(orders=("low-first",)))
    async with driving(it) as driver:
        await driver.set_valve(opened=False)
    assert it.script.status[0] == CLOSED


@pytest.mark.parametrize("silent_beyond", [False, True])
async def test_of_a_meter_that_wants_its_valve_in_the_other_order(silent_beyond):
    """As in the published exchanges: 1F 90 for the reading, A0 17 for the valve."""
    orders = {"orders": ("low-first",), "valve_orders": ("high-first",)}
    it = meter(**orders, silent_beyond=silent_beyond)
    async with driving(it) as driver:
        await driver.set_valve(opened=False)
    assert it.script.status[0] == CLOSED


async def test_in_the_order_the_meter_wants():
    it = meter(orders=("high-first",))
    async with driving(it) as driver:
        with pytest.raises(DeviceSilent):
            await driver.set_valve(opened=False)
        await driver.set_valve(opened=False)
    assert it.script.status[0] == CLOSED
