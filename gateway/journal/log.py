"""One lane: a ring of segments with a writer thread.

`append` gives an event its seq and puts it into the group that waits; the writer thread takes the
whole group, writes it behind the newest segment's records, and confirms it after one fdatasync.
Segments go round: free -> newest -> sealed -> freed when acknowledged (or evicted, with a gap).

Order when room is needed: gap durable, then cursor durable, then the segment is free. A segment is
never reused while `meta` on flash could still send a reader to it.
"""

from __future__ import annotations

import errno
import threading
import time
from typing import TYPE_CHECKING

from gateway.errors import JournalClosed, JournalError, JournalSaturated, JournalWriteFailed
from gateway.journal.format import BLOCK, RecordType, SegmentHeader, ToldGap, encode_record
from gateway.journal.receipt import Commit, Receipt
from gateway.journal.segment import Segment, new_salt
from gateway.model import Gap, Lane

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable

    from gateway.journal.meta import Meta

    Pending = tuple[int, int, bytes]  # seq, record type, payload

# Acknowledgements reach `meta` at least this often. After a crash the events since then are sent
# again and refused as duplicates: cheap, while each write of `meta` wears the flash by one block.
CURSOR_INTERVAL_S = 30.0
RETRY_INTERVAL_S = 1.0  # after the flash refused a group; a person may be waiting for it
_RECORD_OVERHEAD = 32  # bytes; a little more than the longest record head


