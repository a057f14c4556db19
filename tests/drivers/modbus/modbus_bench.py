"""A Modbus driver, a line or a network, and the virtual devices on it."""

from contextlib import asynccontextmanager

import msgspec
from line_faults import Faulty
from stub_context import StubContext

from drivers.modbus import driver as driver_module
from drivers.modbus import wire
from drivers.modbus.driver import ModbusDriver, ModbusSettings
from drivers.modbus.profile import parse_profile
from drivers.sim import meter_modbus
from drivers.sim.meter_modbus import ModbusScript, VirtualModbusMeter
from drivers.sim.wires import VirtualBus
from gateway.settings import BusSettings

HEAD = '[profile]\ntitle = "a device"\n'


def use_profile(monkeypatch, text):
    """Driver and virtual devices read this map, whatever name they ask for."""
    profile = parse_profile(text, "test", "test.toml")
    monkeypatch.setattr(driver_module, "load_profile", lambda name: profile)
    monkeypatch.setattr(meter_modbus, "load_profile", lambda name: profile)


def device(unit=1, values=None, **script):
    return Faulty(VirtualModbusMeter(unit, "test", values=values, script=ModbusScript(**script)))


@asynccontextmanager
async def driving(slave, **options):
    """A driver that is asked to read and write by hand."""
    with VirtualBus() as line:
        line.add(slave)
        context = StubContext("device", BusSettings("wires", line.port, 115_200))
        options = {"unit": 1, "profile": "test", "timeout": 1.0, "retries": 0, **options}
        yield ModbusDriver(msgspec.convert(options, ModbusSettings), context)
        await context.close()


def asked(slave):
    """What a device was asked: function, address, count."""
    requests = [wire.rtu.decode(telegram) for telegram in slave.heard]
    return [(it.function, it.address, it.count) for it in requests]


def values(reading):
    return {m.name: m.value for m in reading.measurements}
