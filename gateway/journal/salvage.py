"""Opening the segments of a lane, whatever state they are in.

Opening never fails because of what a segment holds, and never throws a damaged one away while there
is room to keep it: it is set aside under another name and reported.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import msgspec

from gateway.codec import decode_event, gap_of
from gateway.errors import DecodeError, JournalNoRoom
from gateway.journal.format import BLOCK, ToldGap
from gateway.journal.geometry import MIN_SEGMENTS
from gateway.journal.recovery import decide
from gateway.journal.scan import scan
from gateway.journal.segment import Segment

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.journal.files import Files
    from gateway.journal.format import SegmentHeader
    from gateway.journal.geometry import LaneGeometry
    from gateway.journal.meta import Meta
    from gateway.model import Lane

SUFFIX = ".seg"
ASIDE_SUFFIX = ".damaged"
MAX_ASIDE = 2  # damaged segments kept for inspection, a lane


class Found(msgspec.Struct):
    """The segments of one lane's folder, opened and sorted."""

    used: list[Segment]  # with records, oldest first
    free: deque[Segment]
    damaged: list[Segment]  # not blank, and no header can be read


class Opened(msgspec.Struct):
    """A lane ready to be written again."""

    live: list[Segment]
    free: deque[Segment]
    next_seq: int
    number: int
    lost: list[tuple[int, int]]  # proven losses that no gap tells of yet
    aside: list[str]  # names of segments set aside


def find_segments(files: Files, folder: Path) -> Found:
    """Open every segment file of a lane's folder. Files that creation left unfinished go."""
    found = Found([], deque(), [])
    for name in files.list_dir(folder):
        if not name.endswith(SUFFIX):
            continue
        segment = Segment.open(files, folder / name)
        if segment.header:
            found.used.append(segment)
        elif not segment.is_blank():
            found.damaged.append(segment)
        elif segment.size >= 3 * BLOCK:
            found.free.append(segment)
        else:
            segment.close()
            files.unlink(folder / name)
    found.used.sort(key=lambda segment: _header(segment).number)
    return found


def open_lane(files: Files, folder: Path, lane: Lane, found: Found, meta: Meta) -> Opened:
    """Decide what the newest segment holds, which segments are needed, which are free."""
    acknowledged = meta.state.acknowledged[lane]
    used = [segment for segment in found.used if _belongs(segment, lane, meta)]
    found.damaged += [segment for segment in found.used if not _belongs(segment, lane, meta)]
    found.used = used
    aside = _set_aside(files, folder, found)
    next_seq, lost = _recover_newest(used, meta, lane)
    live = list(used)
    while len(live) > 1 and live[1].first_seq - 1 <= acknowledged:
        found.free.append(live.pop(0))
    lost = [
        (max(first, acknowledged + 1), last)
        for first, last in lost
        if last > acknowledged and not meta.knows_gap(lane, first, last)
    ]
    number = _header(used[-1]).number if used else 0
    return Opened(live, found.free, next_seq, number, lost, aside)


def fit(files: Files, folder: Path, geometry: LaneGeometry, found: Found) -> None:
    """Create segments that are missing; remove free ones that are too many.

    Raises:
        JournalNoRoom: the disk has not the room; says how much is missing.
    """
    opened = [*found.used, *found.free, *found.damaged]
    size = opened[0].size if opened else geometry.segment_bytes  # an existing store keeps its own
    missing = geometry.total_bytes // size - len(opened) - len(_aside(files, folder))
    need = missing * size
    if missing > 0 and need > (room := files.free_bytes(folder)):
        raise JournalNoRoom(
            f"the journal needs {_mib(need)} more, {_mib(room)} are free",
            where=str(folder),
            hint=f"free {_mib(need - room)}, or set a smaller [journal] quota",
        )
    taken = set(files.list_dir(folder))
    names = (f"{i:05d}{SUFFIX}" for i in range(10**5) if f"{i:05d}{SUFFIX}" not in taken)
    for _ in range(missing):
        found.free.append(Segment.create(files, folder / next(names), size))
    for _ in range(min(-missing, len(found.free) - MIN_SEGMENTS)):
        segment = found.free.pop()
        segment.close()
        files.unlink(segment.path)
    files.sync_dir(folder)


def _recover_newest(
    used: list[Segment], meta: Meta, lane: Lane
) -> tuple[int, list[tuple[int, int]]]:
    acknowledged = meta.state.acknowledged[lane]
    proven = max(meta.state.durable[lane], acknowledged)
    if not used:
        return proven + 1, [(acknowledged + 1, proven)] if proven > acknowledged else []
    newest = used[-1]
    found = scan(newest.read_all(), newest.seed, newest.first_seq)
    for seq, payload in found.gaps:
        _remember_gap(meta, lane, seq, payload)
    verdict = decide(found, first_seq=newest.first_seq, start=BLOCK, meta_durable=proven)
    newest.end = verdict.end
    if verdict.erase_through:
        newest.erase(verdict.end, verdict.erase_through)
    return verdict.next_seq, list(verdict.lost)


def _remember_gap(meta: Meta, lane: Lane, seq: int, payload: bytes) -> None:
    """A gap event that reached flash just before `meta` could say so is not told twice."""
    try:
        gap = gap_of(decode_event(payload))
    except DecodeError:
        return  # intact, but of no gap this version knows: it is forwarded as it is
    if seq > meta.state.acknowledged[lane] and not meta.knows_gap(lane, gap.first, gap.last):
        meta.tell_gap(ToldGap(lane, gap.first, gap.last, seq))


def _set_aside(files: Files, folder: Path, found: Found) -> list[str]:
    """Keep damaged segments under another name, as long as enough others remain to work with."""
    room = MAX_ASIDE - len(_aside(files, folder))
    for segment in found.damaged:
        if room > 0 and len(found.used) + len(found.free) >= MIN_SEGMENTS:
            segment.close()
            files.rename(segment.path, segment.path.with_suffix(ASIDE_SUFFIX))
            room -= 1
        else:
            found.free.append(segment)
    names = [segment.path.name for segment in found.damaged]
    if names:
        files.sync_dir(folder)
    return names


def _belongs(segment: Segment, lane: Lane, meta: Meta) -> bool:
    """Neither of the other lane nor of another journal: files get copied by hand."""
    header = _header(segment)
    return header.lane is lane and header.journal == meta.state.journal


def _aside(files: Files, folder: Path) -> list[str]:
    return [name for name in files.list_dir(folder) if name.endswith(ASIDE_SUFFIX)]


def _header(segment: Segment) -> SegmentHeader:
    if segment.header is None:
        raise ValueError(f"{segment.path} is not in use")
    return segment.header


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
