"""A home with reminders on a clock that the test moves: what was heard, what was told upstream."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import tzinfo
from pathlib import Path
from typing import Any

from virtual_clock import VirtualClock

from gateway.announce import Announcer
from gateway.errors import JournalError
from gateway.model import Kind, Observation
from gateway.reminders import Bell
from gateway.reminders.book import Book
from gateway.settings import AnnounceSettings, RemindersSettings
from gateway.timekeeper import Timekeeper


class Home:
    """`restart` is hearth's, `power_cut` the machine's; the file stays."""

    def __init__(self, path: Path, wall: str, zone: tzinfo, **settings: Any) -> None:
        self.path = path
        self.zone = zone
        self.files = None
        self.clock = VirtualClock(wall, zone)
        self.settings = RemindersSettings(**settings)
        self.has_speaker = True
        self.heard: list[str] = []
        self.events: list[dict[str, Any]] = []
        self.faults: list[dict[str, Any]] = []
        self.refusal: JournalError | None = None
        self.restart()

    def restart(self) -> None:
        """Hearth starts, and finds what is on flash."""
        self.time = Timekeeper(self.clock, self.zone)
        self.announcer = Announcer(AnnounceSettings(language="en"), self.time)
        book = Book(self.path, self.files)
        self.bell = Bell(self.settings, book, self.announcer, self.time, self._emit)

    def power_cut(self, seconds: float) -> None:
        self.clock.power_cut_s(seconds)
        self.restart()

    def _emit(self, observation: Observation) -> asyncio.Future[int]:
        if self.refusal:
            raise self.refusal
        told = self.events if observation.kind is Kind.REMINDER else self.faults
        told.append(dict(observation.detail))
        accepted = asyncio.get_running_loop().create_future()
        accepted.set_result(len(self.events))
        return accepted

    async def look(self) -> None:
        """One look of the bell, and everything that follows from it."""
        await self.bell.look()
        await self.bell.teller.tell()
        if self.has_speaker:
            await self.listen()

    async def listen(self) -> None:
        while True:
            try:
                async with asyncio.timeout(0):
                    utterance = await self.announcer.next()
            except TimeoutError:
                return
            self.heard.append(utterance.text)
            utterance.said()

    async def live(self, seconds: float, step_s: float = 60.0) -> None:
        """Time goes by, and the bell looks."""
        await self.look()
        while seconds > 0:
            self.clock.pass_s(min(step_s, seconds))
            seconds -= step_s
            await self.look()

    async def live_until(self, wall: str, step_s: float = 60.0) -> None:
        from virtual_clock import at_ms

        await self.live((at_ms(wall, self.zone) - self.clock.wall_ms) / 1000, step_s)

    def of(self, state: str) -> list[str]:
        """Occurrences that became this."""
        return [event["occurrence"] for event in self.events if event["state"] == state]

    def states(self) -> list[str]:
        return [event["state"] for event in self.events]

    def rung(self) -> Counter[tuple[str, str]]:
        """How often each occurrence of each reminder rang."""
        return Counter(
            (event["reminder"], event["occurrence"])
            for event in self.events
            if event["state"] == "rung"
        )


def pill(**more: Any) -> dict[str, Any]:
    """A reminder as it comes from upstream."""
    return {
        "id": "pill",
        "kind": "medicine",
        "text": "one white tablet",
        "start": "2026-01-01T08:00:00",
        "rule": "FREQ=DAILY",
    } | more
