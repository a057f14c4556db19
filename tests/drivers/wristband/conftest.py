"""A driver that does not wait long, and a context to tell."""

import pytest
from stub_context import StubContext

from drivers import call as band_call
from drivers.wristband import driver as band_driver


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch):
    monkeypatch.setattr(band_driver, "RETRY_FIRST_S", 0.05)
    monkeypatch.setattr(band_driver, "RETRY_CAP_S", 0.1)
    monkeypatch.setattr(band_call, "RETRY_FIRST_S", 0.01)
    monkeypatch.setattr(band_call, "RETRY_CAP_S", 0.02)


@pytest.fixture
async def context():
    context = StubContext("band-1")
    yield context
    await context.close()
