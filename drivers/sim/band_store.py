"""What virtual bands measured while nobody listened, and how they tell it. Without a radio.

A store takes a request as it was written to the band, and gives the notifications that answer it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from drivers.wristband.wire import colmi_history as log
from drivers.wristband.wire.fff0_history import CONTINUE, DELETE, END, PAGES_A_REQUEST
from drivers.wristband.wire.fff0_record import HEART_RATE, KINDS, SPO2_66, TEMPERATURE, Kind
from drivers.wristband.wire.frame import encode_frame, encode_moment

MINUTE = timedelta(minutes=1)


class Fff0Store:
    """Records of a band of the FFF0 family.

    `spacing` is how far the values of a record of heart rates are apart. `garbled` tears its pages;
    `kinds` are those it has: it refuses others.
    """

    def __init__(self) -> None:
        self.spacing = MINUTE
        self.records_a_page = 10  # as a V8 sends them
        self.garbled = False
        self.kinds = {HEART_RATE, SPO2_66, TEMPERATURE}
        self._values: dict[int, dict[datetime, int]] = {kind.command: {} for kind in KINDS}
        self._told: dict[int, int] = {}  # pages since the last read from the start

    def put(self, kind: Kind, at: datetime, value: int) -> None:
        """Keep a value as it goes over the air; another of the same second is overwritten."""
        self._values[kind.command][at.replace(microsecond=0)] = value

    def count(self, kind: Kind) -> int:
        """How many values of a kind it holds."""
        return len(self._values[kind.command])

    def answer(self, request: bytes) -> list[bytes]:
        """What a request for stored values is answered with."""
        command, mode = request[:2]
        kind = next(kind for kind in KINDS if kind.command == command)
        if kind not in self.kinds:
            return [encode_frame(command | 0x80)]
        if mode == DELETE:
            self._values[command].clear()
            return [encode_frame(command, bytes([mode]))]
        told = self._told.get(command, 0) if mode == CONTINUE else 0
        self._told[command] = told + PAGES_A_REQUEST
        answer = self._pages(kind)[told : told + PAGES_A_REQUEST]
        return [page[:-1] for page in answer] if self.garbled else answer

    def _pages(self, kind: Kind) -> list[bytes]:
        """The end is behind the last records, or alone if there is no room for it."""
        size, records = self.records_a_page, self._records(kind)
        told = [b"".join(records[at : at + size]) for at in range(0, len(records), size)]
        end = bytes([kind.command, END])
        if len(records) % size:
            told[-1] += end
        else:
            told.append(end)
        return told

    def _records(self, kind: Kind) -> list[bytes]:
        """The newest first."""
        starts: list[tuple[datetime, bytearray]] = []
        for at, value in sorted(self._values[kind.command].items()):
            slot = -1
            if starts:
                slot, rest = divmod(at - starts[-1][0], self.spacing)
                slot = slot if not rest else kind.slots
            if not 0 <= slot < kind.slots:
                starts.append((at, bytearray(kind.slots * kind.width)))
                slot = 0
            place = slice(slot * kind.width, (slot + 1) * kind.width)
            starts[-1][1][place] = value.to_bytes(kind.width, "little")
        records = [
            bytes([kind.command]) + number.to_bytes(2, "little") + encode_moment(start) + values
            for number, (start, values) in enumerate(starts)
        ]
        return records[::-1]


class ColmiStore:
    """The heart-rate log of a ring; `garbled` loses a frame of every day."""

    def __init__(self) -> None:
        self.garbled = False
        self._days: dict[bytes, bytearray] = {}

    def put(self, at: datetime, rate: int) -> None:
        """Keep a value in the slot of its five minutes."""
        day = self._days.setdefault(log.encode_day(at.date()), bytearray(log.VALUES_A_DAY))
        day[(60 * at.hour + at.minute) // log.INTERVAL_MIN] = rate

    def answer(self, request: bytes) -> list[bytes]:
        """The frames of the day that was asked for."""
        seconds = int.from_bytes(request[1:5], "little")
        asked = log.encode_day(datetime.fromtimestamp(seconds, UTC).date())
        if asked not in self._days:
            return [encode_frame(log.HEART_RATE_LOG, bytes([log.NOTHING]))]
        values = bytes(self._days[asked])
        rows = [asked + values[:9], *(values[at : at + 13] for at in range(9, len(values), 13))]
        header = bytes([len(rows) + 1, log.INTERVAL_MIN])
        frames = [
            encode_frame(log.HEART_RATE_LOG, bytes([number]) + row)
            for number, row in enumerate([header, *rows])
        ]
        return frames[:2] + frames[3:] if self.garbled else frames
