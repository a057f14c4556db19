"""What a commit costs in bytes of flash: the journal, and SQLite with the same events.

Counted by the block layer on a filesystem of its own, so that nothing is left out: data, inodes,
bitmaps, the filesystem's own journal, SQLite's checkpoints.
"""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING, Protocol

from benchmarks.disk import written_bytes
from benchmarks.journal_events import call, open_journal
from benchmarks.report import Figure
from gateway.model import Lane

if TYPE_CHECKING:
    from pathlib import Path

GROUP = 100


class Store(Protocol):
    """What keeps events until they are acknowledged."""

    def write(self, count: int) -> None:
        """So many events, durably, in one commit."""
        ...

    def acknowledge(self) -> None:
        """Everything written so far is stored elsewhere and may go."""
        ...


class Ours:
    """The journal: a lone event is an urgent one, a group is routine."""

    def __init__(self, folder: Path, payload: bytes) -> None:
        self._journal = open_journal(folder / "journal")
        self._payload = payload

    def write(self, count: int) -> None:
        """Append, and wait until it is on flash."""
        lane = Lane.URGENT if count == 1 else Lane.ROUTINE
        for _ in range(count):
            receipt = self._journal.append(lane, self._payload)
        self._journal.flush()
        receipt.result()

    def acknowledge(self) -> None:
        """The cursor moves; it is written when that frees a segment, or after its interval."""
        for lane in Lane:
            self._journal.acknowledge(lane, self._journal.durable(lane))

    def close(self) -> None:
        """As the daemon does at its end."""
        self._journal.close()


class Sqlite:
    """One table of SQLite, as durable as the journal: WAL, synchronous=FULL."""

    name = f"SQLite {sqlite3.sqlite_version}, WAL, synchronous=FULL"

    def __init__(self, folder: Path, payload: bytes) -> None:
        self._database = sqlite3.connect(folder / "events.db", isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.execute("CREATE TABLE events (seq INTEGER PRIMARY KEY, body BLOB)")
        self._payload = payload

    def write(self, count: int) -> None:
        """One transaction."""
        self._database.execute("BEGIN")
        insert = "INSERT INTO events (body) VALUES (?)"
        self._database.executemany(insert, [(self._payload,)] * count)
        self._database.execute("COMMIT")

    def acknowledge(self) -> None:
        """What is no longer needed is deleted, in a transaction of its own."""
        self._database.execute("DELETE FROM events")

    def close(self) -> None:
        """Checkpoints."""
        self._database.close()


def bytes_per_event(stat: Path, store: Store, commits: int, count: int, *, acks: bool) -> float:
    """What reaches the device an event, all that is still held back included.

    After as many commits that are not counted, so that SQLite's log has got its final length.
    """
    before = 0
    for counted in (False, True):
        os.sync()
        before = written_bytes(stat) if counted else 0
        for _ in range(commits):
            store.write(count)
            if acks:
                store.acknowledge()
    os.sync()
    return (written_bytes(stat) - before) / commits / count


def wear(mount: Path, stat: Path, commits: int) -> list[Figure]:
    """Bytes of flash an event, ours beside SQLite's; the last two include getting rid of it."""
    payload = call()
    ours, peer = Ours(mount, payload), Sqlite(mount, payload)
    lone, grouped, lone_freed, grouped_freed = _each_way(stat, ours, commits)
    peer_lone, peer_grouped, peer_lone_freed, peer_grouped_freed = _each_way(stat, peer, commits)
    ours.close()
    peer.close()
    note = f"events of {len(payload)} B, ext4 on a loop device"
    return [
        Figure("flash written by a lone commit", lone, "B", 4300, "less", note),
        Figure(f"flash written an event at {GROUP} a commit", grouped, "B", 200, "less", note),
        _ratio("lone", peer_lone, lone),
        _ratio(f"{GROUP} a commit", peer_grouped, grouped),
        _ratio("lone, then freed", peer_lone_freed, lone_freed),
        _ratio(f"{GROUP} a commit, then freed", peer_grouped_freed, grouped_freed),
    ]


def _each_way(stat: Path, store: Store, commits: int) -> list[float]:
    """Events alone and in groups, kept; and both again, where each commit is acknowledged."""
    return [
        bytes_per_event(stat, store, commits, count, acks=acks)
        for acks in (False, True)
        for count in (1, GROUP)
    ]


def _ratio(what: str, peer: float, ours: float) -> Figure:
    note = f"{Sqlite.name}: {peer:.0f} B an event; ours {ours:.0f} B"
    return Figure(f"flash, SQLite / journal, {what}", peer / ours, "times", 3, "more", note)
