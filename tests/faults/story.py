"""One story: a broker, collectors, gateways and a database, a fault, and the verdict."""

import asyncio
import json
import random
import signal
import sqlite3
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from gateway_handle import GatewayHandle, Plan
from ledger import Confirmed, Ledger, now_s, read_confirmed
from story_broker import StoryBroker
from verdict import Expectation, Verdict, judge

from gateway.errors import HearthError

FAULTY = Path(__file__).with_name("faulty_collector.py")
# Longer than every cap on the way: 10 s of the collector's tries at a full disk, 30 s of the
# forwarder's patience with its own collector, and a machine that runs other tests, too.
PATIENCE_S = 60.0
LOOK_EVERY_S = 0.01  # how exactly a recovery is measured


class Skipped(Exception):
    """The story cannot be told on this machine; says why."""


@dataclass(frozen=True)
class Story:
    """What is told of a story, and how it goes."""

    name: str
    about: str
    tell: Callable[["World"], Awaitable[str | None]]
    stores: tuple[str, ...] = ("sqlite", "postgresql")


STORIES: dict[str, Story] = {}


def story(name: str, about: str, *stores: str):
    """Register a story. It returns what its line says at the end, or None."""

    def register(tell):
        STORIES[name] = Story(name, about, tell, stores or Story.stores)
        return tell

    return register


