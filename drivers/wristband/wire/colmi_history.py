"""The heart-rate log of Colmi R0x rings: a value every five minutes, asked for day by day.

    15  u32: midnight of the day. Answered by frames (frame.py), b1 their number:
        00 n m              n frames with this one; the values are m minutes apart
        01 t t t t v*9      t u32: the day again
        02 v*13 .. n-1      more values; what is beyond the day means nothing
        FF                  nothing was logged that day
    A value of 0 is none.

Midnight is that of the ring's own clock, counted as if it were UTC: the ring knows no zone, and is
set to local time here. Gadgetbridge and the maker's SDK (getTimeZone in ReadHeartRateRsp) add the
zone's offset; colmi_r02_client speaks UTC throughout, and its captures show midnight UTC.

Slots of today that are still to come may hold what an earlier day left there: they are skipped. No
source has seen values other than 5 minutes apart; the maker's SDK reads m and makes nothing of it.
So another m is an error rather than a guess. The ring keeps a ring buffer: nothing is deleted.

Not read: SpO2. It is on another service, which also takes firmware, and what is stored is the
least and the greatest of every hour, which are measurements of no known moment.

Sources: github.com/tahnok/colmi_r02_client (hr.py, tests/test_hr.py); Gadgetbridge's
ColmiR0xDeviceSupport, which asks for seven days back too; com.oudmon.ble, ReadHeartRateRsp.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from drivers.wristband.command import Command
from drivers.wristband.history import History, Step, Stored
from drivers.wristband.wire.colmi import NOTIFY, WRITE
from drivers.wristband.wire.frame import REFUSED, check_frame, encode_frame
from drivers.wristband.wire.reading import Reading
from gateway.errors import DecodeError
from gateway.model import Measurement

if TYPE_CHECKING:
    from collections.abc import Iterator

HEART_RATE_LOG = 0x15
HEADER, FIRST, NOTHING = 0x00, 0x01, 0xFF
INTERVAL_MIN = 5
VALUES_A_DAY = 24 * 60 // INTERVAL_MIN
MOST_DAYS_BACK = 7

_NONE = frozenset({0, 0xFF})


class HeartRateLog(History):
    """Every day from that of the newest durable value up to today."""

    name = "heart_rate"

    def __init__(self, now: datetime, since: datetime | None) -> None:
        """Both are local and naive."""
        self._now = now
        oldest = now.date() - timedelta(days=MOST_DAYS_BACK)
        first = oldest if since is None else min(max(since.date(), oldest), now.date())
        self._day = first
        self._over = False
        self._await_day()

    def _await_day(self) -> None:
        self._frames = 0  # of this day's answer; known from its header
        self._next = HEADER
        self._values = bytearray()

    def begin(self) -> tuple[Command, ...]:
        """The oldest day first."""
        return (self._ask(),)

    def take(self, uuid: str, data: bytes) -> Step | None:
        """One frame; a day's values come with its last."""
        if self._over or uuid != NOTIFY or not data or data[0] & ~REFUSED != HEART_RATE_LOG:
            return None
        check_frame(data, "heart-rate log")
        if data[0] & REFUSED:
            raise DecodeError(f"the band refused its heart-rate log, code {data[1]:02x}")
        if data[1] == NOTHING and self._next == HEADER:
            return self._finish_day()
        if data[1] != self._next:
            raise DecodeError(f"heart-rate log: frame {data[1]} came instead of {self._next}")
        self._next += 1
        self._read(data)
        return self._finish_day() if self._next == self._frames else Step()

    def _ask(self) -> Command:
        return Command(WRITE, encode_frame(HEART_RATE_LOG, encode_day(self._day)))

    def _read(self, frame: bytes) -> None:
        if frame[1] == HEADER:
            self._frames, interval_min = frame[2:4]
            if self._frames <= FIRST or interval_min != INTERVAL_MIN:
                what = f"{self._frames} frames of values {interval_min} minutes apart"
                raise DecodeError(f"heart-rate log: {what}")
        elif frame[1] == FIRST:
            day = datetime.fromtimestamp(int.from_bytes(frame[2:6], "little"), UTC).date()
            if day != self._day:
                raise DecodeError(f"heart-rate log: asked for {self._day}, told of {day}")
            self._values += frame[6:-1]
        else:
            self._values += frame[2:-1]

    def _finish_day(self) -> Step:
        stored = tuple(self._stored())
        self._over = self._day == self._now.date()
        if self._over:
            return Step(stored, done=True)
        self._day += timedelta(days=1)
        self._await_day()
        return Step(stored, (self._ask(),))

    def _stored(self) -> Iterator[Stored]:
        midnight = datetime.combine(self._day, time())
        for slot, value in enumerate(self._values[:VALUES_A_DAY]):
            at = midnight + slot * timedelta(minutes=INTERVAL_MIN)
            if value not in _NONE and at <= self._now:
                yield Stored(at, Reading((Measurement("heart_rate", value, "beat/min"),)))


def encode_day(day: date) -> bytes:
    """A day as the ring counts it: its midnight in s, as if it were UTC."""
    midnight = datetime.combine(day, time(), UTC)
    return int(midnight.timestamp()).to_bytes(4, "little")
