"""Tells what a meter's hours and days used, once, over power cuts and restarts.

What is over is noted as not told yet, told, awaited until it is on flash, and noted as told. A
power cut before the first note loses nothing, for the counter goes on from the note before; one
between the notes lets the same be told again, with the same values and times. Nothing else does.

Notes are written when an hour is over, when the counter leaps, and at the end: not with every
reading, for each is a few blocks of flash, and a meter is read 1440 times a day. What a power cut
takes is the time of the readings since: the counter still has the use, but a border that lies
between the last note and the first reading after it is not exact, and its periods say so. Only if
the counter leaps during the same power cut, what it counted since the note is gone with it.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from drivers.water.counter import ML_PER_M3, Break
from drivers.water.local_time import written
from drivers.water.period import Period
from drivers.water.volume import State, Volume
from gateway.clock import SystemClock
from gateway.errors import JournalWriteFailed
from gateway.model import Kind, Measurement, Observation, TimeQuality

if TYPE_CHECKING:
    from datetime import tzinfo

    from drivers.water.volume import Told
    from gateway.clock import Clock
    from gateway.driver import Context
    from gateway.model import Scalar

KEY = "volume"
# The last digit of CJ/T 188's counters, the coarsest in use. Meters with a finer one may go back by
# so much, too: where the pressure changes, some litres flow back and forth.
RESOLUTION_M3 = 0.01


class _Note(msgspec.Struct, frozen=True):
    state: State
    untold: tuple[Break | Period, ...] = ()


class Teller:
    """The hours and days of one meter, for as long as the daemon runs."""

    def __init__(self, context: Context, clock: Clock, tz: tzinfo | None = None) -> None:
        note = _read(context)
        self._context = context
        self._clock = clock
        self._tz = tz
        self._volume = Volume(tz, note.state if note else None)
        self._noted = note.state if note else None
        self._untold: deque[Told] = deque(note.untold if note else ())
        self._doubted = False

    async def take(self, volume_m3: float) -> None:
        """A reading of the counter, made now.

        Raises:
            JournalError: what is over was not accepted; it is told with a later reading.
        """
        stamp = self._clock.stamp()
        wall_ms = None if stamp.quality is TimeQuality.UNKNOWN else stamp.wall_ms
        self._untold += self._volume.feed(volume_m3, RESOLUTION_M3, stamp.uptime_ms, wall_ms)
        self._tell_doubt()
        if self._volume.placed and (self._untold or not self._noted):
            await self._settle()

    async def close(self) -> None:
        """Note how far it is, so that the time of the last reading is known after a restart."""
        if self._volume.state != self._noted:
            await self._note()

    async def _settle(self) -> None:
        # What the flash refuses travels from memory, and a meter is read all the same. That the
        # flash does refuse is told by others. It is asked again when the next hour is over.
        with suppress(JournalWriteFailed):
            await self._note()
        receipts = []
        while self._untold:
            receipts.append(self._context.emit(self._observation(self._untold[0])))
            self._untold.popleft()
        with suppress(JournalWriteFailed):
            for receipt in receipts:
                await receipt
            if receipts:
                await self._note()

    async def _note(self) -> None:
        if state := self._volume.state:
            self._noted = state
            note = msgspec.json.encode(_Note(state, tuple(self._untold))).decode()
            await self._context.notes.put({KEY: note})

    def _tell_doubt(self) -> None:
        """A fault when a reading is not believed, and when readings follow again."""
        doubt = self._volume.doubt
        if bool(doubt) is self._doubted:
            return
        words = _was_is(*doubt) if doubt else {}
        detail = {"fault": "volume_implausible", "active": bool(doubt), **words}
        self._context.emit(Observation(Kind.FAULT, detail=detail))
        self._doubted = bool(doubt)

    def _observation(self, told: Told) -> Observation:
        if isinstance(told, Period):
            return self._of_period(told)
        words = _was_is(told.was_ml, told.is_ml)
        detail = {"fault": f"volume_{told.what}", "active": True, **words}
        uptime_ms = self._volume.uptime_ms(told.at_ms)
        return Observation(Kind.FAULT, detail=detail, uptime_ms=uptime_ms)

    def _of_period(self, period: Period) -> Observation:
        detail: dict[str, Scalar] = {
            "from": written(period.start_ms, self._tz),
            "to": written(period.end_ms, self._tz),
            "complete": period.complete,
            "first": period.first_ml / ML_PER_M3,
            "last": period.last_ml / ML_PER_M3,
        }
        if not period.complete:
            detail["covered_from"] = written(period.covered_from_ms, self._tz)
            detail["covered_to"] = written(period.covered_to_ms, self._tz)
        volume = Measurement(f"volume_{period.span}", period.volume_ml / ML_PER_M3, "m3")
        uptime_ms = self._volume.uptime_ms(period.end_ms)
        return Observation(Kind.MEASUREMENT, (volume,), detail=detail, uptime_ms=uptime_ms)


def shared_teller(context: Context) -> Teller:
    """The one of this device; it outlives a driver that fails and is started again."""
    return context.shared(f"water:{context.device}", lambda: Teller(context, SystemClock()))


def _was_is(was_ml: int, is_ml: int) -> dict[str, Scalar]:
    return {"was": was_ml / ML_PER_M3, "is": is_ml / ML_PER_M3}


def _read(context: Context) -> _Note | None:
    """The note of an earlier run; None if there is none, or somebody wrote into the file."""
    with suppress(msgspec.MsgspecError):
        return msgspec.json.decode(str(context.notes.get(KEY)), type=_Note)
    return None
