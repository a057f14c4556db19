"""How bands of the FFF0 family tell what they stored: pages of records, the newest first.

    request  command, mode, 13 bytes 0, sum. Mode 00: from the newest on; 02: go on; 99: delete all
    page     a notification of records (fff0_record.py) end to end, without a checksum
    end      command FF or just FF, alone or behind the records of a page

The band stops after 50 pages and waits to be asked on. A band that lacks a kind may refuse it
(command + 80) or be silent: nothing is stored, then. 99 is hexadecimal: the SDKs define DATA_DELETE
as decimal 99 and never use it; their demonstrations send 99 hexadecimal. What was stored since the
end is deleted too: that of seconds, in which live values are heard.

What the sources disagree on, and what is done about it:
- How far the values of 54 are apart. A minute: the maker's own program that saves them as CSV
  (com.jstyle.test2025, CsvActivity), and the records in the manual of the 2301 (all at second :59).
  5 s: records of the V8 and V5, exactly 75 s apart. The band does not say. A minute is taken unless
  a record would then last into the next one, or into the future.
- How the end is told. Goqii's SDK wants command FF behind the records, later ones any page with FF
  as its last byte. That may be a value, and what follows would be deleted unread: it is no end.
- Whether 50 is pages or records. Demonstrations count notifications, comments speak of "50 groups
  of data". Pages are counted; if the band is silent before, it is asked on as well.
- Some firmware begins anew instead of ending. When 50 pages, or those until a silence, bring
  nothing new, that is the end; nothing is deleted then.
- Some firmware answers "nothing stored" with an empty frame; this is the end, too.

Sources: those of fff0_record.py, and BleSDK beside them. None has seen modes 02 and 99 on a band.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from drivers.wristband.command import Command
from drivers.wristband.history import History, Step, Stored
from drivers.wristband.wire.fff0 import NOTIFY, WRITE
from drivers.wristband.wire.frame import REFUSED, encode_frame
from gateway.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drivers.wristband.wire.fff0_record import Kind, Record

START, CONTINUE, DELETE = 0x00, 0x02, 0x99
END = 0xFF
PAGES_A_REQUEST = 50
# Two weeks of heart rate at 75 s a record; a band that tells more is broken or hostile.
MOST_RECORDS = 1 << 14

_LONG, _SHORT = timedelta(minutes=1), timedelta(seconds=5)  # between the values of a record


class Fff0History(History):
    """Everything the band stored of one kind; values up to `since` are read, but not told again."""

    def __init__(self, kind: Kind, now: datetime, since: datetime | None) -> None:
        """Times are local and naive; what is later than `now` is left for the next time."""
        self.name = kind.name
        self._kind = kind
        self._now = now
        self._since = datetime.min if since is None else since
        self._records: dict[tuple[datetime, int], Record] = {}  # by time and number
        self._pages = 0  # since the last request
        self._fresh = False  # whether they brought anything new
        self._over = False
        self._read_all = False

    def begin(self) -> tuple[Command, ...]:
        """From the newest on."""
        return (self._ask(START),)

    def take(self, uuid: str, data: bytes) -> Step | None:
        """One page; everything it stored comes with the last."""
        command = self._kind.command
        if self._over or uuid != NOTIFY or not data or data[0] & ~REFUSED != command:
            return None
        if data[0] & REFUSED:
            return self._refused()
        if data == encode_frame(command):
            return self._finish(read_all=False)
        if self._read_page(data):
            return self._finish(read_all=True)
        return self._go_on() if self._pages == PAGES_A_REQUEST else Step()

    def silent(self) -> Step | None:
        """Ask on, if it answered the last request."""
        if self._over:
            return None
        if self._pages:
            return self._go_on()
        lacking = not (self._records or self._kind.every_band)
        return self._finish(read_all=False) if lacking else None

    def forget(self) -> tuple[Command, ...]:
        """Delete all, if all was read."""
        return (self._ask(DELETE),) if self._read_all and self._records else ()

    def _ask(self, mode: int) -> Command:
        return Command(WRITE, encode_frame(self._kind.command, bytes([mode])))

    def _refused(self) -> Step:
        if self._records:
            raise DecodeError(f"the band refused to go on with {self._kind.command:02x}")
        return self._finish(read_all=False)

    def _go_on(self) -> Step:
        if not self._fresh:
            return self._finish(read_all=False)
        self._pages, self._fresh = 0, False
        return Step(write=(self._ask(CONTINUE),))

    def _read_page(self, data: bytes) -> bool:
        """Keep its records; whether it is the last."""
        size = self._kind.size
        whole = len(data) - len(data) % size
        tail = data[whole:]
        if tail and tail not in {bytes([self._kind.command, END]), bytes([END])}:
            raise DecodeError(f"stored {self.name}: a page of {len(data)} bytes ends in a record")
        for at in range(0, whole, size):
            self._keep(self._kind.read(data[at : at + size]))
        self._pages += 1
        return bool(tail)

    def _keep(self, record: Record) -> None:
        key = record.start, record.number
        if key in self._records:
            return
        if len(self._records) == MOST_RECORDS:
            raise DecodeError(f"stored {self.name}: more than {MOST_RECORDS} records")
        self._records[key] = record
        self._fresh = True

    def _finish(self, *, read_all: bool) -> Step:
        self._over = True
        past = [self._records[key] for key in sorted(self._records) if key[0] <= self._now]
        spacing = _spacing(past, self._now)
        stored = [
            Stored(record.start + index * spacing, reading)
            for record in past
            for index, reading in enumerate(record.slots)
            if reading
        ]
        stored.sort(key=_at)
        no_later = len(past) == len(self._records) and not (stored and stored[-1].at > self._now)
        self._read_all = read_all and no_later
        return Step(tuple(it for it in stored if self._since < it.at <= self._now), done=True)


def _at(stored: Stored) -> datetime:
    return stored.at


def _spacing(records: Sequence[Record], now: datetime) -> timedelta:
    """How far values within a record are apart; the records are in order and not of the future."""
    limits = [*(record.start for record in records), now + _LONG][1:]
    for record, limit in zip(records, limits, strict=True):
        last = max((index for index, reading in enumerate(record.slots) if reading), default=0)
        if record.start + last * _LONG > limit:
            return _SHORT
    return _LONG
