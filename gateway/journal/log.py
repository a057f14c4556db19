"""One lane: a ring of segments with a writer thread.

`append` gives an event its seq and puts it into the group that waits; the writer thread takes the
whole group, writes it behind the newest segment's records, and confirms it after one fdatasync.
Segments go round: free -> newest -> sealed -> freed when acknowledged (or evicted, with a gap).

Order when room is needed: gap durable, then cursor durable, then the segment is free. A segment is
never reused while `meta` on flash could still send a reader to it.

A file whose write or flush failed is not written again in this life of the segment: the kernel may
have dropped the pages, and would call the next flush a success. The group goes to the spare. If
that fails too it stays in memory, is tried again, and can be claimed (`unwritten.py`).
"""

from __future__ import annotations

import errno
import threading
import time
from typing import TYPE_CHECKING

from gateway.errors import JournalClosed, JournalError, JournalSaturated, JournalWriteFailed
from gateway.journal.format import (
    BLOCK,
    MAX_PAYLOAD,
    RecordType,
    SegmentHeader,
    ToldGap,
    encode_record,
)
from gateway.journal.receipt import Commit, Entry, Receipt
from gateway.journal.segment import Segment, new_salt
from gateway.model import Gap, Lane

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable

    from gateway.journal.meta import Meta

