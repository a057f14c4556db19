"""What the journal remembers beside its segments: two slots of one block, written in turn.

A torn write can only hurt the slot that was being written; the other one still holds. A slot whose
write the flash refused is written again before the other one is touched.
"""

from __future__ import annotations

import errno
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

import msgspec

from gateway.errors import DecodeError, UnknownVersion
from gateway.journal.format import BLOCK, MetaState, Newest, decode_meta, encode_meta
from gateway.model import Lane

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.journal.files import Files
    from gateway.journal.format import SegmentHeader, ToldGap


T = TypeVar("T")


class Meta:
    """The `meta` file. Both lanes' writers use it, so every change is made under its lock."""

    def __init__(self, files: Files, fd: int, generation: int, state: MetaState) -> None:
        self._files = files
        self._fd = fd
        self._generation = generation
        self._lock = threading.Lock()
        self._counted_s = time.monotonic()  # seconds before this are in the state
        self.state = state

    def create(self, path: Path) -> None:
        """Give a state that has no file yet a new one, durable with its first slot written."""
        self._fd = self._files.open(path, create=True)
        self._files.allocate(self._fd, 2 * BLOCK)
        self.save()

    @classmethod
    def open(cls, files: Files, path: Path) -> Meta | None:
        """The meta file, or None if there is none or no slot of it is intact.

        Raises:
            OSError: it is there and cannot be read, so nobody knows whether a slot is intact.
        """
        try:
            fd = files.open(path)
        except FileNotFoundError:
            return None
        try:
            slots = read_slots(files, fd)
        except BaseException:
            files.close(fd)
            raise
        if not slots:
            files.close(fd)
            return None
        generation, state = max(slots, key=lambda slot: slot[0])
        return cls(files, fd, generation, state)

    @property
    def on_flash(self) -> bool:
        """There is a file."""
        return self._fd >= 0

    def save(self) -> None:
        """Write the state to the older slot, durably."""
        with self._lock:
            self._write()

    def progress(self, lane: Lane, acknowledged: int, durable: int, written: int) -> None:
        """A lane's cursors moved; `written` more bytes went to flash. Durable on return.

        Raises:
            OSError: the flash refused. The state has changed all the same, and goes with the next.
        """
        with self._lock:
            old = self.state
            gaps = tuple(gap for gap in old.gaps if gap.lane != lane or gap.seq > acknowledged)
            self.state = msgspec.structs.replace(
                old,
                acknowledged=_put(old.acknowledged, lane, acknowledged),
                durable=_put(old.durable, lane, durable),
                gaps=gaps,
                bytes_written=old.bytes_written + written + BLOCK,
            )
            self._write()

    def tell_gap(self, gap: ToldGap) -> None:
        """Remember that this loss was told of; durable with the next save."""
        with self._lock:
            self.state = msgspec.structs.replace(self.state, gaps=(*self.state.gaps, gap))

    def move_gap(self, lane: Lane, seq: int, to_seq: int) -> None:
        """The gap event `seq` is not on flash yet and will have another seq."""
        with self._lock:
            gaps = tuple(
                msgspec.structs.replace(gap, seq=to_seq)
                if (gap.lane, gap.seq) == (lane, seq)
                else gap
                for gap in self.state.gaps
            )
            self.state = msgspec.structs.replace(self.state, gaps=gaps)

    def forget_gaps(self, lane: Lane, from_seq: int) -> bool:
        """Gap events from this seq on never reached the flash; whether there were any."""
        with self._lock:
            gaps = tuple(gap for gap in self.state.gaps if gap.lane != lane or gap.seq < from_seq)
            forgotten = len(gaps) < len(self.state.gaps)
            self.state = msgspec.structs.replace(self.state, gaps=gaps)
            return forgotten

    def give_up_told(self, lane: Lane) -> None:
        """An eviction that was told of and then interrupted is done: the cursor steps over it."""
        with self._lock:
            given_up = (gap.last for gap in self.told_gaps(lane) if gap.given_up)
            cursor = max([self.state.acknowledged[lane], *given_up])
            pair = _put(self.state.acknowledged, lane, cursor)
            self.state = msgspec.structs.replace(self.state, acknowledged=pair)

    def begun(self, header: SegmentHeader) -> None:
        """A lane has a new newest segment; durable with the next save."""
        newest = Newest(header.number, header.salt, header.first_seq)
        with self._lock:
            pair = _put(self.state.newest, header.lane, newest)
            self.state = msgspec.structs.replace(self.state, newest=pair)

    def told_gaps(self, lane: Lane) -> list[ToldGap]:
        """Losses of a lane whose telling is not acknowledged yet."""
        return [gap for gap in self.state.gaps if gap.lane is lane]

    def knows_gap(self, lane: Lane, first: int, last: int) -> bool:
        """Whether a loss that covers `first..last` was told of already."""
        return any(gap.first <= first and last <= gap.last for gap in self.told_gaps(lane))

    def close(self) -> None:
        """Close the file, if there is one; see Segment.close."""
        if self.on_flash:
            with suppress(OSError):
                self._files.close(self._fd)

    def _write(self) -> None:
        now_s = time.monotonic()
        spent_s = int(now_s - self._counted_s)
        self._counted_s += spent_s
        self.state = msgspec.structs.replace(
            self.state, seconds_used=self.state.seconds_used + spent_s
        )
        if not self.on_flash:
            raise OSError(errno.ENOENT, "there is no meta file")
        generation = self._generation + 1
        slot = encode_meta(self.state, generation).ljust(BLOCK, b"\0")
        self._files.pwrite(self._fd, slot, (generation % 2) * BLOCK)
        self._files.fdatasync(self._fd)
        self._generation = generation


def read_slots(files: Files, fd: int) -> list[tuple[int, MetaState]]:
    """Generation and state of every intact slot; OSError if none is, and one cannot be read."""
    slots: list[tuple[int, MetaState]] = []
    refused: OSError | None = None
    for index in range(2):
        try:
            slots.append(decode_meta(files.pread(fd, BLOCK, index * BLOCK)))
        except UnknownVersion:
            raise
        except OSError as error:
            refused = error
        except DecodeError:
            continue  # being written, or damaged: the other slot may do
    if refused and not slots:
        raise refused
    return slots


def _put(pair: tuple[T, T], lane: Lane, value: T) -> tuple[T, T]:
    return (value, pair[1]) if lane is Lane.URGENT else (pair[0], value)
