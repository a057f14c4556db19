"""Alarms of detectors: told once when they begin, and once when they are over."""

import pytest
from line_faults import Faulty, mute
from meter_bench import bench, values
from modbus_bench import HEAD, device, use_profile

from drivers import fault as fault_module
from drivers.modbus.driver import ModbusDriver
from drivers.sim.wires import VirtualBus
from gateway.model import Kind

FAST = {"poll": 0.02, "timeout": 0.5, "retries": 0}
MAP = (
    HEAD
    + """
[[register]]
name = "smoke"
address = 0
function = 2
type = "bit"
alarm = true
[[register]]
name = "heat"
address = 1
function = 2
type = "bit"
invert = true
alarm = true
[[register]]
name = "door"
address = 2
function = 2
type = "bit"
[[register]]
name = "tamper"
address = 7
type = "u16"
bit = 5
alarm = true
invalid = [0xFFFF]
"""
)


@pytest.fixture(autouse=True)
def mapped(monkeypatch):
    use_profile(monkeypatch, MAP)
    monkeypatch.setattr(fault_module, "QUIET_S", 0.1)


def told(context):
    return [
        (it.detail["fault"], it.detail["active"])
        for it in context.of(Kind.FAULT)
        if it.detail["fault"] != "withheld"
    ]


async def polled(context, times=3):
    seen = len(context.of(Kind.MEASUREMENT))
    await context.wait_until(lambda: len(context.of(Kind.MEASUREMENT)) >= seen + times)


async def test_each_alarm_comes_and_goes_once():
    it = device()
    with VirtualBus() as line:
        line.add(it)
        async with bench(line.port, baudrate=115_200) as b:
            context = b.start(ModbusDriver, unit=1, profile="test", **FAST)
            await polled(context)
            assert told(context) == []
            it.meter.values |= {"smoke": True, "door": True}
            await polled(context)
            assert told(context) == [("smoke", True)]
            it.meter.values |= {"heat": True, "tamper": True}
            await polled(context)
            it.meter.values |= {"smoke": False, "heat": False, "tamper": False}
            await context.wait_until(lambda: len(told(context)) == 6)
            await polled(context)
    assert set(told(context)[1:3]) == {("heat", True), ("tamper", True)}
    assert set(told(context)[3:]) == {("smoke", False), ("heat", False), ("tamper", False)}
    assert len(told(context)) == 6
    last = values(context.of(Kind.MEASUREMENT)[-1])
    assert last == {"smoke": False, "heat": False, "door": True, "tamper": False}


async def test_an_inverted_contact_is_an_alarm_when_it_opens():
    it = device()
    with VirtualBus() as line:
        line.add(it)
        async with bench(line.port, baudrate=115_200) as b:
            context = b.start(ModbusDriver, unit=1, profile="test", **FAST)
            await polled(context)
            # At rest its bit is set on the wire; a module that lost its contact shows it cleared.
            it.meter.values["heat"] = True
            await context.wait_until(lambda: told(context) == [("heat", True)])


async def test_silence_does_not_end_an_alarm():
    it = Faulty(device(values={"smoke": True}).meter)
    with VirtualBus() as line:
        line.add(it)
        async with bench(line.port, baudrate=115_200) as b:
            options = FAST | {"timeout": 0.03}
            context = b.start(ModbusDriver, unit=1, profile="test", **options)
            await context.wait_until(lambda: told(context) == [("smoke", True)])
            it.bend = mute
            await context.wait_until(lambda: context.states[-1][0] == "offline")
            it.bend = list
            await context.wait_until(lambda: context.states[-1][0] == "online")
            await polled(context)
    assert told(context) == [("smoke", True)]


async def test_a_value_that_is_withheld_does_not_end_an_alarm():
    it = device(values={"tamper": True})
    with VirtualBus() as line:
        line.add(it)
        async with bench(line.port, baudrate=115_200) as b:
            context = b.start(ModbusDriver, unit=1, profile="test", **FAST)
            await context.wait_until(lambda: told(context) == [("tamper", True)])
            it.meter.script.missing = {"tamper"}
            await context.wait_until(lambda: "tamper" not in values(context.observations[-1]))
            await polled(context, 10)
    assert told(context) == [("tamper", True)]


DETECTORS = (
    HEAD
    + """
[[register]]
name = "hall"
address = 0
function = 2
type = "bit"
detects = "smoke"
"""
)


async def test_what_a_detector_detects_is_an_alarm_to_people(monkeypatch):
    use_profile(monkeypatch, DETECTORS)
    it = device()
    with VirtualBus() as line:
        line.add(it)
        async with bench(line.port, baudrate=115_200) as b:
            context = b.start(ModbusDriver, unit=1, profile="test", **FAST)
            await polled(context)
            assert context.of(Kind.ALARM) == []
            it.meter.values["hall"] = True
            await polled(context)
            context.house.testing = True
            it.meter.values["hall"] = False
            await context.wait_until(lambda: len(context.of(Kind.ALARM)) == 2)
    assert [alarm.detail for alarm in context.of(Kind.ALARM)] == [
        {"alarm": "smoke", "active": True, "contact": "hall"},
        {"alarm": "smoke", "active": False, "contact": "hall", "test": True},
    ]
    assert told(context) == []
