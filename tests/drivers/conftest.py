"""Helpers of the driver tests are imported by name: this folder and tests/rigs are on the path."""

import asyncio
import sys
import time
from pathlib import Path

import pytest

from drivers.sim.air import Air
from drivers.sim.board import VirtualBoard
from drivers.sim.hci import VirtualAdapter
from gateway.model import Stamp, TimeQuality

HERE = Path(__file__).parent
for folder in (HERE, HERE.parent / "rigs"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


@pytest.fixture
async def air():
    """A virtual radio for every test that asks for one."""
    async with asyncio.timeout(60):
        yield Air()


@pytest.fixture
async def adapter(air, tmp_path):
    """An adapter on it."""
    async with VirtualAdapter(air, tmp_path / "radio.sock") as adapter:
        yield adapter


class FakeClock:
    """Right, unless a test says otherwise."""

    def __init__(self):
        self.quality = TimeQuality.SYNCHRONISED

    def stamp(self, uptime_ms=None):
        return Stamp(b"bootboot", 0, time.time_ns() // 1_000_000, self.quality)


@pytest.fixture
def known_clock(monkeypatch):
    """What meters' clocks are held against."""
    clock = FakeClock()
    monkeypatch.setattr("drivers.bus.meter_clock.SystemClock", lambda: clock)
    return clock


@pytest.fixture(scope="session")
def gpio_shim(tmp_path_factory):
    """The simulated GPIO chip, compiled."""
    from shims import GPIO, build_shim

    built = build_shim(GPIO, tmp_path_factory.mktemp("shim"))
    if built is None:
        pytest.skip("no C compiler to build the simulated GPIO chip with")
    return built


@pytest.fixture
async def gpio(gpio_shim):
    """Its wires."""
    from fake_gpio import FakeGpio

    async with FakeGpio(gpio_shim) as gpio, asyncio.timeout(20):
        yield gpio


@pytest.fixture
async def board(tmp_path):
    """A virtual board without anything on it."""
    async with asyncio.timeout(30), VirtualBoard(tmp_path / "board.sock") as board:
        yield board


@pytest.fixture
def faults_end_at_once(monkeypatch):
    """Nobody waits for a minute."""
    monkeypatch.setattr("drivers.fault.QUIET_S", 0.0)