class Log:
    """The live journal of one lane. Thread-safe."""

    def __init__(
        self,
        lane: Lane,
        *,
        meta: Meta,
        live: list[Segment],
        free: deque[Segment],
        next_seq: int,
        number: int,
        interval_s: float,
        make_gap: Callable[[Gap], bytes],
    ) -> None:
        """A log over opened segments; `start` begins its writer.

        Args:
            lane: which.
            meta: where cursors and reported gaps are kept.
            live: segments with records that are needed, oldest first.
            free: segments to write next.
            next_seq: seq of the next event.
            number: number of the newest segment ever begun.
            interval_s: how long a group may wait; 0 commits at once.
            make_gap: the payload that tells of a gap.
        """
        self.lane = lane
        self._meta = meta
        self._live = live
        self._free = free
        self._number = number
        self._interval_s = interval_s
        self._make_gap = make_gap
        self._changed = threading.Condition(threading.Lock())
        self._next_seq = next_seq
        self._durable = next_seq - 1
        self._acknowledged = meta.state.acknowledged[lane]
        self._saved_acknowledged = self._acknowledged
        self._next_save = time.monotonic() + CURSOR_INTERVAL_S
        self._pending: list[Pending] = []
        self._pending_bytes = 0
        self._due = 0.0
        self._commit = Commit()
        self._in_flight: Commit | None = None
        self._young_gaps: list[tuple[int, int]] = []  # (seq of the gap record, first lost seq)
        self._evicting: tuple[int, int] | None = None  # (seq of the gap record, last lost seq)
        self._written = 0
        self._closing = False
        self._failed = ""
        self._watchers: list[Callable[[Lane], None]] = []
        sizes = [segment.capacity for segment in (*live, *free)]
        # A quarter: the group being written, the one behind it and a gap record still fit into the
        # last free segment while the oldest one is being freed.
        self._limit = min(sizes) // 4
        self._thread = threading.Thread(target=self._run, name=f"journal-{lane.name.lower()}")

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    # --- what the rest of hearth calls ---------------------------------------------------------

    def append(self, payload: bytes, kind: int = RecordType.EVENT) -> Receipt:
        """Accept one event.

        Raises:
            JournalClosed, JournalSaturated: not accepted.
        """
        with self._changed:
            if self._closing:
                raise JournalClosed("the journal is closed")
            if self._pending_bytes > self._limit:
                raise JournalSaturated(
                    f"{self._pending_bytes} bytes wait for the flash", where=self.lane.name.lower()
                )
            return self._enqueue(payload, kind)

    def tell_gap(self, first: int, last: int, reason: str) -> None:
        """Record a loss, unless it was told of before."""
        with self._changed:
            if not self._meta.knows_gap(self.lane, first, last):
                self._tell_gap(first, last, reason)

    def acknowledge(self, through: int) -> None:
        """Everything up to `through` is stored elsewhere and may go."""
        with self._changed:
            if through > self._durable:
                raise JournalError(f"seq {through} is acknowledged, {self._durable} is the newest")
            if through > self._acknowledged:
                self._acknowledged = through
                if self._trimmable():
                    self._changed.notify_all()

    def flush(self) -> None:
        """Commit what waits now, and block until it is on flash."""
        with self._changed:
            waiting = self._commit if self._pending else self._in_flight
            self._due = 0.0
            self._changed.notify_all()
        if waiting:
            waiting.result()

    def close(self) -> None:
        """Commit what waits, save the cursor, stop the writer."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()
        for segment in (*self._live, *self._free):
            segment.close()

    def watch(self, callback: Callable[[Lane], None]) -> None:
        """Call back (on the writer's thread) after every commit."""
        self._watchers.append(callback)

    @property
    def accepted(self) -> int:
        """Highest seq given out."""
        return self._next_seq - 1

    @property
    def durable(self) -> int:
        """Highest seq on flash."""
        return self._durable

    @property
    def acknowledged(self) -> int:
        """Everything up to here is freed."""
        return self._acknowledged

    @property
    def failed(self) -> str:
        """What the flash last refused, or nothing if the last commit went well."""
        return self._failed

    @property
    def written(self) -> int:
        """Bytes that went to flash and are not yet counted in `meta`."""
        return self._written

    def segments(self) -> tuple[list[Segment], int]:
        """The segments that hold needed records, oldest first; how many more are free."""
        with self._changed:
            return list(self._live), len(self._free)

    # --- accepting (the lock is held) ----------------------------------------------------------

    def _enqueue(self, payload: bytes, kind: int) -> Receipt:
        seq = self._next_seq
        self._next_seq += 1
        before = self._pending_bytes
        self._pending_bytes += len(payload) + _RECORD_OVERHEAD
        if not self._pending:
            self._due = time.monotonic() + self._interval_s
            self._changed.notify_all()
        elif before <= self._limit // 2 < self._pending_bytes:
            self._due = 0.0
            self._changed.notify_all()
        self._pending.append((seq, kind, payload))
        return Receipt(self.lane, seq, self._commit)

    def _tell_gap(self, first: int, last: int, reason: str) -> int:
        gap = Gap(self.lane, first, last, reason)
        seq = self._enqueue(self._make_gap(gap), RecordType.GAP).seq
        self._meta.tell_gap(ToldGap(self.lane, first, last, seq))
        self._young_gaps.append((seq, first))
        return seq

    # --- the writer thread ---------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            with self._changed:
                self._wait()
                group, commit = self._take()
                closing = self._closing
            if group:
                self._write(group, commit)
            self._tidy(save=closing)
            if closing and (not self._pending or self._failed):
                return

    def _wait(self) -> None:
        """Until there is something to do: a group is due, a segment can go, time to save."""
        while not self._closing:
            now = time.monotonic()
            if self._pending and self._due <= now:
                return
            if self._trimmable() or (self._dirty() and self._next_save <= now):
                return
            times = [self._due] if self._pending else []
            times += [self._next_save] if self._dirty() else []
            self._changed.wait(min(times) - now if times else None)

    def _take(self) -> tuple[list[Pending], Commit]:
        group, commit = self._pending, self._commit
        self._pending, self._commit = [], Commit()
        self._pending_bytes = 0
        self._in_flight = commit if group else None
        return group, commit

    def _write(self, group: list[Pending], commit: Commit) -> None:
        try:
            done = 0
            while done < len(group):
                done = self._write_some(group, done)
        except OSError as error:
            self._keep_for_retry(group, commit, error)
            return
        self._failed = ""
        commit.set_result(None)

    def _write_some(self, group: list[Pending], done: int) -> int:
        """Commit as much of `group[done:]` as the newest segment takes; how much is done now."""
        if not self._live:
            self._rotate(group[done][0])
        data, count = self._encode(group, done)
        if not data:
            self._rotate(group[done][0])
            data, count = self._encode(group, done)
        try:
            self._live[-1].append(data, group[done][0])
        except OSError:
            # A file whose fdatasync failed is never trusted again: the kernel may have dropped
            # the pages and would call the next flush a success. Once more, elsewhere.
            self._rotate(group[done][0])
            data, count = self._encode(group, done)
            self._live[-1].append(data, group[done][0])
        self._written += _blocks(self._live[-1].end, len(data)) * BLOCK
        self._confirm(group[done + count - 1][0])
        return done + count

    def _encode(self, group: list[Pending], done: int) -> tuple[bytearray, int]:
        segment, data, count = self._live[-1], bytearray(), 0
        synced: int | None = group[done][0] - 1
        for seq, kind, payload in group[done:] if done else group:
            record = encode_record(segment.seed, seq, kind, payload, synced)
            if len(data) + len(record) > segment.room:
                break
            data += record
            count += 1
            synced = None
        return data, count

    def _confirm(self, seq: int) -> None:
        with self._changed:
            self._durable = seq
            self._young_gaps = [gap for gap in self._young_gaps if gap[0] > seq]
        for callback in self._watchers:
            callback(self.lane)

    def _keep_for_retry(self, group: list[Pending], commit: Commit, error: OSError) -> None:
        """Not durable, not forgotten: what is not on flash goes to the front of the next group."""
        self._failed = str(error)
        failure = JournalWriteFailed(
            f"the flash refused: {error}",
            where=self.lane.name.lower(),
            hint="the event is kept in memory and tried again; check the card",
        )
        with self._changed:
            rest = [item for item in group if item[0] > self._durable]
            self._pending = rest + self._pending
            self._pending_bytes += sum(len(item[2]) + _RECORD_OVERHEAD for item in rest)
            self._due = time.monotonic() + RETRY_INTERVAL_S
        commit.set_exception(failure)

    def _rotate(self, first_seq: int) -> None:
        """Begin the next segment. OSError if none is free or its header cannot be written."""
        with self._changed:
            if not self._free:
                raise OSError(errno.ENOSPC, "no free segment")
            segment = self._free.popleft()
        self._number += 1
        journal = self._meta.state.journal
        segment.begin(SegmentHeader(journal, self.lane, self._number, new_salt(), first_seq))
        self._written += 2 * BLOCK
        with self._changed:
            self._live.append(segment)

    # --- making room (writer thread) -----------------------------------------------------------

    def _tidy(self, *, save: bool) -> None:
        with self._changed:
            if not save and self._free and not self._evicting and not self._dirty():
                return  # the usual case, on the way of every call: keep it short
            self._evict()
            trim = self._trimmable()
            due = self._dirty() and self._next_save <= time.monotonic()
            cursor, durable, written = self._safe_cursor(), self._durable, self._written
        if not (trim or due or save):
            return
        try:
            self._meta.progress(self.lane, cursor, durable, written)
        except OSError as error:
            self._failed = str(error)
            trim = 0
        with self._changed:
            self._next_save = time.monotonic() + CURSOR_INTERVAL_S
            self._saved_acknowledged = cursor
            self._written -= written
            self._free.extend(self._live[:trim])
            del self._live[:trim]

    def _evict(self) -> None:
        """When no segment is free: tell the oldest one's loss, and once that is durable, let go."""
        if self._evicting and self._durable >= self._evicting[0]:
            self._acknowledged = max(self._acknowledged, self._evicting[1])
            self._evicting = None
        if self._free or self._evicting or self._trimmable() or len(self._live) < 2:
            return
        last = self._live[1].first_seq - 1
        ranges = [(self._acknowledged + 1, last)]
        # Gap events that go with the segment take their message with them: tell it again.
        ranges += [(g.first, g.last) for g in self._meta.told_gaps(self.lane) if g.seq <= last]
        for first, through in _union(ranges):
            self._evicting = (self._tell_gap(first, through, "quota"), last)
        self._due = 0.0

    def _trimmable(self) -> int:
        """How many of the oldest segments hold nothing that is still needed."""
        cursor, count = self._safe_cursor(), 0
        while count + 1 < len(self._live) and self._live[count + 1].first_seq - 1 <= cursor:
            count += 1
        return count

    def _safe_cursor(self) -> int:
        """The acknowledged seq, held back before losses whose gap is not durable yet."""
        return min([self._acknowledged, *(first - 1 for _, first in self._young_gaps)])

    def _dirty(self) -> bool:
        return self._safe_cursor() != self._saved_acknowledged


def _union(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same seqs in as few ranges as possible."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged


def _blocks(end: int, length: int) -> int:
    """Filesystem blocks that `length` bytes ending at `end` touch."""
    return (end - 1) // BLOCK - (end - length) // BLOCK + 1
