"""One machine with systemd for all tests of this folder, clean before each of them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(Path(__file__).parent), str(TESTS), str(TESTS / "rigs")]


@pytest.fixture(scope="session")
def booted():
    """systemd, booted."""
    from booted_systemd import BootedSystemd, why_no_systemd

    if why := why_no_systemd():
        pytest.skip(f"no systemd can be booted: {why}")
    with BootedSystemd() as machine:
        yield machine


@pytest.fixture
def machine(booted):
    """The machine as after its installation, no service running, nothing recorded."""
    from unit_kit import clean

    yield booted
    clean(booted)


@pytest.fixture
async def site(machine):
    """A home and its far side on that machine, and a broker that wants passwords."""
    from unit_kit import Site, why_no_broker

    if why := why_no_broker():
        pytest.skip(why)
    async with Site(machine) as made:
        yield made
