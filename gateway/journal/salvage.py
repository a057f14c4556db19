"""Opening the segments of a lane, whatever state they are in.

Opening never fails because of what a segment holds or because the flash refuses a repair, and never
throws a damaged segment away while there is room to keep it: it is set aside under another name.
What was found and what was refused is told (`Trouble`).
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable  # noqa: TC003 - msgspec looks it up at run time
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from gateway.codec import decode_event, gap_of
from gateway.errors import DecodeError, JournalNoRoom
from gateway.journal.format import BLOCK, GIVEN_UP, SegmentHeader, ToldGap, salt_seed
from gateway.journal.geometry import MIN_SEGMENTS
from gateway.journal.recovery import Verdict, decide
from gateway.journal.scan import records, scan
from gateway.journal.segment import Segment

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gateway.journal.files import Files
    from gateway.journal.geometry import LaneGeometry
    from gateway.journal.meta import Meta
    from gateway.model import Lane

SUFFIX = ".seg"
ASIDE_SUFFIX = ".damaged"
MAX_ASIDE = 2  # damaged segments kept for inspection, a lane


class Opened(msgspec.Struct):
    """A lane ready to be written again."""

    live: list[Segment]
    free: deque[Segment]
    next_seq: int = 1
    number: int = 0
    sealed: bool = False  # the newest segment must not be written behind its records
    lost: tuple[tuple[int, int], ...] = ()  # proven losses that no gap tells of yet
    # What the flash refused at opening and must have done before anything can be called stored.
    first: tuple[Callable[[], object], ...] = ()


class Trouble(msgspec.Struct):
    """What opening met. All of it is reported, none of it keeps hearth from starting."""

    set_aside: list[str] = []  # names under which damaged files are kept
    notes: list[str] = []  # what was mended, and what the flash would not do

    def attempt(self, what: str, action: Callable[[], object]) -> bool:
        """Do it; whether the flash let us."""
        try:
            action()
        except OSError as error:
            self.notes.append(f"{what}: {error}")
            return False
        return True

    def attempts(
        self, actions: Mapping[str, Callable[[], object]]
    ) -> tuple[Callable[[], object], ...]:
        """Do them all; those that the flash refused."""
        return tuple(action for what, action in actions.items() if not self.attempt(what, action))


class Salvage:
    """The segments of one lane's folder, sorted by what can be done with them."""

    def __init__(self, files: Files, folder: Path, lane: Lane, trouble: Trouble) -> None:
        """Nothing yet; see `find`."""
        self._files = files
        self._folder = folder
        self._lane = lane
        self._trouble = trouble
        self.used: list[Segment] = []  # with records, oldest first
        self.free: deque[Segment] = deque()
        self._damaged: list[Segment] = []  # not blank, and no header can be read
        self._unreadable = 0  # files that cannot even be opened

    def find(self) -> None:
        """Open every segment file there is; OSError if the folder cannot be listed."""
        for name in self._files.list_dir(self._folder):
            if name.endswith(SUFFIX):
                self._find(name)
        self.used.sort(key=_number)

    def close(self) -> None:
        """Close every file: it came to nothing."""
        for segment in (*self.used, *self.free, *self._damaged):
            segment.close()

    def fit(self, geometry: LaneGeometry, *, may_shrink: bool) -> None:
        """Create segments that are missing; remove free ones that are too many, or cut short.

        A store that can be worked with is never refused: what it lacks of the quota is told.

        Raises:
            JournalNoRoom: the disk has not even the room to begin; says how much is missing.
            OSError: the folder cannot be used.
        """
        size = self._segment_size() or geometry.segment_bytes
        for segment in [segment for segment in self.free if segment.size != size]:
            if any(segment.read_all()):  # cut short, and its first header is zeros
                self.free.remove(segment)
                self._damaged.append(segment)
            else:
                self._remove(segment)
        there = len(self.used) + len(self.free) + len(self._damaged) + self._unreadable
        missing = geometry.total_bytes // size - there - self._aside()
        if missing > 0:
            try:
                self._grow(missing, size)
            except (JournalNoRoom, OSError) as error:
                if len(self.used) + len(self.free) < MIN_SEGMENTS:
                    raise
                self._trouble.notes.append(f"{self._folder.name} stays too small: {error}")
        surplus = -missing if may_shrink else 0
        for _ in range(min(surplus, len(self.free) - MIN_SEGMENTS)):
            self._remove(self.free[-1])

    def open(self, meta: Meta) -> Opened:
        """Decide what the newest segment holds, which segments are needed, which are free.

        Raises:
            OSError: there is no segment to write to.
        """
        self._rescue_newest(meta)
        strangers = [segment for segment in self.used if not self._belongs(segment, meta)]
        self.used = [segment for segment in self.used if segment not in strangers]
        self._set_aside([*self._damaged, *strangers])
        if not self.used and not self.free:
            raise OSError(errno.EIO, "no segment can be used", str(self._folder))
        verdict = self._recover_newest(meta)
        sealed = not self._erase_leftovers(verdict)
        uncertain = self._make_certain(verdict, meta.state.durable[self._lane])
        if meta.forget_gaps(self._lane, verdict.next_seq):
            self._trouble.attempt("save meta", meta.save)
        meta.give_up_told(self._lane)
        acknowledged = meta.state.acknowledged[self._lane]
        lost = tuple(
            (max(first, acknowledged + 1), last)
            for first, last in verdict.lost
            if last > acknowledged and not meta.knows_gap(self._lane, first, last)
        )
        known = meta.state.newest[self._lane]
        number = max([known.number if known else 0, *map(_number, self.used)])
        live = list(self.used)
        while len(live) > 1 and live[1].first_seq - 1 <= acknowledged:
            self.free.append(live.pop(0))
        return Opened(live, self.free, verdict.next_seq, number, sealed, lost, uncertain)

    # --- finding and fitting -------------------------------------------------------------------

    def _find(self, name: str) -> None:
        try:
            segment = Segment.open(self._files, self._folder / name)
        except OSError as error:
            self._trouble.notes.append(f"open {self._folder.name}/{name}: {error}")
            self._unreadable += 1
            return
        if segment.header:
            self.used.append(segment)
        elif segment.is_blank():
            self.free.append(segment)
        else:
            self._damaged.append(segment)

    def _segment_size(self) -> int:
        """An existing store keeps its own; a file that was cut short does not decide it."""
        sizes = (segment.size for segment in (*self.used, *self.free, *self._damaged))
        return max((size for size in sizes if size >= 3 * BLOCK), default=0)

    def _grow(self, count: int, size: int) -> None:
        """All of them, or none is used."""
        room, need = self._files.free_bytes(self._folder), count * size
        if need > room:
            raise JournalNoRoom(
                f"the journal needs {_mib(need)} more, {_mib(room)} are free",
                where=str(self._folder),
                hint=f"free {_mib(need - room)}, or set a smaller [journal] quota",
            )
        taken = set(self._files.list_dir(self._folder))
        names = (f"{i:05d}{SUFFIX}" for i in range(10**5) if f"{i:05d}{SUFFIX}" not in taken)
        new: list[Segment] = []
        try:
            for name in islice(names, count):
                new.append(Segment.create(self._files, self._folder / name, size))  # noqa: PERF401 - those made so far are closed when one fails
            self._files.sync_dir(self._folder)
        except OSError:
            for segment in new:
                segment.close()
            raise
        self.free.extend(new)

    def _remove(self, segment: Segment) -> None:
        self.free.remove(segment)
        segment.close()
        path = segment.path
        self._trouble.attempt(f"remove {self._name(segment)}", lambda: self._files.unlink(path))

    # --- what is damaged -----------------------------------------------------------------------

    def _rescue_newest(self, meta: Meta) -> None:
        """Read the newest segment without its headers, if both are gone: `meta` knows its salt.

        Only the newest has records that nothing else vouches for; of an older one at least the
        range is known that was lost with it. Where the newer slot of `meta` is lost, the other may
        name one that is not the newest any more. That is read as well if it begins where a later
        life of it would begin, too: then there was none.
        """
        newest = meta.state.newest[self._lane]
        if newest is None or any(_number(segment) == newest.number for segment in self.used):
            return
        overtaken = any(_number(segment) > newest.number for segment in self.used)
        # Zeros where the headers were look like a segment that was never used.
        for segments in (self._damaged, self.free):
            for segment in segments:
                found = scan(segment.read_all(), salt_seed(newest.salt), newest.first_seq)
                if found.spans and (not overtaken or found.spans[0].start == BLOCK):
                    header = SegmentHeader(
                        meta.state.journal, self._lane, newest.number, newest.salt, newest.first_seq
                    )
                    segment.adopt(header)
                    segments.remove(segment)
                    self.used.append(segment)
                    self.used.sort(key=_number)
                    self._trouble.notes.append(f"{self._name(segment)}: headers were lost, rebuilt")
                    whole = segment.size == self._segment_size()
                    self._trouble.attempt(
                        "write headers", partial(segment.restore_header, twice=whole)
                    )
                    return

    def _set_aside(self, segments: list[Segment]) -> None:
        """Keep damaged segments under another name, as long as enough others remain."""
        room, size = MAX_ASIDE - self._aside(), self._segment_size()
        for segment in segments:
            name, path = self._name(segment), segment.path
            keep = room > 0 and len(self.used) + len(self.free) >= MIN_SEGMENTS
            if not keep and segment.size == size:
                self.free.append(segment)
                self._trouble.notes.append(f"{name}: damaged, and used again")
                continue
            segment.close()
            target = path.with_suffix(ASIDE_SUFFIX)
            move = partial(self._files.rename, path, target)
            if self._trouble.attempt(f"set aside {name}", move):
                self._trouble.set_aside.append(f"{self._folder.name}/{target.name}")
                room -= 1
        if segments:
            name = self._folder.name
            self._trouble.attempt(f"sync {name}", lambda: self._files.sync_dir(self._folder))

    def _belongs(self, segment: Segment, meta: Meta) -> bool:
        """Neither of the other lane nor of another journal: files get copied by hand."""
        header = segment.header
        return bool(header and header.lane is self._lane and header.journal == meta.state.journal)

    def _aside(self) -> int:
        names = self._files.list_dir(self._folder)
        return sum(name.endswith(ASIDE_SUFFIX) for name in names)

    # --- what the newest holds -----------------------------------------------------------------

    def _make_certain(self, verdict: Verdict, durable: int) -> tuple[Callable[[], object], ...]:
        """Write again what `meta` does not vouch for; see `store.py`."""
        if not self.used or verdict.next_seq - 1 <= durable:
            return ()
        newest = self.used[-1]
        start = BLOCK
        if durable >= newest.first_seq:
            data = newest.read_all()
            for record in records(data, newest.seed, newest.first_seq):
                if record.seq > durable:
                    break
                start = record.end
        whole = newest.size == self._segment_size()
        action = partial(newest.rewrite, start, verdict.end, twice=whole)
        return self._trouble.attempts({f"write {self._name(newest)} again": action})

    def _recover_newest(self, meta: Meta) -> Verdict:
        acknowledged = meta.state.acknowledged[self._lane]
        proven = max(meta.state.durable[self._lane], acknowledged)
        if not self.used:
            lost = ((acknowledged + 1, proven),) if proven > acknowledged else ()
            return Verdict(BLOCK, proven + 1, lost, 0)
        newest = self.used[-1]
        found = scan(newest.read_all(), newest.seed, newest.first_seq)
        for seq, payload in found.gaps:
            self._remember_gap(meta, seq, payload)
        verdict = decide(found, first_seq=newest.first_seq, start=BLOCK, meta_durable=proven)
        newest.end = verdict.end
        return verdict

    def _remember_gap(self, meta: Meta, seq: int, payload: bytes) -> None:
        """A gap event that reached flash just before `meta` could say so is not told twice."""
        try:
            gap = gap_of(decode_event(payload))
        except DecodeError:
            return  # intact, but of no gap this version knows: it is forwarded as it is
        lane = self._lane
        if seq > meta.state.acknowledged[lane] and not meta.knows_gap(lane, gap.first, gap.last):
            given_up = gap.reason in GIVEN_UP
            meta.tell_gap(ToldGap(lane, gap.first, gap.last, seq, given_up))

    def _erase_leftovers(self, verdict: Verdict) -> bool:
        """Whether there are none."""
        if not verdict.erase_through:
            return True
        newest = self.used[-1]
        return self._trouble.attempt(
            f"erase leftovers in {self._name(newest)}",
            lambda: newest.erase(verdict.end, verdict.erase_through),
        )

    def _name(self, segment: Segment) -> str:
        return f"{self._folder.name}/{segment.path.name}"


def _number(segment: Segment) -> int:
    return segment.header.number if segment.header else 0


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
