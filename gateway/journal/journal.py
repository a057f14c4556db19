"""The journal as the rest of hearth sees it: two lanes, a lock, one promise."""

from __future__ import annotations

import os
import uuid as uuid_module
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from gateway.codec import encode_event, observe_gap
from gateway.errors import JournalWriteFailed
from gateway.journal.files import Files, OsFiles
from gateway.journal.format import MetaState
from gateway.journal.lock import lock
from gateway.journal.log import Log
from gateway.journal.meta import Meta
from gateway.journal.no_flash import NoFlash
from gateway.journal.reader import Reader
from gateway.journal.retention import expired_through
from gateway.journal.salvage import Opened, Trouble
from gateway.journal.scrub import Scrubber
from gateway.journal.store import open_store
from gateway.journal.unwritten import Unwritten
from gateway.model import Event, Lane

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.clock import Clock
    from gateway.journal.delivery import Delivery
    from gateway.journal.reader import Run
    from gateway.journal.receipt import Receipt
    from gateway.journal.scrub import Scrubbed
    from gateway.model import Gap

DEVICE = "journal"  # the device name of gap events


class LaneStatus(msgspec.Struct, frozen=True):
    """Where a lane stands. Seqs; `backlog` counts events that are not acknowledged.

    `unwritten` events are in memory alone, because the flash refused them; `failed` says why.
    """

    accepted: int
    durable: int
    acknowledged: int
    segments: int
    free_segments: int
    unwritten: int
    failed: str

    @property
    def backlog(self) -> int:
        """Events not yet acknowledged."""
        return self.accepted - self.acknowledged


