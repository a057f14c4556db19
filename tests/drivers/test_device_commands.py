"""What a person upstream may have a device do: read now, write, turn a valve, vibrate."""

import pytest
from meter_bench import bench
from stub_context import StubContext

from drivers.cjt188.driver import Cjt188Driver
from drivers.modbus.driver import ModbusDriver
from drivers.modbus.profile import load_profile
from drivers.sim.meter_cjt188 import Cjt188Script, VirtualCjt188Meter
from drivers.sim.meter_modbus import VirtualModbusMeter
from drivers.sim.water_flow import WaterFlow
from drivers.sim.wires import VirtualBus
from gateway.errors import DeviceSilent, DriverError
from gateway.model import Kind

ADDRESS = "78330011223344"


def driver_of(kind, bench, **options):
    """A driver that does not poll, on the bench's bus."""
    context = StubContext("m", bench.bus)
    bench.contexts.append(context)
    return kind(kind.Settings(**options), context)


async def test_a_meter_is_read_now():
    with VirtualBus() as wires:
        wires.add(VirtualModbusMeter(7, "xintai", WaterFlow(0, 12_345)))
        async with bench(wires.port) as b:
            driver = driver_of(ModbusDriver, b, unit=7, profile="xintai", poll=3600)
            answer = await driver.command("read", {})
            (told,) = driver.context.of(Kind.MEASUREMENT)
    assert answer["volume"] == pytest.approx(12.345)
    assert {m.name for m in told.measurements} == set(answer)


async def test_a_dead_meter_is_said_to_be_silent():
    with VirtualBus() as wires:
        async with bench(wires.port) as b:
            options = {"unit": 7, "profile": "xintai", "timeout": 0.02, "retries": 0}
            with pytest.raises(DeviceSilent):
                await driver_of(ModbusDriver, b, **options).command("read", {})


async def test_a_valve_is_turned_where_that_is_permitted():
    script = Cjt188Script()
    with VirtualBus() as wires:
        wires.add(VirtualCjt188Meter(ADDRESS, script=script))
        async with bench(wires.port) as b:
            driver = driver_of(Cjt188Driver, b, address=ADDRESS, valve=True)
            assert await driver.command("valve", {"open": False}) == {}
            assert script.status[0] & 1
            with pytest.raises(DriverError, match="open: true or false"):
                await driver.command("valve", {"open": "yes"})
            forbidden = driver_of(Cjt188Driver, b, address=ADDRESS)
            forbidden.context.shared_objects = driver.context.shared_objects
            with pytest.raises(DriverError, match="not to be turned"):
                await forbidden.command("valve", {"open": True})
    assert script.status[0] & 1


async def test_a_coil_is_written_where_that_is_permitted():
    meter = VirtualModbusMeter(1, "waveshare-io8")
    with VirtualBus() as wires:
        wires.add(meter)
        async with bench(wires.port) as b:
            name = min(load_profile("waveshare-io8").writable())
            driver = driver_of(ModbusDriver, b, unit=1, profile="waveshare-io8", writable=(name,))
            assert await driver.command("write", {name: True}) == {}
            assert (await driver.command("read", {}))[name] is True
            with pytest.raises(DriverError):
                await driver.command("write", {"no-such": True})


@pytest.mark.parametrize("name", ["vibrate", "explode"])
async def test_what_a_meter_cannot_do(name):
    with VirtualBus() as wires:
        async with bench(wires.port) as b:
            driver = driver_of(ModbusDriver, b, unit=7, profile="xintai")
            with pytest.raises(DriverError, match=f"does not know '{name}'"):
                await driver.command(name, {})
