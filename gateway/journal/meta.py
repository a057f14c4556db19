"""What the journal remembers beside its segments: two slots of one block, written in turn.

A torn write can only hurt the slot that was being written; the other one still holds.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import msgspec

from gateway.errors import DecodeError, UnknownVersion
from gateway.journal.format import BLOCK, MetaState, decode_meta, encode_meta
from gateway.model import Lane

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.journal.files import Files
    from gateway.journal.format import ToldGap


class Meta:
    """The `meta` file. Both lanes' writers use it, so every change is made under its lock."""

    def __init__(self, files: Files, fd: int, generation: int, state: MetaState) -> None:
        self._files = files
        self._fd = fd
        self._generation = generation
        self._lock = threading.Lock()
        self.state = state

    @classmethod
    def create(cls, files: Files, path: Path, state: MetaState) -> Meta:
        """A new meta file, durable with its first slot written."""
        fd = files.open(path, create=True)
        files.allocate(fd, 2 * BLOCK)
        meta = cls(files, fd, 0, state)
        meta.save()
        return meta

    @classmethod
    def open(cls, files: Files, path: Path) -> Meta | None:
        """The meta file, or None if there is none or no slot of it is intact."""
        try:
            fd = files.open(path)
        except FileNotFoundError:
            return None
        slots = read_slots(files, fd)
        if not slots:
            files.close(fd)
            return None
        generation, state = max(slots, key=lambda slot: slot[0])
        return cls(files, fd, generation, state)

    def save(self) -> None:
        """Write the state to the older slot, durably."""
        with self._lock:
            self._write()

    def progress(self, lane: Lane, acknowledged: int, durable: int, written: int) -> None:
        """A lane's cursors moved; `written` more bytes went to flash. Durable on return."""
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

    def told_gaps(self, lane: Lane) -> list[ToldGap]:
        """Losses of a lane whose telling is not acknowledged yet."""
        return [gap for gap in self.state.gaps if gap.lane is lane]

    def knows_gap(self, lane: Lane, first: int, last: int) -> bool:
        """Whether a loss that covers `first..last` was told of already."""
        return any(gap.first <= first and last <= gap.last for gap in self.told_gaps(lane))

    def close(self) -> None:
        """Close the file."""
        self._files.close(self._fd)

    def _write(self) -> None:
        self._generation += 1
        slot = encode_meta(self.state, self._generation).ljust(BLOCK, b"\0")
        self._files.pwrite(self._fd, slot, (self._generation % 2) * BLOCK)
        self._files.fdatasync(self._fd)


def read_slots(files: Files, fd: int) -> list[tuple[int, MetaState]]:
    """Generation and state of every intact slot."""
    slots = []
    for index in range(2):
        try:
            slots.append(decode_meta(files.pread(fd, BLOCK, index * BLOCK)))
        except UnknownVersion:
            raise
        except (DecodeError, OSError):
            continue  # being written, or damaged: the other slot may do
    return slots


def _put(pair: tuple[int, int], lane: Lane, value: int) -> tuple[int, int]:
    return (value, pair[1]) if lane is Lane.URGENT else (pair[0], value)
