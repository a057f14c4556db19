"""Looking at a journal without touching it, also while its daemon writes.

Nothing is locked and nothing is written. A segment that is recycled during the look is noticed by
its header or by the cursor that went before, and the lane is read again; what a commit has only
half written counts as not there yet. A hole is only called damage when a second look finds it, too:
blocks are read one after the other, and a commit may come between.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from gateway.codec import decode_event, gap_of
from gateway.errors import DecodeError, JournalError, UnknownVersion
from gateway.journal.files import OsFiles
from gateway.journal.format import BLOCK, MetaState, RecordType
from gateway.journal.meta import read_slots
from gateway.journal.recovery import decide
from gateway.journal.salvage import ASIDE_SUFFIX, SUFFIX
from gateway.journal.scan import holes, records, scan
from gateway.journal.segment import Segment
from gateway.model import Gap, Lane

if TYPE_CHECKING:
    from gateway.journal.files import Files

    Range = tuple[int, int]  # seqs, first and last

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
    vanished: tuple[tuple[int, int], ...] = ()  # needed events of which not even a segment is left

    @property
    def last(self) -> int:
        """Highest seq found."""
        return max((s.last for s in self.segments), default=self.acknowledged)

    @property
    def gaps(self) -> list[Gap]:
        """The losses that its gap events tell of."""
        gaps = []
        for entry in self.entries:
            if entry.is_gap:
                try:
                    gaps.append(gap_of(decode_event(entry.payload)))
                except DecodeError:
                    continue  # intact, but of no gap this version knows, as when it is opened
        return gaps

    @property
    def lost(self) -> list[tuple[int, int]]:
        """Events that are damaged, whether told of or not."""
        return [*self.vanished, *(pair for segment in self.segments for pair in segment.lost)]

    @property
    def untold(self) -> list[tuple[int, int]]:
        """Needed events that are damaged, and that no gap event tells of yet."""
        told = sorted((gap.first, gap.last) for gap in self.gaps)
        needed = self.acknowledged + 1
        return [part for first, last in self.lost for part in holes(max(first, needed), last, told)]


class JournalView(msgspec.Struct, frozen=True):
    """A whole journal as it was a moment ago."""

    path: str
    meta: MetaState | None  # None: missing, or neither slot is intact
    lanes: tuple[LaneView, ...]


def view(path: str | Path) -> JournalView:
    """Read a journal's folder.

    Raises:
        JournalError: there is no journal, or not one that can be read.
    """
    folder, files = Path(path), OsFiles(read_only=True)
    try:
        lanes = tuple(_lane(files, folder, lane) for lane in Lane)
        meta = _meta(files, folder)
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
    try:
        fd = files.open(folder / "meta")
    except FileNotFoundError:
        return None  # it is rebuilt at the next start; without lanes beside it there is no journal
    try:
        slots = read_slots(files, fd)
        return max(slots, key=lambda slot: slot[0])[1] if slots else None
    finally:
        files.close(fd)


def _lane(files: Files, folder: Path, lane: Lane) -> LaneView:
    """The lane as two looks saw it that agree on what is lost, or one that saw no loss."""
    lost_before: list[Range] | None = None
    for _ in range(TRIES):
        meta = _meta(files, folder)
        found = _look_at_lane(files, folder / lane.name.lower(), lane, meta)
        if found is None or _cursor(_meta(files, folder), lane) != _cursor(meta, lane):
            continue
        if not found.lost or found.lost == lost_before:
            return found
        lost_before = found.lost
    raise JournalError("the journal changes faster than it can be read", where=str(folder))


def _cursor(meta: MetaState | None, lane: Lane) -> int | None:
    return meta.acknowledged[lane] if meta else None


def _look_at_lane(
    files: Files, folder: Path, lane: Lane, meta: MetaState | None
) -> LaneView | None:
    """The lane as it is now, or None if it changed under the look."""
    names = files.list_dir(folder)
    with ExitStack() as opened:
        segments = []
        for name in names:
            if name.endswith(SUFFIX):
                try:
                    segment = Segment.open(files, folder / name)
                except FileNotFoundError:
                    return None  # a daemon that starts removes segments or sets them aside
                except PermissionError:
                    raise
                except OSError:
                    continue  # what it holds is shown as lost, as opening would find it
                opened.callback(segment.close)
                segments.append(segment)
        found = _read_lane(segments, lane, meta)
    if found is None:
        return None
    aside = tuple(name for name in names if name.endswith(ASIDE_SUFFIX))
    return msgspec.structs.replace(found, aside=aside)


def _read_lane(segments: list[Segment], lane: Lane, meta: MetaState | None) -> LaneView | None:
    """The lane, or None if a segment was recycled meanwhile."""
    used = sorted((s for s in segments if _belongs(s, lane, meta)), key=_number)
    first = used[0].first_seq if used else 1
    acknowledged, durable = (
        (meta.acknowledged[lane], meta.durable[lane]) if meta else (first - 1, 0)
    )
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
    kept_from = views[0].first if views else durable + 1
    vanished = ((acknowledged + 1, kept_from - 1),) if kept_from > acknowledged + 1 else ()
    free = len(segments) - len(live)
    return LaneView(lane, acknowledged, tuple(views), free, (), tuple(entries), vanished)


def _belongs(segment: Segment, lane: Lane, meta: MetaState | None) -> bool:
    header = segment.header
    return bool(header and header.lane is lane and (not meta or header.journal == meta.journal))


def _look(segment: Segment, end: int | None, durable: int) -> tuple[SegmentView, list[Entry]]:
    """What a segment holds up to seq `end` (None: the newest, whose last commit may be torn)."""
    data, first = segment.read_all(), segment.first_seq
    found = scan(data, segment.seed, first)
    if end is None:
        verdict = decide(found, first_seq=first, start=BLOCK, meta_durable=durable)
        end, lost = verdict.next_seq - 1, verdict.lost
    else:
        spans = ((span.first, span.last) for span in found.spans)
        lost = tuple(holes(first, end, spans))
    kept = [
        record
        for span in found.spans
        for record in records(data, segment.seed, span.first, span.start)
        if record.seq <= end
    ]
    looked = SegmentView(
        name=segment.path.name,
        number=_number(segment),
        first=first,
        last=kept[-1].seq if kept else first - 1,
        records=len(kept),
        used_bytes=kept[-1].end if kept else BLOCK,
        lost=lost,
    )
    return looked, [Entry(r.seq, r.payload, r.type == RecordType.GAP) for r in kept]


def _number(segment: Segment) -> int:
    return segment.header.number if segment.header else 0
