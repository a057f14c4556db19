"""Looking at a journal without touching it, also while its daemon writes.

Nothing is locked and nothing is written. A segment that is recycled during the look is noticed by
its header and the lane is read again; what a commit has only half written counts as not there yet.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from gateway.codec import decode_event, gap_of
from gateway.errors import DecodeError, JournalError, UnknownVersion
from gateway.journal.files import OsFiles
from gateway.journal.format import BLOCK, MetaState, RecordType, decode_meta
from gateway.journal.salvage import ASIDE_SUFFIX, SUFFIX
from gateway.journal.scan import find_next, records
from gateway.journal.segment import Segment
from gateway.model import Gap, Lane

if TYPE_CHECKING:
    from gateway.journal.files import Files

TRIES = 10  # a lane is recycled every few minutes at most; a look takes milliseconds


class SegmentView(msgspec.Struct, frozen=True):
    """One segment. `first..last` are its intact records; `lost` what is damaged between."""

    name: str
    number: int
    first: int
    last: int
    records: int
    used_bytes: int
    lost: tuple[tuple[int, int], ...]


class Entry(msgspec.Struct, frozen=True):
    """One readable event of a lane."""

    seq: int
    payload: bytes
    is_gap: bool


class LaneView(msgspec.Struct, frozen=True):
    """One lane: cursors, segments that hold needed events, and those events."""

    lane: Lane
    acknowledged: int
    segments: tuple[SegmentView, ...]
    free: int
    aside: tuple[str, ...]
    entries: tuple[Entry, ...]

    @property
    def last(self) -> int:
        """Highest seq found."""
        return max((s.last for s in self.segments), default=self.acknowledged)

    @property
    def gaps(self) -> list[Gap]:
        """The losses that its gap events tell of."""
        return [gap_of(decode_event(entry.payload)) for entry in self.entries if entry.is_gap]

    @property
    def untold(self) -> list[tuple[int, int]]:
        """Needed events that are damaged, and that no gap event tells of yet."""
        told = [(gap.first, gap.last) for gap in self.gaps]
        lost = [pair for segment in self.segments for pair in segment.lost]
        return [
            (max(first, self.acknowledged + 1), last)
            for first, last in lost
            if last > self.acknowledged and not any(a <= first and last <= b for a, b in told)
        ]


class JournalView(msgspec.Struct, frozen=True):
    """A whole journal as it was a moment ago."""

    path: str
    meta: MetaState | None  # None: neither slot is intact
    lanes: tuple[LaneView, ...]


def view(path: str | Path) -> JournalView:
    """Read a journal's folder.

    Raises:
        JournalError: there is no journal, or not one that can be read.
    """
    folder, files = Path(path), OsFiles(read_only=True)
    try:
        meta = _meta(files, folder)
        lanes = tuple(_lane(files, folder, lane, meta) for lane in Lane)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise JournalError("no journal here", where=str(folder)) from error
    except PermissionError as error:
        raise JournalError(
            "not readable for you", where=str(folder), hint="try sudo -u hearth"
        ) from error
    except UnknownVersion as error:
        raise JournalError(str(error), where=str(folder)) from error
    return JournalView(str(folder), meta, lanes)


def _meta(files: Files, folder: Path) -> MetaState | None:
    fd = files.open(folder / "meta")
    try:
        slots = []
        for index in range(2):
            try:
                slots.append(decode_meta(files.pread(fd, BLOCK, index * BLOCK)))
            except UnknownVersion:
                raise
            except DecodeError:
                continue  # being written, or damaged: the other slot tells
        return max(slots, key=lambda slot: slot[0])[1] if slots else None
    finally:
        files.close(fd)


def _lane(files: Files, folder: Path, lane: Lane, meta: MetaState | None) -> LaneView:
    for _ in range(TRIES):
        names = files.list_dir(folder / lane.name.lower())
        segments = [
            Segment.open(files, folder / lane.name.lower() / name)
            for name in names
            if name.endswith(SUFFIX)
        ]
        try:
            found = _read_lane(segments, lane, meta)
        finally:
            for segment in segments:
                segment.close()
        if found:
            aside = tuple(name for name in names if name.endswith(ASIDE_SUFFIX))
            return msgspec.structs.replace(found, aside=aside)
        meta = _meta(files, folder)
    raise JournalError("the journal changes faster than it can be read", where=str(folder))


def _read_lane(segments: list[Segment], lane: Lane, meta: MetaState | None) -> LaneView | None:
    """The lane, or None if a segment was recycled meanwhile."""
    used = sorted((s for s in segments if s.header), key=_number)
    acknowledged = meta.acknowledged[lane] if meta else (used[0].first_seq - 1 if used else 0)
    durable = meta.durable[lane] if meta else 0
    ends = [s.first_seq - 1 for s in used[1:]] + [None] if used else []
    live = [
        (s, end) for s, end in zip(used, ends, strict=True) if end is None or end > acknowledged
    ]
    views, entries = [], []
    for segment, end in live:
        before = segment.header
        looked, found = _look(segment, end, durable)
        segment.read_header()
        if segment.header != before:
            return None
        views.append(looked)
        entries += [entry for entry in found if entry.seq > acknowledged]
    free = len(segments) - len(live)
    return LaneView(lane, acknowledged, tuple(views), free, (), tuple(entries))


def _look(segment: Segment, end: int | None, durable: int) -> tuple[SegmentView, list[Entry]]:
    """What a segment holds up to seq `end` (None: the newest, whose last commit may be torn)."""
    data, entries, lost = segment.read_all(), list[Entry](), list[tuple[int, int]]()
    at, seq, used = BLOCK, segment.first_seq, BLOCK
    while end is None or seq <= end:
        for record in records(data, segment.seed, seq, at):
            entries.append(Entry(record.seq, record.payload, record.type == RecordType.GAP))
            at, seq, used = record.end, record.seq + 1, record.end
            if record.seq == end:
                break
        if seq - 1 == end:
            break
        found = find_next(data, segment.seed, at, seq)
        proven = end if end is not None else durable
        if found and (end is None or found[1].seq <= end):
            lost.append((seq, found[1].seq - 1))
            at, seq = found[0], found[1].seq
            continue
        if proven >= seq:
            lost.append((seq, proven))
        break
    last = entries[-1].seq if entries else segment.first_seq - 1
    looked = SegmentView(
        segment.path.name,
        _number(segment),
        segment.first_seq,
        last,
        len(entries),
        used,
        tuple(pair for pair in lost if pair[0] <= pair[1]),
    )
    return looked, entries


def _number(segment: Segment) -> int:
    return segment.header.number if segment.header else 0
