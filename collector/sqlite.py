"""The store in one SQLite file: WAL, and a commit is on disk before it is acknowledged.

SQLite takes one writer at a time. Group commit makes up for it: what waits is stored in one
transaction.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from collector.books import Book, merge
from collector.checkpoint import Checkpointer
from collector.delivery import Delivery, Outcome, Reason, Refusal, Row, digest_of
from collector.heard import Heard, quiet_after_of
from collector.schema import MIGRATIONS
from gateway.codec import gap_of
from gateway.errors import DecodeError, StoreError
from gateway.model import Kind, Lane, TimeQuality

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gateway.commands.wire import Command, Reply

# What is kept of refused bytes: enough to see what a sender does, and a flood fills no disk.
MAX_REFUSED_ROWS = 1000
MAX_REFUSED_BYTES = 64 * 1024 * 1024
# Conflicting events are somebody's events: beyond this they stay with their gateway.
MAX_CONFLICTS = 10_000
# How long another process (a reader that checkpoints, a second collector) may hold the file.
BUSY_TIMEOUT_S = 10.0
# A journal is of whoever sent it last: a gateway that was given another id leaves no ghost behind.
# SQLite takes a bare column beside max() from the row of the maximum.
_HEARD = """
    SELECT gateway, max(heard), (
        SELECT body ->> '$.detail.quiet_after_s' FROM events
        WHERE events.gateway = latest.gateway AND kind = 'gateway'
            AND body ->> '$.detail.state' = 'alive'
        ORDER BY time DESC LIMIT 1
    ) FROM (SELECT gateway, max(heard) AS heard FROM streams GROUP BY journal) AS latest
    GROUP BY gateway ORDER BY gateway
