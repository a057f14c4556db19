"""A gateway process, held from outside: started, killed, stopped, and what it says of itself."""

import asyncio
import contextlib
import json
import signal
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

PROGRAM = Path(__file__).with_name("gateway_process.py")
START_S = 20.0


@dataclass
class Plan:
    """How a gateway lives; times in s."""

    gateway: str
    folder: str  # of the journal
    confirmed: str  # the file in which it says what it confirmed
    diary: str  # the file of its standard error
    url: str
    keepalive_s: int = 10
    ack_timeout_s: float = 1.0
    ack_key: str = ""  # the file of the public key whose acknowledgements count
    max_batch: str = "2 KiB"  # some ten events: many batches, many acknowledgements
    commit_interval_s: float = 0.05
    quota_bytes: int = 4 << 20
    burst: int = 10
    routine_every_s: float = 0.1
    urgent_every_s: float = 0.1


class GatewayHandle:
    """One gateway; `prefix` is what its command line begins with, as `ip netns exec NAME`."""

    def __init__(self, plan: Plan, prefix: tuple[str, ...] = ()) -> None:
        self.plan = plan
        self.state: dict = {}
        self.connections: list[float] = []  # when it said that it is connected
        self.disconnections: list[float] = []
        self._prefix = prefix
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task | None = None
        self._news = asyncio.Condition()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def drained(self) -> bool:
        """It makes no more events, and everything durable is acknowledged."""
        return self.state.get("quiet", False) and (
            self.state["durable"] == self.state["acknowledged"]
        )

    async def start(self) -> None:
        """Start, and return when it has opened its journal."""
        self.state = {}
        command = [*self._prefix, sys.executable, str(PROGRAM), json.dumps(asdict(self.plan))]
        pipe = asyncio.subprocess.PIPE
        with Path(self.plan.diary).open("ab") as diary:
            self._process = await asyncio.create_subprocess_exec(
                *command, stdin=pipe, stdout=pipe, stderr=diary
            )
        self._reading = asyncio.create_task(self._read())
        await self.until(bool, "a gateway that starts", START_S)

    async def until(self, condition, what: str, timeout_s: float) -> None:
        """Wait for a state of it."""
        try:
            async with asyncio.timeout(timeout_s), self._news:
                await self._news.wait_for(
                    lambda: not self.running or (self.state and condition(self.state))
                )
        except TimeoutError:
            raise AssertionError(f"never: {what}; {self.state}") from None
        if not self.running:
            raise AssertionError(f"{self.plan.gateway} ended while waiting for {what}")

    async def quiet(self) -> None:
        """No more events."""
        if self.running:
            self._process.stdin.write(b"quiet\n")
            await self._process.stdin.drain()

    async def kill(self) -> None:
        """kill -9."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        """As a daemon stops: no more events, what can be forwarded is."""
        if self.running:
            self._process.stdin.close()
        await self._end(None)

    async def _end(self, number: int | None) -> None:
        if self._process is None:
            return
        if number is not None and self.running:
            self._process.send_signal(number)
        try:
            await asyncio.wait_for(self._process.wait(), 20)
        except TimeoutError:
            self._process.kill()
            raise AssertionError(f"{self.plan.gateway} does not end") from None
        await self._reading
        self._process = None

    async def _read(self) -> None:
        connected = False
        with contextlib.suppress(ValueError):  # the last line may be half a line
            async for line in self._process.stdout:
                self.state = json.loads(line)
                if self.state["connected"] is not connected:
                    connected = self.state["connected"]
                    times = self.connections if connected else self.disconnections
                    times.append(self.state["at_s"])
                async with self._news:
                    self._news.notify_all()
        await self._process.wait()
        async with self._news:
            self._news.notify_all()
