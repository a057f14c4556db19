"""The gateway knows the time in these tests."""

import pytest


@pytest.fixture(autouse=True)
def clock(known_clock):
    return known_clock
