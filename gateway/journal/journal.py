"""The journal as the rest of hearth sees it: two lanes, a lock, one promise."""

from __future__ import annotations

import fcntl
import os
import uuid as uuid_module
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from gateway.codec import encode_event, observe_gap
from gateway.errors import JournalLocked, UnknownVersion
from gateway.journal.files import Files, OsFiles
from gateway.journal.format import MetaState
from gateway.journal.geometry import divide
from gateway.journal.log import Log
from gateway.journal.meta import Meta
from gateway.journal.reader import Reader
from gateway.journal.salvage import find_segments, fit, open_lane
from gateway.model import Event, Lane

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.clock import Clock
    from gateway.journal.reader import Run
    from gateway.journal.receipt import Receipt
    from gateway.journal.salvage import Found
    from gateway.model import Gap

DEVICE = "journal"  # the device name of gap events


class LaneStatus(msgspec.Struct, frozen=True):
    """Where a lane stands. Seqs; `backlog` counts events that are not acknowledged."""

    accepted: int
    durable: int
    acknowledged: int
    segments: int
    free_segments: int
    failed: str

    @property
    def backlog(self) -> int:
        """Events not yet acknowledged."""
        return self.accepted - self.acknowledged


class Journal:
    """Events on flash, from the moment they are accepted until the far side has them."""

    def __init__(self, meta: Meta, logs: dict[Lane, Log], lock_fd: int, aside: list[str]) -> None:
        self._meta = meta
        self._logs = logs
        self._readers = {lane: Reader(log) for lane, log in logs.items()}
        self._lock_fd = lock_fd
        self.aside = aside  # what opening found damaged and set aside
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
            JournalNoRoom: the disk has no room for the quota; says how much is missing.
            OSError: the path cannot be used at all (permissions, not a directory).
        """
        folder, files = Path(path), files or OsFiles()
        files.make_dir(folder)
        lock_fd = _lock(folder)
        try:
            try:
                found, meta, aside = *_prepare(files, folder, quota_bytes), []
            except UnknownVersion:
                aside = [_set_store_aside(folder, files)]
                found, meta = _prepare(files, folder, quota_bytes)
            lanes = _Lanes(files, folder, clock, commit_interval_s)
            logs = {lane: lanes.open(lane, found[lane], meta, aside) for lane in Lane}
        except BaseException:
            os.close(lock_fd)
            raise
        return cls(meta, logs, lock_fd, aside)

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
        """Block until everything accepted so far is on flash."""
        for log in self._logs.values():
            log.flush()

    def status(self) -> dict[Lane, LaneStatus]:
        """Where each lane stands."""
        status = {}
        for lane, log in self._logs.items():
            live, free = log.segments()
            status[lane] = LaneStatus(
                log.accepted, log.durable, log.acknowledged, len(live) + free, free, log.failed
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
        os.close(self._lock_fd)


def _prepare(files: Files, folder: Path, quota_bytes: int) -> tuple[dict[Lane, Found], Meta]:
    """Make the folder hold what the quota asks for."""
    geometry = divide(quota_bytes)
    found = {}
    for lane in Lane:
        files.make_dir(_folder(folder, lane))
        found[lane] = find_segments(files, _folder(folder, lane))
    for lane in Lane:
        fit(files, _folder(folder, lane), geometry[lane], found[lane])
    return found, _open_meta(files, folder, found)


@dataclass(frozen=True)
class _Lanes:
    """Opens the lanes of one journal."""

    files: Files
    folder: Path
    clock: Clock
    commit_interval_s: float

    def open(self, lane: Lane, found: Found, meta: Meta, aside: list[str]) -> Log:
        """A log over what was found; the names of damaged segments are added to `aside`."""
        opened = open_lane(self.files, _folder(self.folder, lane), lane, found, meta)
        log = Log(
            lane,
            meta=meta,
            live=opened.live,
            free=opened.free,
            next_seq=opened.next_seq,
            number=opened.number,
            interval_s=0.0 if lane is Lane.URGENT else self.commit_interval_s,
            make_gap=self._make_gap,
        )
        for first, last in opened.lost:
            log.tell_gap(first, last, "damage")
        aside += [f"{lane.name.lower()}/{name}" for name in opened.aside]
        return log

    def _make_gap(self, gap: Gap) -> bytes:
        seen = observe_gap(gap)
        return encode_event(Event(seen.kind, DEVICE, self.clock.stamp(), detail=seen.detail))


def _open_meta(files: Files, folder: Path, found: dict[Lane, Found]) -> Meta:
    """The meta file; rebuilt from the segments if it is lost, new if there is nothing at all."""
    meta = Meta.open(files, folder / "meta")
    if meta is None:
        state = _rebuild(found)
        meta = Meta.create(files, folder / "meta", state)
        files.sync_dir(folder)
    return meta


def _rebuild(found: dict[Lane, Found]) -> MetaState:
    headers = [s.header for lane in Lane for s in found[lane].used if s.header]
    journal = headers[-1].journal if headers else uuid_module.uuid4().bytes
    oldest = {lane: min((s.first_seq for s in found[lane].used), default=1) for lane in Lane}
    acknowledged = (oldest[Lane.URGENT] - 1, oldest[Lane.ROUTINE] - 1)
    return MetaState(journal, acknowledged=acknowledged, durable=acknowledged)


def _set_store_aside(folder: Path, files: Files) -> str:
    """A store of a future format is kept, unread, beside the new one."""
    target = folder / f"format-unknown-{uuid_module.uuid4().hex[:8]}"
    files.make_dir(target)
    for name in files.list_dir(folder):
        if name in {"meta", *(lane.name.lower() for lane in Lane)}:
            files.rename(folder / name, target / name)
    files.sync_dir(folder)
    return target.name


def _folder(folder: Path, lane: Lane) -> Path:
    return folder / lane.name.lower()


def _lock(folder: Path) -> int:
    fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
        os.close(fd)
        raise JournalLocked(
            f"process {owner or 'unknown'} has this journal open",
            where=str(folder),
            hint="is hearth already running? systemctl status hearth",
        ) from None
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd
