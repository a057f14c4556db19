"""One lane: what waits (`pending.py`), its segments (`ring.py`), and the thread that writes.

`append` gives an event its seq and puts it into the group that waits; the writer thread takes the
whole group, writes it behind the newest segment's records, and confirms it after one fdatasync.

Order when room is needed: gap durable, then cursor durable, then the segment is free. A segment is
never reused while `meta` on flash could still send a reader to it.

What the flash refuses twice stays in memory, is tried again, and can be claimed (`unwritten.py`).
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from gateway.errors import JournalClosed, JournalError, JournalSaturated, JournalWriteFailed
from gateway.journal.delivery import Deliveries
from gateway.journal.entry import Entry
from gateway.journal.format import AGE, GIVEN_UP, MAX_PAYLOAD, QUOTA, RecordType, ToldGap
from gateway.journal.pending import RETRY_INTERVAL_S, Pending
from gateway.journal.receipt import Commit, Receipt
from gateway.journal.ring import Ring
from gateway.model import Gap, Lane

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.journal.delivery import Delivery
    from gateway.journal.meta import Meta
    from gateway.journal.ring import Written
    from gateway.journal.salvage import Opened
    from gateway.journal.segment import Segment

# Acknowledgements reach `meta` at least this often. After a crash the events since then are sent
# again and refused as duplicates: cheap, while each write of `meta` wears the flash by one block.
CURSOR_INTERVAL_S = 30.0
# What the flash refused may have left by another way. Then nothing waits that would show that the
# flash has recovered: it is asked for one block now and then.
PROBE_INTERVAL_S = 30.0


class Log:
    """The live journal of one lane. Thread-safe."""

    def __init__(
        self,
        lane: Lane,
        *,
        meta: Meta,
        opened: Opened,
        interval_s: float,
        make_gap: Callable[[Gap], bytes],
    ) -> None:
        """A log over an opened lane; `start` begins its writer.

        Args:
            lane: which.
            meta: where cursors and reported gaps are kept.
            opened: its segments, and the seq of the next event.
            interval_s: how long a group may wait; 0 commits at once.
            make_gap: the payload that tells of a gap.
        """
        self.lane = lane
        self._meta = meta
        self._make_gap = make_gap
        self._changed = threading.Condition(threading.Lock())
        self._ring = Ring(lane, meta.state.journal, self._changed, opened)
        # A quarter: the group being written, the one behind it and a gap record still fit into the
        # last free segment while the oldest one is being freed.
        self._limit = min(self._ring.capacity // 4, MAX_PAYLOAD)
        self._pending = Pending(opened.next_seq, interval_s, self._ring.capacity // 4)
        self._deliveries = Deliveries()
        self._in_flight: Commit | None = None
        self._durable = opened.next_seq - 1
        self._acknowledged = meta.state.acknowledged[lane]
        self._saved_acknowledged = self._acknowledged
        self._next_save_s = time.monotonic() + CURSOR_INTERVAL_S
        self._unsaved = False  # `meta` does not know the newest segment yet
        self._meta_refused = ""  # why `meta` could not be saved, until it is
        self._meta_again_s = 0.0  # not saved before this
        self._young_gaps: list[tuple[Entry, int]] = []  # (the gap record, first lost seq)
        self._evicting: tuple[Entry, int] | None = None  # (the gap record, last lost seq)
        self._expired = 0  # everything up to here is too old to be kept
        self._written = 0
        self._closing = False
        self._failed = ""
        self._probe_s = 0.0  # not asked before this whether the flash has recovered
        self._watchers: list[Callable[[Lane], None]] = []
        self._refusal_watchers: list[Callable[[Lane], None]] = []
        # A daemon thread: flash that hangs in a flush must not keep the process from ending.
        self._thread = threading.Thread(
            target=self._run, name=f"journal-{lane.name.lower()}", daemon=True
        )

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    # --- what the rest of hearth calls ---------------------------------------------------------

    def append(self, payload: bytes) -> Receipt:
        """Accept one event.

        Raises:
            JournalClosed, JournalSaturated, JournalError: not accepted.
        """
        with self._changed:
            if self._closing:
                raise JournalClosed("the journal is closed")
            if len(payload) > self._limit:
                raise JournalError(f"an event of {len(payload)} bytes; {self._limit} is the most")
            if self._pending.saturated:
                raise JournalSaturated(
                    "too much waits for the flash already", where=self.lane.name.lower()
                )
            entry = self._add(payload, RecordType.EVENT)
            return Receipt(self.lane, entry, self._pending.commit, self.delivery)

    def tell_gap(self, first: int, last: int, reason: str) -> bool:
        """Record a loss, unless it was told of before; whether it is news."""
        with self._changed:
            if self._meta.knows_gap(self.lane, first, last):
                return False
            self._tell_loss(
                [(first, last)],
                reason,
                retell=lambda told: first <= told.seq <= last,
            )
            return True

    def expire(self, through: int) -> None:
        """Give up what is not acknowledged up to `through`, with a gap: it is too old."""
        with self._changed:
            self._expired = max(self._expired, min(through, self._durable))
            self._changed.notify_all()

    def delivery(self, entry: Entry) -> Delivery:
        """What becomes of an entry of this lane."""
        with self._changed:
            return self._deliveries.of(entry, self._acknowledged)

    def delivery_of(self, seq: int) -> Delivery:
        """What becomes of an event of an earlier run, which has a seq and no entry."""
        return self.delivery(Entry(seq, 0, b""))

    def stored(self, entry: Entry) -> None:
        """A claimed event is stored elsewhere."""
        with self._changed:
            self._deliveries.stored(entry)

    def claim(self, max_bytes: int) -> list[Entry]:
        """Take the oldest events that the flash refused out of the lane: they go another way."""
        with self._changed:
            taken, moved = self._pending.claim(max_bytes)
            for old, new in moved:
                self._meta.move_gap(self.lane, old, new)
            return taken

    def acknowledge(self, through: int) -> None:
        """Everything up to `through` is stored elsewhere and may go."""
        with self._changed:
            if through > self._durable:
                raise JournalError(f"seq {through} is acknowledged, {self._durable} is the newest")
            if through > self._acknowledged:
                was_saved = not self._dirty()
                self._acknowledged = through
                self._deliveries.acknowledge(through)
                if was_saved or self._trimmable():  # else the writer knows when to save
                    self._changed.notify_all()

    def flush(self) -> None:
        """Commit what waits now, and block until it is on flash."""
        with self._changed:
            waiting = self._pending.commit if len(self._pending) else self._in_flight
            self._pending.due_s = 0.0
            self._changed.notify_all()
        if waiting:
            waiting.result()

    def close(self) -> None:
        """Commit what waits, save the cursor, stop the writer."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()
        self._ring.close()

    def watch(self, callback: Callable[[Lane], None]) -> None:
        """Call back (on the writer's thread) after every commit."""
        self._watchers.append(callback)

    def watch_refused(self, callback: Callable[[Lane], None]) -> None:
        """Call back (on the writer's thread) when there is something to claim."""
        self._refusal_watchers.append(callback)

    @property
    def accepted(self) -> int:
        """Highest seq given out."""
        return self._pending.next_seq - 1

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
        return self._pending.refused

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
            return list(self._ring.live), len(self._ring.free)

    # --- accepting (the lock is held) ----------------------------------------------------------

    def _add(self, payload: bytes, kind: int) -> Entry:
        entry, news = self._pending.add(payload, kind)
        if news:
            self._changed.notify_all()
        return entry

    def _tell_loss(
        self,
        ranges: list[tuple[int, int]],
        reason: str,
        *,
        retell: Callable[[ToldGap], bool],
    ) -> Entry:
        """Tell of lost ranges, and again what lost gap events told of; the last gap record."""
        told = (gap for gap in self._meta.told_gaps(self.lane) if retell(gap))
        for first, last in _union(ranges + [(gap.first, gap.last) for gap in told]):
            payload = self._make_gap(Gap(self.lane, first, last, reason))
            entry = self._add(payload, RecordType.GAP)
            given_up = reason in GIVEN_UP
            self._meta.tell_gap(ToldGap(self.lane, first, last, entry.seq, given_up))
            self._young_gaps.append((entry, first))
        return entry

    # --- the writer thread ---------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            with self._changed:
                self._wait()
                group, commit = self._take()
                closing = self._closing
            if group:
                self._write(group, commit)
            elif self._failed and self._probe_s <= time.monotonic():
                self._probe()
            self._tidy(save=closing)
            if closing and (not len(self._pending) or self._failed):
                return

    def _wait(self) -> None:
        """Until there is something to do: a group is due, a segment can go, time to save."""
        while not self._closing:
            now_s = time.monotonic()
            times = [self._pending.due_s] if len(self._pending) else []
            if self._failed and not times:
                times.append(self._probe_s)
            if self._trimmable() or self._expiring() or self._evicted():
                times.append(self._meta_again_s)
            elif self._dirty():
                times.append(self._next_save_s)
            if times and min(times) <= now_s:
                return
            self._changed.wait(min(times) - now_s if times else None)

    def _take(self) -> tuple[list[Entry], Commit | None]:
        due = self._closing or self._pending.due_s <= time.monotonic()
        if not due or not len(self._pending):
            self._in_flight = None
            return [], None
        group, self._in_flight = self._pending.take()
        return group, self._in_flight

    def _write(self, group: list[Entry], commit: Commit | None) -> None:
        try:
            done = 0
            while done < len(group):
                done += self._confirm(self._ring.commit(group[done:] if done else group))
        except OSError as error:
            self._keep_for_retry(group, commit, error)
            return
        self._failed = ""
        if commit:
            commit.set_result(None)

    def _confirm(self, written: Written) -> int:
        """These are on flash; how many they are."""
        self._written += written.flash_bytes
        with self._changed:
            self._durable = written.last
            self._young_gaps = [young for young in self._young_gaps if young[0].seq > written.last]
            if written.begun:
                self._unsaved, self._next_save_s = True, 0.0
        for callback in self._watchers:
            callback(self.lane)
        if written.begun:
            self._meta.begun(written.begun)
        return written.count

    def _keep_for_retry(self, group: list[Entry], commit: Commit | None, error: OSError) -> None:
        """Not durable, not forgotten."""
        with self._changed:
            self._failed = str(error)
            self._probe_s = time.monotonic() + PROBE_INTERVAL_S
            self._pending.give_back([entry for entry in group if entry.seq > self._durable])
        if commit:
            commit.set_exception(
                JournalWriteFailed(
                    f"the flash refused: {error}",
                    where=self.lane.name.lower(),
                    hint="the event is kept in memory and tried again; check the card",
                )
            )
        for callback in self._refusal_watchers:
            callback(self.lane)

    def _probe(self) -> None:
        """See whether the flash takes again what it is given."""
        try:
            self._written += self._ring.probe()
        except OSError as error:
            self._failed = str(error)
            self._probe_s = time.monotonic() + PROBE_INTERVAL_S
        else:
            self._failed = ""

    # --- making room (writer thread) -----------------------------------------------------------

    def _tidy(self, *, save: bool) -> None:
        with self._changed:
            roomy = not self._ring.crowded and not self._evicting
            if not save and roomy and not self._dirty() and not self._expiring():
                return  # the usual case, on the way of every call: keep it short
            now_s = time.monotonic()
            if self._meta_again_s > now_s and not save:
                return
            self._evict()
            trim = self._trimmable()
            if not (trim or save or (self._dirty() and self._next_save_s <= now_s)):
                return
            cursor, durable, written = self._safe_cursor(), self._durable, self._written
        try:
            self._meta.progress(self.lane, cursor, durable, written)
        except OSError as error:
            with self._changed:
                self._written -= written  # `meta` has counted them, and will be saved one day
                self._meta_refused = str(error)
                self._meta_again_s = self._next_save_s = time.monotonic() + RETRY_INTERVAL_S
            return
        with self._changed:
            self._meta_refused = ""
            self._unsaved = False
            self._next_save_s = time.monotonic() + CURSOR_INTERVAL_S
            self._saved_acknowledged = cursor
            self._written -= written
            self._ring.recycle(trim)

    def _evict(self) -> None:
        """Tell of what must go, too old or for want of room; once that is durable, let it go."""
        if self._evicting:
            if not self._evicted():
                return
            self._acknowledged = max(self._acknowledged, self._evicting[1])
            self._deliveries.give_up(self._evicting[1])
            self._evicting = None
        if self._expiring():
            self._give_up(self._expired, AGE)
        elif self._ring.crowded and not self._trimmable() and len(self._ring.live) > 1:
            self._give_up(self._ring.live[1].first_seq - 1, QUOTA)

    def _give_up(self, last: int, reason: str) -> None:
        """Gap events that go with their segment take their message with them: tell it again."""
        lost = [(self._acknowledged + 1, last)]
        self._evicting = (
            self._tell_loss(lost, reason, retell=lambda told: told.seq <= last),
            last,
        )
        self._pending.due_s = 0.0

    def _evicted(self) -> bool:
        """The gap that tells of what must go is on flash."""
        return self._evicting is not None and self._durable >= self._evicting[0].seq

    def _expiring(self) -> bool:
        return self._expired > self._acknowledged and not self._evicting

    def _trimmable(self) -> int:
        """How many of the oldest segments hold nothing that is still needed."""
        return self._ring.trimmable(self._safe_cursor())

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