"""
_LANES = {lane.name.lower(): lane for lane in Lane}


class _Anchor(NamedTuple):
    """`uptime_ms` of this boot was `time_ms`."""

    uptime_ms: int
    time_ms: int

    def time_of(self, uptime_ms: int) -> int:
        return self.time_ms - self.uptime_ms + uptime_ms


class SqliteStore:
    """A Store in the file at `path`, made if missing, migrated if old.

    Raises:
        StoreError: not a database, of a newer hearth, or not writable.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        with self._errors():
            self._db = sqlite3.connect(
                path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
        try:
            self._prepare()
        except StoreError:
            self._db.close()
            raise
        self._checkpointer = Checkpointer(path)

    def commit(
        self, deliveries: Sequence[Delivery], refusals: Sequence[Refusal]
    ) -> tuple[Outcome, ...]:
        """Store in one transaction; see Store."""
        with self._transaction():
            outcomes = tuple(self._keep(delivery) for delivery in deliveries)
            for refusal in refusals:
                self._refuse(refusal)
            if refusals:
                self._trim()
        self._checkpointer.committed(sum(outcome.stored for outcome in outcomes))
        return outcomes

    def books(self) -> list[Book]:
        """The books of every lane of every journal."""
        with self._transaction():
            keys = self._db.execute(
                "SELECT journal, lane FROM streams UNION SELECT journal, lane FROM gaps"
            )
            books = [self._book(journal, lane) for journal, lane in keys.fetchall()]
        return sorted(books, key=lambda book: (book.gateway, book.journal, book.lane))

    def heard(self) -> list[Heard]:
        """When each gateway was heard last; see Store."""
        with self._transaction():
            rows = self._db.execute(_HEARD).fetchall()
        return [Heard(gateway, at_ms, quiet_after_of(told)) for gateway, at_ms, told in rows]

    def order(self, command: Command) -> None:
        """Keep what is about to be ordered; see Store."""
        with self._transaction():
            self._db.execute(
                "INSERT INTO commands (id, gateway, name, who, issued, expires, arguments)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    command.id.hex(),
                    command.gateway,
                    command.name,
                    command.who,
                    command.issued_ms,
                    command.expires_ms,
                    _json(command.arguments),
                ),
            )

    def answer(self, command: Command, reply: Reply) -> None:
        """Keep what became of an order; see Store."""
        with self._transaction():
            self._db.execute(
                "UPDATE commands SET answered = ?, outcome = ?, reason = ?, result = ?"
                " WHERE id = ?",
                (
                    time.time_ns() // 1_000_000,
                    reply.outcome.name.lower(),
                    reply.reason,
                    _json(reply.result),
                    command.id.hex(),
                ),
            )

    def close(self) -> None:
        """Release the file."""
        self._checkpointer.close()
        with self._lock, self._errors():
            self._db.close()

    # --- opening ---

    def _prepare(self) -> None:
        with self._errors():
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA wal_autocheckpoint = 0")  # checkpoint.py does it
        with self._transaction():
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if version > len(MIGRATIONS):
                raise StoreError(
                    f"written by a newer hearth (version {version} of the tables)",
                    where=self._path,
                    hint="upgrade this one",
                )
            for statements in MIGRATIONS[version:]:
                for statement in statements:
                    self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock, self._errors():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # some errors have rolled back already
                    self._db.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(
                f"SQLite: {error}", where=self._path, hint="look at the disk's room and rights"
            ) from error

    # --- storing ---

    def _keep(self, delivery: Delivery) -> Outcome:
        journal, lane = delivery.journal.hex(), delivery.lane.name.lower()
        taken = self._digests(journal, lane, delivery.first, delivery.last)
        new = [row for row in delivery.rows if row.seq not in taken]
        clashes = [r for r in delivery.rows if r.seq in taken and r.digest != taken[r.seq]]
        if clashes and not self._has_room_for(len(clashes)):
            return Outcome(kept=False)
        conflicts = sum(self._refuse(_clash(delivery, row)) for row in clashes)
        self._store(delivery, new)
        duplicates = len(delivery.rows) - len(new) - conflicts
        outcome = Outcome(kept=True, stored=len(new), duplicates=duplicates, conflicts=conflicts)
        self._book_in(delivery, outcome)
        return outcome

    def _digests(self, journal: str, lane: str, first: int, last: int) -> dict[int, bytes]:
        rows = self._db.execute(
            "SELECT seq, digest FROM events WHERE journal = ? AND lane = ? AND seq BETWEEN ? AND ?",
            (journal, lane, first, last),
        )
        return dict(rows.fetchall())

    def _store(self, delivery: Delivery, rows: list[Row]) -> None:
        journal, lane = delivery.journal.hex(), delivery.lane.name.lower()
        for row in rows:
            if row.event.kind is Kind.ANCHOR:
                self._anchor(journal, row)
            elif row.event.kind is Kind.GAP:
                self._note_gap(journal, row)
        anchors = self._anchors(journal) if any(_undated(row) for row in rows) else {}
        self._db.executemany(
            "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [(journal, delivery.gateway, lane, *_columns(row, anchors)) for row in rows],
        )

    def _book_in(self, delivery: Delivery, outcome: Outcome) -> None:
        self._db.execute(
            "INSERT INTO streams VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " gateway = excluded.gateway, stored = stored + excluded.stored,"
            " duplicates = duplicates + excluded.duplicates,"
            " conflicts = conflicts + excluded.conflicts, heard = excluded.heard",
            (
                delivery.journal.hex(),
                delivery.lane.name.lower(),
                delivery.gateway,
                outcome.stored,
                outcome.duplicates,
                outcome.conflicts,
                time.time_ns() // 1_000_000,
            ),
        )

    def _note_gap(self, journal: str, row: Row) -> None:
        try:
            gap = gap_of(row.event)
        except DecodeError:
            return  # kept among the refused, by ingest
        self._db.execute(
            "INSERT OR IGNORE INTO gaps VALUES (?, ?, ?, ?, ?)",
            (journal, gap.lane.name.lower(), gap.first, gap.last, gap.reason),
        )

    # --- true times ---

    def _anchor(self, journal: str, row: Row) -> None:
        """Tie a boot to true time. The earliest anchor of a boot counts, whatever comes first."""
        stamp = row.event.stamp
        if stamp.quality is not TimeQuality.SYNCHRONISED:
            return
        boot = stamp.boot.hex()
        changed = self._db.execute(
            "INSERT INTO anchors VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " uptime = excluded.uptime, time = excluded.time WHERE excluded.uptime < uptime",
            (journal, boot, stamp.uptime_ms, stamp.wall_ms),
        )
        if changed.rowcount:
            self._db.execute(
                "UPDATE events SET time = uptime + ?, time_quality = 'anchored'"
                " WHERE journal = ? AND boot = ? AND time_quality <> 'synchronised'",
                (stamp.wall_ms - stamp.uptime_ms, journal, boot),
            )

    def _anchors(self, journal: str) -> dict[str, _Anchor]:
        rows = self._db.execute(
            "SELECT boot, uptime, time FROM anchors WHERE journal = ?", (journal,)
        )
        return {boot: _Anchor(uptime, wall) for boot, uptime, wall in rows}

    # --- refused ---

    def _refuse(self, refusal: Refusal) -> bool:
        """Keep refused bytes once, however often they come; whether they are new."""
        now_ms = time.time_ns() // 1_000_000
        key = (refusal.reason.value, refusal.detail, digest_of(refusal.payload))
        seen = self._db.execute(
            "UPDATE refused SET times = times + 1, last_seen = ?"
            " WHERE reason = ? AND detail = ? AND digest = ?",
            (now_ms, *key),
        )
        if seen.rowcount:
            return False
        self._db.execute(
            "INSERT INTO refused"
            " (reason, detail, digest, topic, payload, first_seen, last_seen, times)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, 1)",
            (*key, refusal.topic, refusal.payload, now_ms, now_ms),
        )
        return True

    def _trim(self) -> None:
        """Let the oldest refused bytes go when there are too many; never conflicting events."""
        self._db.execute(
            "DELETE FROM refused WHERE id IN (SELECT id FROM (SELECT id,"
            " count(*) OVER newest AS row_count, sum(length(payload)) OVER newest AS byte_count"
            " FROM refused WHERE reason <> 'conflict' WINDOW newest AS (ORDER BY id DESC))"
            " WHERE row_count > ? OR byte_count > ?)",
            (MAX_REFUSED_ROWS, MAX_REFUSED_BYTES),
        )

    def _has_room_for(self, clashes: int) -> bool:
        (kept,) = self._db.execute(
            "SELECT count(*) FROM refused WHERE reason = 'conflict'"
        ).fetchone()
        return bool(kept + clashes <= MAX_CONFLICTS)

    # --- books ---

    def _book(self, journal: str, lane: str) -> Book:
        key = (journal, lane)
        ranges = self._db.execute(
            "SELECT first, last FROM gaps WHERE journal = ? AND lane = ?", key
        )
        gaps = merge(ranges.fetchall())
        (highest,) = self._db.execute(
            "SELECT max(seq) FROM events WHERE journal = ? AND lane = ?", key
        ).fetchone()
        totals = self._db.execute(
            "SELECT gateway, stored, duplicates, conflicts FROM streams"
            " WHERE journal = ? AND lane = ?",
            key,
        ).fetchone()
        gateway, stored, duplicates, conflicts = totals or (self._gateway_of(journal), 0, 0, 0)
        return Book(
            gateway=gateway,
            journal=journal,
            lane=_LANES[lane],
            accepted=max([highest or 0, *(last for _, last in gaps)]),
            stored=stored,
            lost=sum(self._lost_in(journal, lane, first, last) for first, last in gaps),
            duplicates=duplicates,
            conflicts=conflicts,
        )

    def _lost_in(self, journal: str, lane: str, first: int, last: int) -> int:
        (stored,) = self._db.execute(
            "SELECT count(*) FROM events WHERE journal = ? AND lane = ? AND seq BETWEEN ? AND ?",
            (journal, lane, first, last),
        ).fetchone()
        return last - first + 1 - int(stored)

    def _gateway_of(self, journal: str) -> str:
        """The gateway of a lane of which nothing came yet; its other lane told of the gap."""
        (gateway,) = self._db.execute(
            "SELECT gateway FROM streams WHERE journal = ?", (journal,)
        ).fetchone()
        return str(gateway)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _undated(row: Row) -> bool:
    return row.event.stamp.quality is TimeQuality.UNKNOWN


def _columns(row: Row, anchors: dict[str, _Anchor]) -> tuple[object, ...]:
    """The columns of an event from `seq` on."""
    event, stamp = row.event, row.event.stamp
    boot, wall_ms, quality = stamp.boot.hex(), stamp.wall_ms, stamp.quality
    anchor = anchors.get(boot) if quality is TimeQuality.UNKNOWN else None
    if anchor is not None:
        wall_ms, quality = anchor.time_of(stamp.uptime_ms), TimeQuality.ANCHORED
    return (
        row.seq,
        event.device,
        event.kind.name.lower(),
        wall_ms,
        quality.name.lower(),
        boot,
        stamp.uptime_ms,
        row.body,
        row.digest,
    )


def _clash(delivery: Delivery, row: Row) -> Refusal:
    place = f"{delivery.journal.hex()}/{delivery.lane.name.lower()}/{row.seq}"
    return Refusal(delivery.topic, row.cbor, Reason.CONFLICT, place)
