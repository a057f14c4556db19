"""A fault is told once when it comes and once when it is over."""

import asyncio

from stub_context import StubContext

from drivers import fault as fault_module
from drivers.fault import QUIET_S, Fault, Faults
from gateway.model import Kind


def test_raised_once_and_over_after_a_quiet_time():
    fault = Fault()
    assert fault.good(0) is False
    assert fault.bad(1) is True
    assert fault.bad(2) is False
    assert fault.good(2 + QUIET_S - 0.1) is False
    assert fault.count == 2
    assert fault.good(2 + QUIET_S) is True
    assert fault.good(3 + QUIET_S) is False
    assert fault.bad(100) is True
    assert fault.count == 1


async def test_faults_are_told_by_name_once(monkeypatch):
    monkeypatch.setattr(fault_module, "QUIET_S", 0.0)
    context = StubContext()
    faults = Faults(context)
    for bad in (False, True, True, False, False):
        faults.see("battery_low", bad)
        faults.see("clock", 3 if bad else 0, skew_s=7)
        await asyncio.sleep(0)
    assert [it.detail for it in context.of(Kind.FAULT)] == [
        {"fault": "battery_low", "active": True},
        {"fault": "clock", "active": True, "skew_s": 7},
        {"fault": "battery_low", "active": False},
        {"fault": "clock", "active": False},
    ]
