"""The rigs are imported by name."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "rigs")]


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The simulated GPIO chip, compiled."""
    from shims import GPIO, build_shim

    built = build_shim(GPIO, tmp_path_factory.mktemp("shim"))
    if built is None:
        pytest.skip("no C compiler for the simulated GPIO chip")
    return built


@pytest.fixture(scope="session")
def clock_shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clock that is synchronised, compiled."""
    from shims import CLOCK, build_shim

    built = build_shim(CLOCK, tmp_path_factory.mktemp("clock"))
    if built is None:
        pytest.skip("no C compiler for a clock that is synchronised")
    return built


@pytest.fixture
async def home(tmp_path: Path, shim: Path) -> AsyncIterator[object]:
    """A whole home, its gateway not started yet."""
    import private_bus
    from whole_home import WholeHome

    if private_bus.DBUS_DAEMON is None:
        pytest.skip("no dbus-daemon for the played bluetoothd")
    async with WholeHome(tmp_path, shim) as whole:
        yield whole
