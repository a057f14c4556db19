"""What one lane accepted and the flash does not have yet: groups, and the seqs they will have.

Not thread-safe: the log's lock is held by whoever calls.
"""

from __future__ import annotations

import time

from gateway.errors import JournalWriteFailed
from gateway.journal.entry import Entry
from gateway.journal.format import RecordType
from gateway.journal.receipt import Commit

RETRY_INTERVAL_S = 1.0  # after the flash refused something; a person may be waiting for it
_RECORD_OVERHEAD = 32  # bytes; a little more than the longest record head


class Pending:
    """Entries in the order they were accepted; their seqs follow each other without a hole."""

    def __init__(self, next_seq: int, interval_s: float, limit_bytes: int) -> None:
        """Nothing yet.

        Args:
            next_seq: seq of the next entry.
            interval_s: how long a group may wait; 0 is due at once.
            limit_bytes: how much may wait; half of it makes a group due.
        """
        self.next_seq = next_seq
        self.due_s = 0.0  # when the group is to be written, on time.monotonic()
        self.commit = Commit()  # of the group that waits
        self.refused = 0  # events that the flash refused
        self._interval_s = interval_s
        self._limit_bytes = limit_bytes
        self._entries: list[Entry] = []
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def saturated(self) -> bool:
        """More waits than may wait."""
        return self._bytes > self._limit_bytes

    def add(self, payload: bytes, kind: int) -> tuple[Entry, bool]:
        """A new entry, and whether the writer should look when the group is due."""
        entry = Entry(self.next_seq, kind, payload)
        self.next_seq += 1
        before = self._bytes
        self._bytes += len(payload) + _RECORD_OVERHEAD
        news = True
        if not self._entries or not self._interval_s:  # a call does not wait for a retry's turn
            self.due_s = time.monotonic() + self._interval_s
        elif before <= self._limit_bytes // 2 < self._bytes:
            self.due_s = 0.0
        else:
            news = False
        self._entries.append(entry)
        return entry, news

    def take(self) -> tuple[list[Entry], Commit]:
        """All of it, as one group."""
        group, commit = self._entries, self.commit
        self._entries, self.commit = [], Commit()
        self._bytes = self.refused = 0
        return group, commit

    def give_back(self, refused: list[Entry]) -> None:
        """The flash would not have these: they go to the front, and are tried again after a while.

        At once, if somebody presses meanwhile.
        """
        for entry in refused:
            entry.refused = True
        self.refused += sum(entry.kind == RecordType.EVENT for entry in refused)
        urgent = self._entries and not self._interval_s
        self._entries = refused + self._entries
        self._bytes += sum(len(entry.payload) + _RECORD_OVERHEAD for entry in refused)
        self.due_s = time.monotonic() + (0.0 if urgent else RETRY_INTERVAL_S)

    def claim(self, max_bytes: int) -> tuple[list[Entry], list[tuple[int, int]]]:
        """Take out the oldest refused events, at least one if there is one; what stays moves up.

        If nothing stays, there will be no commit: who waits for it is told.

        Returns:
            They; old and new seq of each gap record that moved.
        """
        taken: list[Entry] = []
        kept: list[Entry] = []
        room = max_bytes
        for entry in self._entries:
            fits = not taken or len(entry.payload) <= room
            if entry.refused and entry.kind == RecordType.EVENT and fits:
                entry.claimed = True
                taken.append(entry)
                room -= len(entry.payload)
            else:
                kept.append(entry)
                room = room if entry.kind == RecordType.GAP else 0  # in order, or not at all
        if not taken:
            return [], []
        moved = self._renumber(kept, self._entries[0].seq)
        self.refused -= len(taken)
        self._bytes -= sum(len(entry.payload) + _RECORD_OVERHEAD for entry in taken)
        if not kept:
            commit, self.commit = self.commit, Commit()
            commit.set_exception(JournalWriteFailed("the flash refused; it goes another way"))
        return taken, moved

    def _renumber(self, entries: list[Entry], first: int) -> list[tuple[int, int]]:
        moved = []
        for seq, entry in enumerate(entries, first):
            if entry.kind == RecordType.GAP and entry.seq != seq:
                moved.append((entry.seq, seq))
            entry.seq = seq
        self._entries = entries
        self.next_seq = first + len(entries)
        return moved
