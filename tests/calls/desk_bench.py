"""A call desk over a real journal, with an uplink that is the test itself."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from gateway.calls.book import CallBook
from gateway.calls.desk import CallDesk
from gateway.codec import decode_event
from gateway.journal import Journal
from gateway.model import CallState, Kind, Lane, Observation, Stamp, TimeQuality
from gateway.recorder import Recorder
from gateway.settings import CallSettings

DEVICE = "call-bedroom"
QUICK = CallSettings(deliver=3600, accept=3600, repeats=2, cancel=3600, linger=3600)


class Clock:
    """Wall time that a test moves."""

    def __init__(self) -> None:
        self.wall_ms = 1_800_000_000_000
        self.quality = TimeQuality.SYNCHRONISED

    def stamp(self, uptime_ms: int | None = None) -> Stamp:
        return Stamp(b"bootboot", uptime_ms or 0, self.wall_ms, self.quality)


class Rig:
    """One run of hearth's calls; `restart()` is the next, as after kill -9 if `kill=True`."""

    def __init__(self, folder: Path, settings: CallSettings, *, answered: bool) -> None:
        self.folder = folder
        self.settings = settings
        self.answered = answered
        self.clock = Clock()
        self.running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self.journal = Journal.open(
            self.folder / "journal", quota_bytes=4 << 20, clock=self.clock, commit_interval_s=0.01
        )
        self.book = CallBook(self.folder / "calls.json")
        self.desk = CallDesk(
            self.journal,
            Recorder(self.journal, self.clock),
            self.book,
            self.settings,
            self.clock,
            answered=self.answered,
            text_of=lambda call: f"{call.device} calls",
        )
        self.desk.restore()
        self.running = asyncio.create_task(self.desk.run())
        self.signs = self.desk.signs(DEVICE)

    async def stop(self) -> None:
        if self.running:
            self.running.cancel()
            with suppress(asyncio.CancelledError):
                await self.running
            self.running = None
            await asyncio.to_thread(self.journal.close)

    async def restart(self, **settings) -> None:
        await self.stop()
        await self.start()

    def press(self, device: str = DEVICE, **detail):
        seen = Observation(Kind.CALL, detail={"cause": "button", **detail})
        return self.desk.call(device, {"room": "bedroom"}, seen)

    def acknowledge(self) -> None:
        """The far side has all that is durable."""
        self.journal.acknowledge(Lane.URGENT, self.journal.durable(Lane.URGENT))

    async def until(self, state: CallState | None, device: str | None = DEVICE) -> None:
        signs = self.desk.signs(device)
        async with asyncio.timeout(10):
            while signs.state is not state:
                await signs.changed()

    def events(self) -> list:
        """All urgent events that the far side has not acknowledged."""
        found, after = [], 0
        while run := self.journal.read(Lane.URGENT, after, 1 << 20):
            found += [decode_event(payload) for payload in run.payloads]
            after = run.last
        return found

    async def kept(self, state: CallState, text_sent: str = "") -> None:
        """Until the book has a call at this state, and what was texted of it."""
        async with asyncio.timeout(10):
            while (state, text_sent) not in [(it.state, it.text_sent) for it in self.book.read()]:
                await asyncio.sleep(0.005)

    async def told(self, state: str) -> dict:
        """The detail of the event that says so."""
        async with asyncio.timeout(10):
            while True:
                for event in self.events():
                    if event.kind is Kind.CALL_STATE and event.detail["state"] == state:
                        return event.detail
                await asyncio.sleep(0.005)


@asynccontextmanager
async def desk_rig(folder: Path, *, answered: bool = True, **settings):
    merged = {**{name: getattr(QUICK, name) for name in QUICK.__struct_fields__}, **settings}
    rig = Rig(folder, CallSettings(**merged), answered=answered)
    await rig.start()
    try:
        yield rig
    finally:
        await rig.stop()