class Journal:
    """Events on flash, from the moment they are accepted until the far side has them."""

    def __init__(self, meta: Meta, logs: dict[Lane, Log], lock_fd: int, trouble: Trouble) -> None:
        self._meta = meta
        self._logs = logs
        self._readers = {lane: Reader(log) for lane, log in logs.items()}
        self._scrubbers = {lane: Scrubber(log) for lane, log in logs.items()}
        self._lock_fd = lock_fd
        self.trouble = trouble  # what opening found damaged or was refused
        self.unwritten = Unwritten(logs)  # what the flash refused, to be forwarded from memory
        for log in logs.values():
            log.start()

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        quota_bytes: int,
        clock: Clock,
        commit_interval_s: float = 2.0,
        files: Files | None = None,
    ) -> Journal:
        """Open a journal, creating or salvaging it as needed.

        Raises:
            JournalLocked: another process has it open.
            JournalNoRoom: the disk has no room to begin; says how much is missing.
            OSError: the folder cannot be used at all; see `without_flash`.
        """
        folder, files = Path(path), files or OsFiles()
        files.make_dir(folder)
        lock_fd = lock(folder)
        try:
            store = open_store(files, folder, quota_bytes)
        except BaseException:
            os.close(lock_fd)
            raise
        make_log = _LogMaker(store.meta, clock, commit_interval_s)
        logs = {lane: make_log(lane, opened) for lane, opened in store.lanes.items()}
        return cls(store.meta, logs, lock_fd, store.trouble)

    @classmethod
    def without_flash(cls, clock: Clock, reason: OSError) -> Journal:
        """A journal that stores nothing and says so: what it accepts can only be forwarded."""
        no_flash = NoFlash(reason)
        meta = Meta(no_flash, -1, 0, MetaState(uuid_module.uuid4().bytes, (0, 0), (0, 0)))
        make_log = _LogMaker(meta, clock, 0.0)
        nothing = {lane: Opened([], deque([no_flash.segment()])) for lane in Lane}
        logs = {lane: make_log(lane, opened) for lane, opened in nothing.items()}
        return cls(meta, logs, -1, Trouble(notes=[f"the journal cannot be used: {reason}"]))

    @property
    def uuid(self) -> bytes:
        """16 bytes that no other journal has."""
        return self._meta.state.journal

    def append(self, lane: Lane, payload: bytes) -> Receipt:
        """Accept one event. Awaiting the receipt returns once it is on flash.

        Raises:
            JournalSaturated: more waits for the flash than may wait; not accepted.
            JournalClosed: not accepted.
        """
        return self._logs[lane].append(payload)

    def read(self, lane: Lane, after: int, max_bytes: int) -> Run | None:
        """The next durable events behind seq `after`, or None. See Reader.read."""
        return self._readers[lane].read(after, max_bytes)

    def acknowledge(self, lane: Lane, through: int) -> None:
        """Everything up to `through` is stored at the far side and may go."""
        self._logs[lane].acknowledge(through)

    def delivery_of(self, lane: Lane, seq: int) -> Delivery:
        """What becomes of an event that is on flash since an earlier run; see Receipt.delivered."""
        return self._logs[lane].delivery_of(seq)

    def accepted(self, lane: Lane) -> int:
        """Highest seq given out."""
        return self._logs[lane].accepted

    def durable(self, lane: Lane) -> int:
        """Highest seq on flash."""
        return self._logs[lane].durable

    def acknowledged(self, lane: Lane) -> int:
        """Everything up to here is freed."""
        return self._logs[lane].acknowledged

    def watch(self, callback: Callable[[Lane], None]) -> None:
        """Call back, on a writer's thread, after every commit."""
        for log in self._logs.values():
            log.watch(callback)

    def flush(self) -> None:
        """Block until everything accepted so far is on flash.

        Raises:
            JournalWriteFailed: the flash refused; see Receipt.result.
        """
        refused: JournalWriteFailed | None = None
        for log in self._logs.values():
            try:
                log.flush()
            except JournalWriteFailed as error:  # the other lane's wait must end, too
                refused = error
        if refused:
            raise refused

    def scrub(self, lane: Lane) -> Scrubbed | None:
        """Read and check the next segment of a lane; None if nothing waits there. Blocking."""
        return self._scrubbers[lane].step()

    def expire(self, lane: Lane, before_ms: int) -> None:
        """Give up segments whose events are all older than a wall time, with a gap. Blocking.

        Only to be called while the clock is known.
        """
        log = self._logs[lane]
        log.expire(expired_through(log, before_ms))

    def status(self) -> dict[Lane, LaneStatus]:
        """Where each lane stands."""
        status = {}
        for lane, log in self._logs.items():
            live, free = log.segments()
            status[lane] = LaneStatus(
                accepted=log.accepted,
                durable=log.durable,
                acknowledged=log.acknowledged,
                segments=len(live) + free,
                free_segments=free,
                unwritten=self.unwritten.waiting(lane),
                failed=log.failed,
            )
        return status

    @property
    def bytes_written(self) -> int:
        """To flash since the journal was created."""
        return self._meta.state.bytes_written + sum(log.written for log in self._logs.values())

    def close(self) -> None:
        """Commit what waits, save the cursors, give the journal back."""
        for log in self._logs.values():
            log.close()
        self._meta.close()
        if self._lock_fd >= 0:
            os.close(self._lock_fd)


class _LogMaker:
    """Makes the logs of one journal."""

    def __init__(self, meta: Meta, clock: Clock, commit_interval_s: float) -> None:
        self._meta = meta
        self._clock = clock
        self._commit_interval_s = commit_interval_s

    def __call__(self, lane: Lane, opened: Opened) -> Log:
        """A log over what was found; it begins by telling what was lost."""
        log = Log(
            lane,
            meta=self._meta,
            opened=opened,
            interval_s=0.0 if lane is Lane.URGENT else self._commit_interval_s,
            make_gap=self._make_gap,
        )
        for first, last in opened.lost:
            log.tell_gap(first, last, "damage")
        return log

    def _make_gap(self, gap: Gap) -> bytes:
        seen = observe_gap(gap)
        return encode_event(Event(seen.kind, DEVICE, self._clock.stamp(), detail=seen.detail))