class World:
    """`async with`: what every story is played in.

    Args:
        folder: for everything it writes.
        store: URL of an empty database.
        seed: of all that is drawn.
        short: less of everything, for `make test`.
        server: the database's server, where it has one: kill, start, pause, resume.
    """

    def __init__(self, folder: Path, store: str, *, seed: int, short: bool, server=None) -> None:
        self.folder = folder
        self.store = store
        self.diary = folder / "diary"  # what all processes write to standard error
        self.short = short
        self.rng = random.Random(seed)
        self.server = server
        self.broker: StoryBroker
        self.ledger = Ledger(store)
        self.gateways: list[GatewayHandle] = []
        self.departed: list[GatewayHandle] = []  # they confirmed, and play no more
        self.collectors: list[asyncio.subprocess.Process] = []
        self.expect = Expectation()
        self.recovery_s: float | None = None
        self.stack = AsyncExitStack()  # what ends with the story
        self._ended_s = 0.0

    async def __aenter__(self) -> "World":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stack.aclose()

    def seconds(self, whole: float, short: float) -> float:
        """How long something takes in a whole story, and in a short one."""
        return short if self.short else whole

    def times(self, whole: int, short: int) -> int:
        """How often."""
        return short if self.short else whole

    def place(self, store: str) -> None:
        """Another database than was given, before anybody uses it."""
        self.store = store
        self.ledger = Ledger(store)

    # --- who plays ---

    async def start(self, *collector: str, **plan: object) -> GatewayHandle:
        """Broker, collector and gateway, and both lanes flow."""
        await self.start_broker()
        await self.collect(*collector)
        gateway = await self.gateway(**plan)
        await self.flowing()
        return gateway

    async def start_broker(self, **options: object) -> None:
        self.broker = await self.stack.enter_async_context(StoryBroker(self.folder, **options))

    async def collect(
        self, *faults: str, share: str = "", ack_key: str = ""
    ) -> asyncio.subprocess.Process:
        """`hearth collect`; with faults, what `faulty_collector.py` makes of it."""
        command = ["-m", "gateway.cli.main", "collect", "--url", self.broker.url]
        options = {"--store": self.store, "--share": share, "--ack-key": ack_key}
        command += [word for name, it in options.items() if it for word in (name, it)]
        if faults:
            command = [str(FAULTY), self.broker.url, self.store, *faults]
        with self.diary.open("ab") as diary:
            process = await asyncio.create_subprocess_exec(sys.executable, *command, stderr=diary)
        self.collectors.append(process)
        self.stack.push_async_callback(self.end, process)
        return process

    async def gateway(
        self, name: str = "gw-1", folder: str = "", prefix: tuple[str, ...] = (), **plan: object
    ) -> GatewayHandle:
        """A gateway with a journal of its own, which makes events from now on."""
        folder = folder or f"journal-{len(self.gateways)}"
        facts = {"url": self.broker.url, **plan}
        confirmed = str(self.folder / f"{folder}.confirmed")
        life = Plan(name, str(self.folder / folder), confirmed, str(self.diary), **facts)
        handle = GatewayHandle(life, prefix)
        self.gateways.append(handle)
        self.stack.push_async_callback(handle.kill)
        await handle.start()
        return handle

    async def end(self, process: asyncio.subprocess.Process, number: int = signal.SIGKILL) -> None:
        """End a collector."""
        if process.returncode is None:
            process.send_signal(number)
        await process.wait()

    async def stop(self) -> None:
        """Nobody changes anything any more."""
        for gateway in self.gateways:
            await gateway.kill()
        for collector in self.collectors:
            await self.end(collector)

    # --- what is waited for ---

    def confirmed(self) -> list[Confirmed]:
        """What all gateways confirmed so far."""
        paths = {Path(gateway.plan.confirmed) for gateway in self.gateways + self.departed}
        return [it for path in sorted(paths) for it in read_confirmed(path)]

    async def until(self, condition, what: str, timeout_s: float = PATIENCE_S) -> None:
        """Poll for what nobody signals."""
        try:
            async with asyncio.timeout(timeout_s):
                while not await asyncio.to_thread(condition):
                    await asyncio.sleep(LOOK_EVERY_S)
        except TimeoutError:
            raise AssertionError(f"never: {what}") from None

    async def flowing(self) -> None:
        """Until an event of each lane, confirmed from now on, is stored."""
        since_s = now_s()
        for lane in ("urgent", "routine"):
            await self._stored_since(since_s, lambda it, lane=lane: it.place.lane == lane)

    async def flowing_from(self, gateway: GatewayHandle) -> None:
        """Until an event of this gateway, confirmed from now on, is stored."""
        journal = gateway.state["journal"]
        await self._stored_since(now_s(), lambda it: it.place.journal == journal)

    async def kept(self) -> None:
        """Until what was confirmed first after the fault is kept among the refused."""
        await self._stored_since(self._ended_s, arrived=self.ledger.keeps)
        self.recovery_s = now_s() - self._ended_s

    async def _stored_since(self, since_s: float, fits=lambda _: True, arrived=None) -> None:
        """Until the first fitting event that is confirmed from then on is stored, or has arrived
        otherwise."""
        first: list[Confirmed] = []

        def found() -> bool:
            if not first:
                new = [it for it in self.confirmed() if it.at_s >= since_s and fits(it)]
                first.extend(sorted(new)[:1])
            return bool(first) and (arrived or self.ledger.has)(first[0])

        await self.until(found, "an event arrives")

    def fault_ends(self) -> None:
        """The fault is over: from here on recovery is timed."""
        self._ended_s = now_s()

    async def recovered(self) -> None:
        """Until what was confirmed first after the fault is stored; then both lanes flow."""
        await self._stored_since(self._ended_s)
        self.recovery_s = now_s() - self._ended_s
        await self.flowing()

    async def settle(self) -> None:
        """No more events, and every gateway has the word of its collector for all of them."""
        for gateway in self.gateways:
            if not gateway.running:
                await gateway.start()
            await gateway.quiet()
        for gateway in self.gateways:
            drained = "everything is acknowledged"
            await gateway.until(lambda _, it=gateway: it.drained, drained, PATIENCE_S)

    # --- the end ---

    async def verdict(self) -> Verdict:
        """What is stored, against what was confirmed."""
        check = await self._check()
        verdict = judge(self.confirmed(), self.ledger, check, self.expect)
        verdict.recovery_s = self.recovery_s
        return verdict

    async def _check(self) -> tuple[int, list[dict]]:
        command = ["-m", "gateway.cli.main", "collect", "--check", "--json", "--store", self.store]
        with self.diary.open("ab") as diary:
            process = await asyncio.create_subprocess_exec(
                sys.executable, *command, stdout=asyncio.subprocess.PIPE, stderr=diary
            )
        out, _ = await process.communicate()
        return process.returncode or 0, json.loads(out or b"[]")


async def play(it: Story, world: World) -> Verdict:
    """Tell a story and judge it; what went wrong on the way is among the problems."""
    note, problems = None, []
    async with world:
        try:
            note = await it.tell(world)
            await world.settle()
        except (AssertionError, OSError, HearthError) as error:
            problems.append(f"{type(error).__name__}: {error}")
            await world.stop()
        try:
            verdict = await world.verdict()
        except (OSError, sqlite3.Error) as error:
            verdict = Verdict(problems=[f"cannot be judged: {error}"])
    verdict.problems[:0] = problems
    verdict.note = note or ""
    verdict.diary = world.diary.read_text("utf-8", "replace") if world.diary.exists() else ""
    return verdict
