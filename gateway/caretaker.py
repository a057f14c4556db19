"""Looks after the journal: says when the flash fails, reads what waits, gives up what is too old.

Everything it finds becomes a fault event of the device `journal`, told when it begins and when it
is over. On a failing flash that event, like every other, is forwarded from memory.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from gateway.journal import DEVICE, HEADER_COPIES
from gateway.model import Kind, Lane, Observation, TimeQuality
from gateway.recorder import try_to
from gateway.strict import sayable

if TYPE_CHECKING:
    from gateway.clock import Clock
    from gateway.journal import Journal, Scrubbed
    from gateway.model import Scalar
    from gateway.recorder import Recorder
    from gateway.settings import JournalSettings

CHECK_S = 1.0  # how soon a failing flash is told of; the journal itself tries again as often
AGE_CHECK_S = 3600.0  # retention is counted in days
DAY_MS = 86_400_000

log = logging.getLogger("hearth.journal")


class Caretaker:
    """One journal's."""

    def __init__(
        self, journal: Journal, recorder: Recorder, clock: Clock, settings: JournalSettings
    ) -> None:
        self._journal = journal
        self._recorder = recorder
        self._clock = clock
        self._settings = settings
        self._failing: set[Lane] = set()
        self._headless: set[str] = set()  # segments with less than two good headers, told of

    async def run(self) -> None:
        """Look after it until cancelled."""
        self._tell_trouble()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch_flash())
            tasks.create_task(self._scrub())
            if self._settings.retention:
                tasks.create_task(self._expire())

    def _tell_trouble(self) -> None:
        """What opening the journal met."""
        trouble = self._journal.trouble
        for name in trouble.set_aside:
            self._tell({"fault": "journal_damaged", "active": True, "set_aside": name})
        for note in trouble.notes:
            self._tell({"fault": "journal_trouble", "active": True, "what": note})

    async def _watch_flash(self) -> None:
        while True:
            for lane, status in self._journal.status().items():
                if bool(status.failed) is not (lane in self._failing):
                    self._tell_failing(lane, status.failed)
            await asyncio.sleep(CHECK_S)

    def _tell_failing(self, lane: Lane, why: str) -> None:
        told = self._tell(
            {
                "fault": "flash",
                "active": bool(why),
                "lane": lane.name.lower(),
                **({"what": why} if why else {}),
            }
        )
        if told:  # else the journal had no room for it: again at the next look
            (self._failing.add if why else self._failing.discard)(lane)

    async def _scrub(self) -> None:
        while True:
            for lane in Lane:
                await asyncio.sleep(self._settings.scrub_interval / len(Lane))
                scrubbed = await asyncio.to_thread(self._journal.scrub, lane)
                if scrubbed:
                    self._judge(f"{lane.name.lower()}/{scrubbed.name}", scrubbed)

    def _judge(self, segment: str, scrubbed: Scrubbed) -> None:
        lost = sum(last - first + 1 for first, last in scrubbed.lost)
        headless = scrubbed.header_copies < HEADER_COPIES
        if lost or (headless and segment not in self._headless):
            self._tell(
                {
                    "fault": "journal_damaged",
                    "active": True,
                    "segment": segment,
                    "events_lost": lost,
                    "header_copies": scrubbed.header_copies,
                }
            )
        (self._headless.add if headless else self._headless.discard)(segment)

    async def _expire(self) -> None:
        while True:
            now = self._clock.stamp()
            if now.quality is TimeQuality.SYNCHRONISED:
                before_ms = now.wall_ms - round(self._settings.retention * DAY_MS)
                await asyncio.to_thread(self._journal.expire, Lane.ROUTINE, before_ms)
            await asyncio.sleep(AGE_CHECK_S)

    def _tell(self, detail: dict[str, Scalar]) -> bool:
        """As a fault event, and in the log; whether the journal took it."""
        words = {key: sayable(value) for key, value in detail.items()}
        log.warning("%s", " ".join(f"{key}={value}" for key, value in words.items()))
        seen = Observation(Kind.FAULT, detail=words)
        return try_to(lambda seen: self._recorder.record(seen, DEVICE), seen)
