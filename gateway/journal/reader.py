"""Reading a lane's durable events in order, while its writer goes on.

Every record is checked again when it is read: flash forgets. What does not check is looked for
behind the damage, and the loss is told of as a gap.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import msgspec

from gateway.journal.format import FIRST_HEAD_BYTES, MAX_PAYLOAD, decode_record
from gateway.journal.scan import find_next
from gateway.journal.segment import MARK_EVERY

if TYPE_CHECKING:
    from gateway.journal.format import Record
    from gateway.journal.log import Log
    from gateway.journal.segment import Segment

_LONGEST_RECORD = FIRST_HEAD_BYTES + MAX_PAYLOAD


class Run(msgspec.Struct, frozen=True):
    """Neighbouring events: `payloads[0]` has seq `first`, the others follow without a hole."""

    first: int
    payloads: tuple[bytes, ...]

    @property
    def last(self) -> int:
        """Seq of the last event."""
        return self.first + len(self.payloads) - 1


class _Part(msgspec.Struct, frozen=True):
    """The part of one segment that a read looks at: seqs `wanted..last`."""

    segment: Segment
    number: int
    wanted: int
    last: int


class Reader:
    """Reads one lane. Thread-safe; remembers where the last read ended."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._next: tuple[int, int, int] | None = None  # (segment number, seq, offset)

    def read(self, after: int, max_bytes: int) -> Run | None:
        """The next durable events behind `after`; None if there are none, or none to be had now.

        At least one event even if it is larger than `max_bytes`. A run may begin later than
        `after + 1`: a gap event further on tells why. While the flash can't be read at all nothing
        is called lost: the card may come back.
        """
        with self._lock:
            while part := self._part(after):
                try:
                    run, checked_through = self._read_part(part, max_bytes)
                except OSError:
                    return None
                if not self._still_there(part):
                    continue  # recycled while it was read: what was read is void
                if run:
                    return run
                after = max(after, checked_through)
            return None

    def _part(self, after: int) -> _Part | None:
        live, _ = self._log.segments()
        durable = self._log.durable
        wanted = max(after, self._log.acknowledged) + 1
        if wanted > durable or not live:
            return None
        at = max((i for i, s in enumerate(live) if s.first_seq <= wanted), default=0)
        segment = live[at]
        last = live[at + 1].first_seq - 1 if at + 1 < len(live) else durable
        number = segment.header.number if segment.header else 0
        if segment.first_seq > wanted:  # the segment that held them is gone as a whole
            self._log.tell_gap(wanted, segment.first_seq - 1, "damage")
            wanted = segment.first_seq
        return _Part(segment, number, wanted, min(last, durable))

    def _still_there(self, part: _Part) -> bool:
        live, _ = self._log.segments()
        return part.segment in live and bool(
            part.segment.header and part.segment.header.number == part.number
        )

    def _read_part(self, part: _Part, max_bytes: int) -> tuple[Run | None, int]:
        """A run, or nothing and the seq through which the segment holds nothing intact."""
        seq, offset = self._start(part)
        payloads: list[bytes] = []
        total = 0
        cursor = _Cursor(part.segment, offset, max_bytes)
        while seq <= part.last:
            record = cursor.next()
            if record is None or record.seq != seq:
                if payloads:
                    break
                seq = self._skip_damage(part, cursor, seq)
                continue
            if seq >= part.wanted:
                if payloads and total + len(record.payload) > max_bytes:
                    break
                payloads.append(record.payload)
                total += len(record.payload)
            part.segment.mark(seq, cursor.offset)
            cursor.accept(record)
            seq += 1
        self._next = (part.number, seq, cursor.offset)
        if not payloads:
            return None, part.last
        return Run(seq - len(payloads), tuple(payloads)), seq - 1

    def _start(self, part: _Part) -> tuple[int, int]:
        if self._next and self._next[:2] == (part.number, part.wanted):
            return self._next[1:]
        return part.segment.nearest(part.wanted)

    def _skip_damage(self, part: _Part, cursor: _Cursor, seq: int) -> int:
        """Tell of the loss that begins at `seq`; the next intact seq, or one behind the part."""
        data = part.segment.read_all()
        found = find_next(data, part.segment.seed, cursor.offset, seq)
        if found and found[1].seq <= part.last:
            cursor.move(found[0])
            following = found[1].seq
        else:
            following = part.last + 1
        first_lost = max(seq, part.wanted)
        if first_lost < following and self._still_there(part):
            self._log.tell_gap(first_lost, following - 1, "damage")
        return following


class _Cursor:
    """Steps through the records of a segment, reading ahead in chunks."""

    def __init__(self, segment: Segment, offset: int, max_bytes: int) -> None:
        self._segment = segment
        self._chunk_bytes = MARK_EVERY + max_bytes
        self._data = b""
        self._at = 0
        self.offset = offset

    def next(self) -> Record | None:
        """The intact record at the offset, if there is one."""
        record = decode_record(self._data, self._at, self._segment.seed)
        if record is None and len(self._data) - self._at < _LONGEST_RECORD:
            self._fill()
            record = decode_record(self._data, self._at, self._segment.seed)
        return record

    def accept(self, record: Record) -> None:
        """Step behind a record that `next` returned."""
        self.move(self.offset + record.end - self._at)

    def move(self, offset: int) -> None:
        """Go to an offset of the segment."""
        self._at += offset - self.offset
        self.offset = offset
        if not 0 <= self._at <= len(self._data):
            self._data, self._at = b"", 0

    def _fill(self) -> None:
        length = self._chunk_bytes + _LONGEST_RECORD
        try:
            self._data = self._segment.read(self.offset, length)
        except OSError:  # a bad sector somewhere in the chunk: what can be read of it
            whole = self._segment.read_all()
            self._data = whole[self.offset : self.offset + length]
        self._at = 0
