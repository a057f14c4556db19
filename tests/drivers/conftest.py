"""Helpers of the driver tests are imported by name: this folder and tests/rigs are on the path."""

import asyncio
import sys
from pathlib import Path

import pytest

from drivers.sim.air import Air
from drivers.sim.hci import VirtualAdapter

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
