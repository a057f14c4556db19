"""A collector with a fault of its own: the shipped one between a store and an uplink that misbehave.

faulty_collector.py URL STORE [--die before|after] [--acks lost|doubled|reordered]
    [--slow SECONDS] [--seed N]
"""

import argparse
import asyncio
import contextlib
import os
import random
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from collector.service import Collector
from collector.store import open_store
from gateway.errors import UplinkError
from gateway.settings import UplinkSettings
from gateway.uplink import MqttUplink

DIES_AT_COMMIT = 40  # both lanes were committed and acknowledged before; some two seconds
LOST = 0.5  # of all acknowledgements
LATE_S = 0.5  # a reordered acknowledgement comes so late at the most; gateways ask after 1 s


class Mortal:
    """A store that is slow, or around whose commit the process dies."""

    def __init__(self, store, die: str, slow_s: float) -> None:
        self._store = store
        self._die = die
        self._slow_s = slow_s
        self._commits = 0

    def __getattr__(self, name: str):
        return getattr(self._store, name)

    def commit(self, deliveries, refusals):
        self._commits += bool(deliveries)
        due = bool(deliveries) and self._commits == DIES_AT_COMMIT
        if due and self._die == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(self._slow_s)
        outcomes = self._store.commit(deliveries, refusals)
        if due and self._die == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return outcomes


class MangledSession:
    """A session whose publishes are lost, doubled or reordered; nobody is told."""

    def __init__(self, session, how: str, rng: random.Random) -> None:
        self._session = session
        self._how = how
        self._rng = rng
        self._late: set[asyncio.Task] = set()

    def __getattr__(self, name: str):
        return getattr(self._session, name)

    async def publish(self, topic, payload, *, retain=False):
        if not topic.endswith("/ack"):
            await self._session.publish(topic, payload, retain=retain)
            return
        if self._how == "lost" and self._rng.random() < LOST:
            return
        if self._how == "reordered":
            task = asyncio.create_task(self._publish_late(topic, payload))
            self._late.add(task)
            task.add_done_callback(self._late.discard)
            return
        for _ in range(2 if self._how == "doubled" else 1):
            await self._session.publish(topic, payload, retain=retain)

    async def _publish_late(self, topic, payload):
        await asyncio.sleep(self._rng.uniform(0, LATE_S))
        with contextlib.suppress(UplinkError):  # the link is lost: so is this acknowledgement
            await self._session.publish(topic, payload)


class MangledUplink:
    def __init__(self, uplink, how: str, rng: random.Random) -> None:
        self._uplink = uplink
        self._how = how
        self._rng = rng

    @contextlib.asynccontextmanager
    async def session(self):
        async with self._uplink.session() as session:
            yield MangledSession(session, self._how, self._rng)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("store")
    parser.add_argument("--die", choices=["before", "after"], default="")
    parser.add_argument("--acks", choices=["lost", "doubled", "reordered"], default="")
    parser.add_argument("--slow", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    settings, rng = UplinkSettings(url=options.url), random.Random(options.seed)
    store = Mortal(open_store(options.store), options.die, options.slow)

    def uplink(lane):
        return MangledUplink(MqttUplink(settings), options.acks, rng)

    asyncio.run(Collector(settings, store, uplink=uplink).run())


if __name__ == "__main__":
    main()