# Acknowledgements reach `meta` at least this often. After a crash the events since then are sent
# again and refused as duplicates: cheap, while each write of `meta` wears the flash by one block.
CURSOR_INTERVAL_S = 30.0
RETRY_INTERVAL_S = 1.0  # after the flash refused something; a person may be waiting for it
SPARE_SEGMENTS = 1  # always free: where a group goes when the flash refuses the newest segment
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
        sealed: bool,
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
            sealed: the newest segment must not be written behind its records.
            interval_s: how long a group may wait; 0 commits at once.
            make_gap: the payload that tells of a gap.
        """
        self.lane = lane
        self._meta = meta
        self._live = live
        self._free = free
        self._number = number
        self._sealed = sealed
        self._interval_s = interval_s
        self._make_gap = make_gap
        self._changed = threading.Condition(threading.Lock())
        self._next_seq = next_seq
        self._durable = next_seq - 1
        self._acknowledged = meta.state.acknowledged[lane]
        self._saved_acknowledged = self._acknowledged
        self._next_save = time.monotonic() + CURSOR_INTERVAL_S
        self._unsaved = False  # `meta` does not know the newest segment yet
        self._meta_refused = ""  # why `meta` could not be saved, until it is
        self._meta_again = 0.0  # not saved before this
        self._pending: list[Entry] = []
        self._refused = 0  # events among them that the flash refused
        self._pending_bytes = 0
        self._due = 0.0
        self._commit = Commit()
        self._in_flight: Commit | None = None
        self._young_gaps: list[tuple[Entry, int]] = []  # (the gap record, first lost seq)
        self._evicting: tuple[Entry, int] | None = None  # (the gap record, last lost seq)
        self._expired = 0  # everything up to here is too old to be kept
        self._written = 0
        self._closing = False
        self._failed = ""
        self._watchers: list[Callable[[Lane], None]] = []
        self._refusal_watchers: list[Callable[[Lane], None]] = []
        self._capacity = max(segment.capacity for segment in (*live, *free))
        # A quarter: the group being written, the one behind it and a gap record still fit into the
        # last free segment while the oldest one is being freed.
        self._limit = self._capacity // 4
        # A daemon thread: flash that hangs in a flush must not keep the process from ending.
        self._thread = threading.Thread(
            target=self._run, name=f"journal-{lane.name.lower()}", daemon=True
        )

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    # --- what the rest of hearth calls ---------------------------------------------------------

    def append(self, payload: bytes, kind: int = RecordType.EVENT) -> Receipt:
        """Accept one event.

        Raises:
            JournalClosed, JournalSaturated, JournalError: not accepted.
        """
        with self._changed:
            if self._closing:
                raise JournalClosed("the journal is closed")
            if len(payload) > min(self._limit, MAX_PAYLOAD):
                raise JournalError(f"an event of {len(payload)} bytes; {self._limit} is the most")
            if self._pending_bytes > self._limit:
                raise JournalSaturated(
                    f"{self._pending_bytes} bytes wait for the flash", where=self.lane.name.lower()
                )
            return Receipt(self.lane, self._enqueue(payload, kind), self._commit)

    def tell_gap(self, first: int, last: int, reason: str) -> bool:
        """Record a loss, unless it was told of before; whether it is news."""
        with self._changed:
            if self._meta.knows_gap(self.lane, first, last):
                return False
            self._tell_loss(first, last, reason)
            return True

    def expire(self, through: int) -> None:
        """Give up what is not acknowledged up to `through`, with a gap: it is too old."""
        with self._changed:
            self._expired = max(self._expired, min(through, self._durable))
            self._changed.notify_all()

    def claim(self, max_bytes: int) -> list[bytes]:
        """Take the oldest events that the flash refused out of the lane: they go another way.

        At least one if there is one, then as many as fit. What stays moves up.
        """
        with self._changed:
            taken: list[bytes] = []
            kept: list[Entry] = []
            room = max_bytes
            for entry in self._pending:
                fits = not taken or len(entry.payload) <= room
                if entry.refused and entry.kind == RecordType.EVENT and fits:
                    taken.append(entry.payload)
                    room -= len(entry.payload)
                else:
                    kept.append(entry)
                    room = room if entry.kind == RecordType.GAP else 0  # in order, or not at all
            if taken:
                self._renumber(kept, self._pending[0].seq)
                self._refused -= len(taken)
                self._pending_bytes -= sum(map(len, taken)) + len(taken) * _RECORD_OVERHEAD
            return taken

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

    def watch_refused(self, callback: Callable[[Lane], None]) -> None:
        """Call back (on the writer's thread) when there is something to claim."""
        self._refusal_watchers.append(callback)

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
    def refused(self) -> int:
        """How many events the flash refused and nobody claimed."""
        return self._refused

    @property
    def failed(self) -> str:
        """What the flash last refused, or nothing if it took what it was last given."""
        return self._failed or self._meta_refused

    @property
    def written(self) -> int:
        """Bytes that went to flash and are not yet counted in `meta`."""
        return self._written

    def segments(self) -> tuple[list[Segment], int]:
        """The segments that hold needed records, oldest first; how many more are free."""
        with self._changed:
            return list(self._live), len(self._free)

    # --- accepting (the lock is held) ----------------------------------------------------------

    def _enqueue(self, payload: bytes, kind: int) -> Entry:
        entry = Entry(self._next_seq, kind, payload)
        self._next_seq += 1
        before = self._pending_bytes
        self._pending_bytes += len(payload) + _RECORD_OVERHEAD
        if not self._pending or not self._interval_s:  # a call does not wait for a retry's turn
            self._due = time.monotonic() + self._interval_s
            self._changed.notify_all()
        elif before <= self._limit // 2 < self._pending_bytes:
            self._due = 0.0
            self._changed.notify_all()
        self._pending.append(entry)
        return entry

    def _tell_loss(self, first: int, last: int, reason: str) -> None:
        """Tell that `first..last` is lost, with what the gap events among them told of."""
        ranges = [(first, last)]
        ranges += [
            (told.first, told.last)
            for told in self._meta.told_gaps(self.lane)
            if first <= told.seq <= last
        ]
        for begin, end in _union(ranges):
            self._tell_gap(begin, end, reason)

    def _tell_gap(self, first: int, last: int, reason: str) -> Entry:
        gap = Gap(self.lane, first, last, reason)
        entry = self._enqueue(self._make_gap(gap), RecordType.GAP)
        self._meta.tell_gap(ToldGap(self.lane, first, last, entry.seq))
        self._young_gaps.append((entry, first))
        return entry

    def _renumber(self, entries: list[Entry], first: int) -> None:
        """These wait, from seq `first` on."""
        for seq, entry in enumerate(entries, first):
            if entry.kind == RecordType.GAP and entry.seq != seq:
                self._meta.move_gap(self.lane, entry.seq, seq)
            entry.seq = seq
        self._pending = entries
        self._next_seq = first + len(entries)

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
            times = [self._due] if self._pending else []
            if self._trimmable() or self._expiring() or self._evicted():
                times.append(self._meta_again)
            elif self._dirty():
                times.append(self._next_save)
            if times and min(times) <= now:
                return
            self._changed.wait(min(times) - now if times else None)

    def _take(self) -> tuple[list[Entry], Commit]:
        if self._pending and self._due > time.monotonic() and not self._closing:
            return [], self._commit
        group, commit = self._pending, self._commit
        self._pending, self._commit = [], Commit()
        self._pending_bytes = self._refused = 0
        self._in_flight = commit if group else None
        return group, commit

    def _write(self, group: list[Entry], commit: Commit) -> None:
        try:
            done = 0
            while done < len(group):
                done += self._write_some(group[done:] if done else group)
        except OSError as error:
            self._keep_for_retry(group, commit, error)
            return
        self._failed = ""
        commit.set_result(None)

    def _write_some(self, group: list[Entry]) -> int:
        """Commit as many of a group as one segment takes; how many."""
        try:
            return self._try_to_write(group)
        except OSError:
            return self._try_to_write(group)  # once more, elsewhere

    def _try_to_write(self, group: list[Entry]) -> int:
        newest = self._live[-1] if self._live and not self._sealed else None
        data, count = self._encode(newest, group) if newest else (bytearray(), 0)
        if not newest or not count:
            return self._begin_segment(group)
        try:
            newest.append(data, group[0].seq)
        except OSError:
            self._sealed = True
            raise
        self._confirm(newest, len(data), group[count - 1].seq)
        return count

    def _begin_segment(self, group: list[Entry]) -> int:
        """Commit the first events of a group to a new segment; OSError if the flash refuses."""
        with self._changed:
            if not self._free:
                raise OSError(errno.ENOSPC, "no free segment")
            segment = self._free.popleft()
        self._number += 1
        journal, first = self._meta.state.journal, group[0].seq
        header = SegmentHeader(journal, self.lane, self._number, new_salt(), first)
        try:
            segment.begin(header)
            data, count = self._encode(segment, group)
            segment.append(data, first)
        except OSError:
            with self._changed:  # to the end of the queue: in its next life all is written anew
                self._free.append(segment)
            raise
        with self._changed:
            self._live.append(segment)
            self._sealed = False
            self._unsaved = True
            self._next_save = 0.0
        self._written += 2 * BLOCK
        self._confirm(segment, len(data), group[count - 1].seq)
        self._meta.begun(header)
        return count

    def _encode(self, segment: Segment, group: list[Entry]) -> tuple[bytearray, int]:
        """The bytes of as many of a group as a segment has room for; how many."""
        data, count = bytearray(), 0
        synced: int | None = group[0].seq - 1
        for entry in group:
            record = encode_record(segment.seed, entry.seq, entry.kind, entry.payload, synced)
            if len(data) + len(record) > segment.room:
                break
            data += record
            count += 1
            synced = None
        return data, count

    def _confirm(self, segment: Segment, length: int, seq: int) -> None:
        self._written += _blocks(segment.end, length) * BLOCK
        with self._changed:
            self._durable = seq
            self._young_gaps = [young for young in self._young_gaps if young[0].seq > seq]
        for callback in self._watchers:
            callback(self.lane)

    def _keep_for_retry(self, group: list[Entry], commit: Commit, error: OSError) -> None:
        """Not durable, not forgotten: what is not on flash goes to the front of the next group."""
        failure = JournalWriteFailed(
            f"the flash refused: {error}",
            where=self.lane.name.lower(),
            hint="the event is kept in memory and tried again; check the card",
        )
        with self._changed:
            self._failed = str(error)
            rest = [entry for entry in group if entry.seq > self._durable]
            for entry in rest:
                entry.refused = True
            self._refused += sum(entry.kind == RecordType.EVENT for entry in rest)
            urgent = self._pending and not self._interval_s  # somebody pressed meanwhile
            self._pending = rest + self._pending
            self._pending_bytes += sum(len(entry.payload) + _RECORD_OVERHEAD for entry in rest)
            self._due = time.monotonic() + (0.0 if urgent else RETRY_INTERVAL_S)
        commit.set_exception(failure)
        for callback in self._refusal_watchers:
            callback(self.lane)

    # --- making room (writer thread) -----------------------------------------------------------

    def _tidy(self, *, save: bool) -> None:
        with self._changed:
            roomy = len(self._free) > SPARE_SEGMENTS and not self._evicting
            if not save and roomy and not self._dirty() and not self._expiring():
                return  # the usual case, on the way of every call: keep it short
            now = time.monotonic()
            if self._meta_again > now and not save:
                return
            self._evict()
            trim = self._trimmable()
            if not (trim or save or (self._dirty() and self._next_save <= now)):
                return
            cursor, durable, written = self._safe_cursor(), self._durable, self._written
        try:
            self._meta.progress(self.lane, cursor, durable, written)
        except OSError as error:
            with self._changed:
                self._written -= written  # `meta` has counted them, and will be saved one day
                self._meta_refused = str(error)
                self._meta_again = self._next_save = time.monotonic() + RETRY_INTERVAL_S
            return
        with self._changed:
            self._meta_refused = ""
            self._unsaved = False
            self._next_save = time.monotonic() + CURSOR_INTERVAL_S
            self._saved_acknowledged = cursor
            self._written -= written
            self._recycle(trim)

    def _recycle(self, count: int) -> None:
        """The oldest segments are free; one that was cut short (by fsck, say) is not used again."""
        for segment in self._live[:count]:
            if segment.capacity == self._capacity:
                self._free.append(segment)
            else:
                segment.close()
        del self._live[:count]

    def _evict(self) -> None:
        """Tell of what must go, too old or for want of room; once that is durable, let it go."""
        if self._evicting:
            if not self._evicted():
                return
            self._acknowledged = max(self._acknowledged, self._evicting[1])
            self._evicting = None
        if self._expiring():
            self._give_up(self._expired, "age")
        elif not (len(self._free) > SPARE_SEGMENTS or self._trimmable() or len(self._live) < 2):
            self._give_up(self._live[1].first_seq - 1, "quota")

    def _give_up(self, last: int, reason: str) -> None:
        ranges = [(self._acknowledged + 1, last)]
        # Gap events that go with the segment take their message with them: tell it again.
        ranges += [(g.first, g.last) for g in self._meta.told_gaps(self.lane) if g.seq <= last]
        for first, through in _union(ranges):
            self._evicting = (self._tell_gap(first, through, reason), last)
        self._due = 0.0

    def _evicted(self) -> bool:
        """The gap that tells of what must go is on flash."""
        return self._evicting is not None and self._durable >= self._evicting[0].seq

    def _expiring(self) -> bool:
        return self._expired > self._acknowledged and not self._evicting

    def _trimmable(self) -> int:
        """How many of the oldest segments hold nothing that is still needed."""
        cursor, count = self._safe_cursor(), 0
        while count + 1 < len(self._live) and self._live[count + 1].first_seq - 1 <= cursor:
            count += 1
        return count

    def _safe_cursor(self) -> int:
        """The acknowledged seq, held back before losses whose gap is not durable yet.

        Not before what `meta` says already: that is a loss told again, and its segment is gone.
        """
        held = min([self._acknowledged, *(first - 1 for _, first in self._young_gaps)])
        return max(held, self._saved_acknowledged)

    def _dirty(self) -> bool:
        return self._unsaved or self._safe_cursor() != self._saved_acknowledged


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
