"""Makes the rigs beside this folder importable; the databases that stores are tested on."""

import itertools
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(Path(__file__).parent), str(TESTS), str(TESTS / "rigs")]

from postgres_server import PostgresServer, why_no_postgresql  # noqa: E402 - the rigs' folder
from receiver import WRITTEN  # noqa: E402 - beside it

from collector.store import open_store  # noqa: E402 - beside it
from drivers.sim.broker import Broker  # noqa: E402 - beside it

DATABASES = ("sqlite", "postgres")


@pytest.fixture(scope="session")
def postgres():
    """One server for all tests."""
    if reason := why_no_postgresql():
        pytest.skip(reason)
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="session")
def new_url(request, tmp_path_factory):
    """Makes the URL of an empty place for a store of a kind."""
    folder, numbers = tmp_path_factory.mktemp("stores"), itertools.count()

    def make(kind):
        if kind == "sqlite":
            return f"sqlite://{folder}/events-{next(numbers)}.db"
        return request.getfixturevalue("postgres").new_schema("postgres")

    return make


@pytest.fixture(params=DATABASES)
def store_url(request, new_url):
    return new_url(request.param)


@pytest.fixture
def store(store_url):
    store = open_store(store_url)
    yield store
    store.close()


@pytest.fixture
async def broker():
    async with Broker() as broker:
        yield broker


@pytest.fixture
def secret(tmp_path):
    """The file of a webhook's secret."""
    path = tmp_path / "webhook.secret"
    path.touch(mode=0o600)
    path.write_text(WRITTEN)
    return str(path)
