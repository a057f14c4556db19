"""The segments of one lane, going round: free -> newest -> sealed -> free.

A file whose write or flush failed is not written again in this life of the segment: the kernel may
have dropped the pages, and would call the next flush a success. One segment is kept free as a spare
for that. Its own thread is the only writer; the lists are read by others, so they change under the
log's lock.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import msgspec

from gateway.journal.format import BLOCK, SegmentHeader, encode_record
from gateway.journal.segment import new_salt

if TYPE_CHECKING:
    import threading

    from gateway.journal.entry import Entry
    from gateway.journal.salvage import Opened
    from gateway.journal.segment import Segment
    from gateway.model import Lane

SPARE_SEGMENTS = 1


class Written(msgspec.Struct, frozen=True):
    """What one commit put on flash."""

    last: int  # highest seq
    count: int  # records
    flash_bytes: int  # whole blocks, as the flash is written
    begun: SegmentHeader | None  # of the segment that was begun for it


class Ring:
    """`live` segments hold needed records, oldest first; `free` ones are to be written next."""

    def __init__(
        self,
        lane: Lane,
        journal: bytes,
        lock: threading.Condition,
        opened: Opened,
    ) -> None:
        """A ring over an opened lane; `lock` is the log's."""
        self.live = opened.live
        self.free = opened.free
        self.capacity = max(segment.capacity for segment in (*opened.live, *opened.free))
        self._lane = lane
        self._journal = journal
        self._lock = lock
        self._number = opened.number
        self._sealed = opened.sealed
        self._first = list(opened.first)

    @property
    def crowded(self) -> bool:
        """No more than the spare is free."""
        return len(self.free) <= SPARE_SEGMENTS

    def commit(self, group: list[Entry]) -> Written:
        """Put as many of a group on flash as one segment takes; OSError if the flash refuses."""
        try:
            return self._try(group)
        except OSError:
            return self._try(group)  # once more, elsewhere

    def probe(self) -> int:
        """Write where the next event would go; how many bytes. OSError if the flash refuses."""
        self._make_sure()
        if not self.free:
            raise OSError(errno.ENOSPC, "no free segment")
        self.free[0].erase(BLOCK, 2 * BLOCK)  # what it held is not needed any more
        return BLOCK

    def trimmable(self, cursor: int) -> int:
        """How many of the oldest segments hold nothing behind `cursor`."""
        count = 0
        while count + 1 < len(self.live) and self.live[count + 1].first_seq - 1 <= cursor:
            count += 1
        return count

    def recycle(self, count: int) -> None:
        """The oldest segments are free; one that was cut short (by fsck, say) is not used again."""
        for segment in self.live[:count]:
            if segment.capacity == self.capacity:
                self.free.append(segment)
            else:
                segment.close()
        del self.live[:count]

    def close(self) -> None:
        """Close every file."""
        for segment in (*self.live, *self.free):
            segment.close()

    def _make_sure(self) -> None:
        """What opening could not make sure of comes before anything else."""
        while self._first:
            self._first[0]()
            self._first.pop(0)

    def _try(self, group: list[Entry]) -> Written:
        self._make_sure()
        newest = self.live[-1] if self.live and not self._sealed else None
        data, count = _encode(newest, group) if newest else (bytearray(), 0)
        if not newest or not count:
            return self._begin(group)
        try:
            newest.append(data, group[0].seq)
        except OSError:
            self._sealed = True
            raise
        return Written(group[count - 1].seq, count, _blocks(newest.end, len(data)) * BLOCK, None)

    def _begin(self, group: list[Entry]) -> Written:
        """Commit the first events of a group to a new segment."""
        with self._lock:
            if not self.free:
                raise OSError(errno.ENOSPC, "no free segment")
            segment = self.free.popleft()
        self._number += 1
        first = group[0].seq
        header = SegmentHeader(self._journal, self._lane, self._number, new_salt(), first)
        try:
            segment.begin(header)
            data, count = _encode(segment, group)
            segment.append(data, first)
        except OSError:
            with self._lock:  # to the end of the queue: in its next life all is written anew
                self.free.append(segment)
            raise
        with self._lock:
            self.live.append(segment)
        self._sealed = False
        flash_bytes = (2 + _blocks(segment.end, len(data))) * BLOCK
        return Written(group[count - 1].seq, count, flash_bytes, header)


def _encode(segment: Segment, group: list[Entry]) -> tuple[bytearray, int]:
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


def _blocks(end: int, length: int) -> int:
    """Filesystem blocks that `length` bytes ending at `end` touch."""
    return (end - 1) // BLOCK - (end - length) // BLOCK + 1
