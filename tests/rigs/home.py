"""A gateway, a broker and a collector, each a process of its own, around hardware that is played.

`hearth run` is the shipped program. What it talks to, a subclass brings.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sqlite3
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from drivers.sim.broker import Broker
from gateway.control import ask

READY_S = 30.0


class Home:
    """`async with` a subclass: hardware, broker, collector; then `start()`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.broker = Broker()
        self.gateway: asyncio.subprocess.Process | None = None
        self.collector: asyncio.subprocess.Process | None = None
        self.ready_s = 0.0
        self._stack = AsyncExitStack()
        self._environment = dict(os.environ)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)

    async def hardware(self, stack: AsyncExitStack) -> dict[str, str]:
        """Enter what is played; the environment that the gateway finds it by."""
        raise NotImplementedError

    def config(self) -> str:
        """The gateway's configuration, once broker and hardware are there."""
        raise NotImplementedError

    def collecting(self) -> tuple[str, ...]:
        """What `hearth collect` is given beside its broker and its store."""
        return ()

    async def __aenter__(self) -> Home:
        found = await self.hardware(self._stack)
        await self._stack.enter_async_context(self.broker)
        self._listener.bind(str(self.folder / "notify"))
        self._environment |= {**found, "NOTIFY_SOCKET": str(self.folder / "notify")}
        (self.folder / "hearth.toml").write_text(self.config())
        await self.collect(*self.collecting())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.gateway and self.gateway.returncode is None:
            await self.stop()
        await self._end_collector()
        self._listener.close()
        await self._stack.aclose()

    async def collect(self, *arguments: str) -> None:
        """A collector in place of the one that was."""
        await self._end_collector()
        store = f"sqlite://{self.folder}/events.db"
        self.collector = await self._hearth(
            "collect", "--url", self.broker.url, "--store", store, *arguments
        )

    async def _end_collector(self) -> None:
        if self.collector and self.collector.returncode is None:
            self.collector.terminate()
            await self.collector.wait()

    async def start(self) -> None:
        """`hearth run`, until it says that it is ready."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        config = str(self.folder / "hearth.toml")
        self.gateway = await self._hearth("run", "-c", config, env=self._environment)
        async with asyncio.timeout(READY_S):
            while b"READY=1" not in await loop.sock_recv(self._listener, 4096):
                pass
        self.ready_s = loop.time() - started

    async def kill(self) -> None:
        """SIGKILL."""
        assert self.gateway
        self.gateway.kill()
        await self.gateway.wait()

    async def stop(self) -> int:
        """SIGTERM, and the exit code."""
        assert self.gateway
        self.gateway.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self.gateway.wait(), 30)

    async def stored(self, kind: str, device: str, count: int, timeout_s: float = 30) -> None:
        """Until the collector has so many events of a device."""
        async with asyncio.timeout(timeout_s):
            while self.count(kind, device) < count:
                await asyncio.sleep(0.01)

    def count(self, kind: str, device: str) -> int:
        """How many such events the collector has."""
        return self.query(
            "SELECT count(*) FROM events WHERE kind = ? AND device = ?", kind, device
        )[0][0]

    def query(self, question: str, *values: object) -> list[tuple]:
        """Ask the collector's database."""
        try:
            base = sqlite3.connect(f"file:{self.folder}/events.db?mode=ro", uri=True, timeout=5)
            try:
                return base.execute(question, values).fetchall()
            finally:
                base.close()
        except sqlite3.OperationalError:
            return [(0,)]  # not made yet

    async def status(self) -> dict:
        """What `hearth status --json` gets."""
        return await asyncio.to_thread(ask, str(self.folder / "control.sock"), "status")

    async def books(self) -> tuple[int, list[dict]]:
        """`hearth collect --check`: its exit code, and the books."""
        process = await self._hearth(
            "collect", "--check", "--json", "--store", f"sqlite://{self.folder}/events.db",
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, _ = await process.communicate()
        return process.returncode or 0, json.loads(out)

    async def _hearth(
        self, *arguments: str, env: dict[str, str] | None = None, stdout: int | None = None
    ) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway.cli.main", *arguments, env=env, stdout=stdout
        )
