"""A collector in a process of its own, for tests that kill it.

collector_process.py BROKER STORE [die-before-commit | die-after-commit]

STORE is the URL of a store, or the path of a SQLite file.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from collector.service import Collector
from collector.store import open_store
from gateway.settings import UplinkSettings


class Mortal:
    """A store around which the process dies."""

    def __init__(self, store, when: str) -> None:
        self.store = store
        self.when = when

    def commit(self, deliveries, refusals):
        if deliveries and self.when == "die-before-commit":
            os.kill(os.getpid(), signal.SIGKILL)
        outcomes = self.store.commit(deliveries, refusals)
        if deliveries and self.when == "die-after-commit":
            os.kill(os.getpid(), signal.SIGKILL)
        return outcomes


def main() -> None:
    url, store_url, *when = sys.argv[1:]
    store = open_store(f"sqlite://{store_url}" if store_url.startswith("/") else store_url)
    if when:
        store = Mortal(store, when[0])
    asyncio.run(Collector(UplinkSettings(url=url), store).run())


main()
