"""One of hearth's own programs as a child process, started again if it dies, as systemd does."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import TYPE_CHECKING

from gateway.errors import HearthError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STOP_TIMEOUT_S = 20.0  # the daemon drains for 5 s and commits; beyond this it hangs
RESTART_S = 0.2  # systemd's default is 0.1 s
MAX_RESTARTS = 10


class Program:
    """`hearth ARGUMENTS`, kept running until `stop`."""

    def __init__(self, name: str, arguments: list[str], log: Path) -> None:
        self.name = name
        self.died: Callable[[int], None] = lambda _code: None
        self._arguments = arguments
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def pid(self) -> int:
        """Process id; 0 while it does not run."""
        return self._process.pid if self._process else 0

    async def start(self) -> None:
        """Start it and keep it running."""
        await self._spawn()
        self._keeper = asyncio.create_task(self._keep())

    def kill(self) -> None:
        """As a power cut does it: SIGKILL."""
        if self._process:
            self._process.send_signal(signal.SIGKILL)

    async def stop(self) -> int:
        """SIGTERM, and its exit code."""
        self._stopping = True
        process = self._process
        if process is None:
            return 0
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                code = await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
            raise HearthError(f"{self.name} does not stop", hint=f"see {self._log}") from None
        finally:
            if self._keeper:
                await self._keeper
        return code

    async def _keep(self) -> None:
        for _ in range(MAX_RESTARTS):
            if self._process is None:
                return
            code = await self._process.wait()
            if self._stopping:
                return
            self.died(code)
            await asyncio.sleep(RESTART_S)
            await self._spawn()

    async def _spawn(self) -> None:
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "gateway.cli.main",
                *self._arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
