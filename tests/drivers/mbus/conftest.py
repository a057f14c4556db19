"""A clock that the tests set, and faults that are over at once."""

import time

import pytest

from gateway.model import Stamp, TimeQuality


class FakeClock:
    """Right, unless a test says otherwise."""

    def __init__(self):
        self.quality = TimeQuality.SYNCHRONISED

    def stamp(self, uptime_ms=None):
        return Stamp(b"bootboot", 0, time.time_ns() // 1_000_000, self.quality)


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    clock = FakeClock()
    monkeypatch.setattr("drivers.bus.meter_clock.SystemClock", lambda: clock)
    return clock


@pytest.fixture
def faults_end_at_once(monkeypatch):
    monkeypatch.setattr("drivers.fault.QUIET_S", 0.0)
