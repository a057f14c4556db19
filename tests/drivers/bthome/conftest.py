"""A driver that does not wait long, and a context to tell."""

import pytest
from stub_context import StubContext

from drivers import call
from drivers.bthome import driver as bthome_driver


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch):
    monkeypatch.setattr(bthome_driver, "RETRY_FIRST_S", 0.05)
    monkeypatch.setattr(bthome_driver, "RETRY_CAP_S", 0.1)
    monkeypatch.setattr(call, "RETRY_FIRST_S", 0.01)
    monkeypatch.setattr(call, "RETRY_CAP_S", 0.02)


@pytest.fixture
async def context():
    context = StubContext("button-1")
    yield context
    await context.close()


@pytest.fixture
def key_file(tmp_path):
    """The key of the specification's example, in a file."""
    path = tmp_path / "key"
    path.write_text("231d39c1d7cc1ab1aee224cd096db932\n")
    path.chmod(0o600)
    return path
