"""What a band stored while nobody listened: read, told once, and only then deleted on the band.

How far that got is in the notes: for each history the time of the newest value that is durable
here, and for bands that tell live, until when they did. A band that hearth meets for the first time
has no past here: what it stored may be another person's.

A power cut between the flash of some values and their note lets these be told again.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from gateway.clock import uptime_now_ms
from gateway.errors import DecodeError
from gateway.model import Kind, Observation

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from drivers.wristband.command import Command
    from drivers.wristband.family import Family
    from drivers.wristband.history import History, Step, Stored
    from drivers.wristband.teller import Teller
    from gateway.driver import Context

# A band answers within a connection interval or two; while it reads its flash, within a second.
ANSWER_S = 10.0
# Of a week of minutes that is the half; a band that takes longer is broken or hostile.
LONGEST_S = 300.0
# A week of minutes, and some; for a band that has more to say the same holds.
MAX_VALUES = 20_000
# More than any of these bands keeps; older stamps are of a clock that was wrong.
OLDEST = timedelta(days=32)
# The band's clock was set a moment ago, to the second.
AHEAD = timedelta(minutes=2)
# So many values are told before hearth waits for the flash and notes how far it got.
CHUNK = 200
# A band that tells live notes that so seldom: a note is a few blocks of flash.
LIVE_NOTE_S = 900.0

MET = "history.met"
LIVE = "history.live"


class Backfill:
    """The histories of one band on one connection."""

    def __init__(
        self,
        context: Context,
        family: Family,
        teller: Teller,
        write: Callable[[Sequence[Command]], Awaitable[None]],
    ) -> None:
        self._context = context
        self._family = family
        self._teller = teller
        self._write = write
        self._history: History | None = None
        self._steps: asyncio.Queue[Step | DecodeError] = asyncio.Queue()
        self._noted_s = asyncio.get_running_loop().time()
        self.caught_up = False  # whether nothing is left to be read

    def take(self, uuid: str, data: bytes) -> bool:
        """A notification: whether it belongs to the conversation that is going on."""
        if self._history is None:
            return False
        try:
            step = self._history.take(uuid, data)
        except DecodeError as error:
            self._steps.put_nowait(error)
            return True
        if step is not None:
            self._steps.put_nowait(step)
        return step is not None

    async def run(self, now: datetime) -> None:
        """Read every history once. `now` is local time.

        Raises:
            JournalError: what was read could not be kept; the band still has it.
        """
        self._now, self._now_ms = now, uptime_now_ms()
        if self._noted(MET) is None:
            await self._context.notes.put({MET: _naive(now).isoformat()})
            self.caught_up = True
            return
        read = [await self._read(it) for it in self._family.histories(_naive(now), self._since())]
        self.caught_up = all(read)

    async def live(self, until: datetime) -> None:
        """The band told live until then (local time): what it stored meanwhile is known here.

        Not before its histories were read: else what lies between would be skipped for ever.
        """
        self._noted_s = asyncio.get_running_loop().time()
        if self._family.steady and self._family.stores and self.caught_up:
            await self._context.notes.put({LIVE: _naive(until).isoformat()})

    def live_is_due(self) -> bool:
        """Whether it is time to note that again."""
        return asyncio.get_running_loop().time() - self._noted_s >= LIVE_NOTE_S

    # --- one conversation

    async def _read(self, history: History) -> bool:
        uuid = self._family.told_by[0]
        try:
            values = await self._converse(history)
        except (DecodeError, TimeoutError) as error:
            what = str(error) or "the band does not answer"
            self._teller.bad(uuid, "history", f"{history.name}: {what}")
            return False
        self._teller.good(uuid, "history")
        await self._tell(history, self._new(history, values))
        await self._write(history.forget())
        return True

    async def _converse(self, history: History) -> list[Stored]:
        values: list[Stored] = []
        self._history, self._steps = history, asyncio.Queue()
        try:
            async with asyncio.timeout(LONGEST_S):
                await self._write(history.begin())
                while True:
                    step = await self._next(history)
                    values += step.stored
                    if len(values) > MAX_VALUES:
                        raise DecodeError(f"more than {MAX_VALUES} values")
                    if step.done:
                        return values
                    await self._write(step.write)
        finally:
            self._history = None

    async def _next(self, history: History) -> Step:
        """The next step; one that follows from silence, if the band says nothing."""
        try:
            async with asyncio.timeout(ANSWER_S):
                step = await self._steps.get()
        except TimeoutError:
            if (silent := history.silent()) is None:
                raise
            return silent
        if isinstance(step, DecodeError):
            raise step
        return step

    def _new(self, history: History, values: list[Stored]) -> list[Stored]:
        """What is not known here, oldest first."""
        since, now = self._since()[history.name], _naive(self._now)
        plausible = [it for it in values if now - OLDEST <= it.at <= now + AHEAD]
        if refused := len(values) - len(plausible):
            what = f"{history.name}: {refused} values of a time that cannot be"
            self._teller.bad(self._family.told_by[0], "clock", what)
        return sorted((it for it in plausible if it.at > since), key=lambda it: it.at)

    async def _tell(self, history: History, values: list[Stored]) -> None:
        for start in range(0, len(values), CHUNK):
            chunk = values[start : start + CHUNK]
            for receipt in [self._context.emit(self._observation(value)) for value in chunk]:
                await receipt
            await self._context.notes.put({_key(history.name): chunk[-1].at.isoformat()})

    def _observation(self, value: Stored) -> Observation:
        ago = self._now - value.at.astimezone(self._now.tzinfo)
        return Observation(
            Kind.MEASUREMENT,
            value.reading.measurements,
            detail={**value.reading.detail, "stored": True},
            uptime_ms=self._now_ms - round(ago.total_seconds() * 1000),
        )

    def _since(self) -> dict[str, datetime]:
        """For each history the time up to which its values are known here."""
        floor = [time for key in (MET, LIVE) if (time := self._noted(key))]
        return {
            name: max([*floor, *([time] if (time := self._noted(_key(name))) else [])])
            for name in self._family.stores
        }

    def _noted(self, key: str) -> datetime | None:
        try:
            return datetime.fromisoformat(str(self._context.notes.get(key)))
        except ValueError:  # there is none, or somebody wrote into the file
            return None


def _key(history: str) -> str:
    return f"history.{history}"


def _naive(time: datetime) -> datetime:
    """As a band's clock shows it."""
    return time.replace(tzinfo=None)
