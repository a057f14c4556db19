"""SQLite: one file, WAL, and a commit is on disk before it is acknowledged.

SQLite takes one writer at a time, of all processes that use the file. Group commit makes up for it:
what waits is stored in one transaction. Who reads has a connection of its own, and sees the file as
it was when the reading began.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from itertools import chain
from typing import TYPE_CHECKING, Any

from collector.storage.checkpoint import Checkpointer
from collector.storage.port import EVENT_COLUMNS
from collector.storage.sqlite_schema import MIGRATIONS
from gateway.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from collector.storage.port import Shared

# How long another process (a reader that checkpoints, a second collector) may hold the file.
BUSY_TIMEOUT_S = 10.0
_BUSY_RETRY_S = 0.01  # to make a file takes about so long
# Rows of one statement: what each costs falls with their number until about here, and the
# interpreter is free for others while SQLite works on them.
_CHUNK = 100
_ROW = f"({', '.join('?' * len(EVENT_COLUMNS))})"
_INSERT = f"INSERT INTO events ({', '.join(EVENT_COLUMNS)}) VALUES "  # noqa: S608 - no values
_INSERT_CHUNK = _INSERT + ", ".join([_ROW] * _CHUNK)


class SqliteDatabase:
    """A Database in the file at `path`, made if missing, migrated if old.

    Raises:
        StoreError: not a database, of a newer hearth, or not writable.
    """

    take_rows = ""  # who writes is alone

    def __init__(self, path: str) -> None:
        self._path = path
        self._write_lock, self._read_lock = threading.Lock(), threading.Lock()
        self._reader: sqlite3.Connection | None = None
        self._writer = self._connect()
        try:
            self._prepare()
        except StoreError:
            self._writer.close()
            raise
        self._checkpointer = Checkpointer(path)

    @contextlib.contextmanager
    def writing(self, journals: Iterable[bytes] = ()) -> Iterator[SqliteTransaction]:  # noqa: ARG002
        """A transaction that is durable when its context ends; see Database."""
        with self._write_lock, self._transaction(self._writer, "BEGIN IMMEDIATE") as transaction:
            yield transaction
        self._checkpointer.committed(transaction.events)

    @contextlib.contextmanager
    def reading(self) -> Iterator[SqliteTransaction]:
        """A transaction that sees the store as it is now; see Database."""
        with self._read_lock:
            if self._reader is None:
                self._reader = self._connect()
            with self._transaction(self._reader, "BEGIN") as transaction:
                yield transaction

    def close(self) -> None:
        """Release the file."""
        self._checkpointer.close()
        with self._write_lock, self._read_lock, self._errors():
            if self._reader is not None:
                self._reader.close()
            self._writer.close()

    # --- opening ---

    def _connect(self) -> sqlite3.Connection:
        with self._errors():
            return sqlite3.connect(
                self._path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )

    def _prepare(self) -> None:
        with self._errors():
            self._use_wal()
            self._writer.execute("PRAGMA synchronous = FULL")
            self._writer.execute("PRAGMA wal_autocheckpoint = 0")  # checkpoint.py does it
        with self._transaction(self._writer, "BEGIN IMMEDIATE") as transaction:
            ((version,),) = transaction.rows("PRAGMA user_version")
            if version > len(MIGRATIONS):
                raise StoreError(
                    f"written by a newer hearth (version {version} of the tables)",
                    where=self._path,
                    hint="upgrade this one",
                )
            for statements in MIGRATIONS[version:]:
                for statement in statements:
                    transaction.run(statement)
            transaction.run(f"PRAGMA user_version = {len(MIGRATIONS)}")

    def _use_wal(self) -> None:
        """SQLite does not wait by itself for another process that makes the same file just now."""
        until_s = time.monotonic() + BUSY_TIMEOUT_S
        while True:
            try:
                self._writer.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                if not busy or time.monotonic() > until_s:
                    raise
            else:
                return
            time.sleep(_BUSY_RETRY_S)

    # --- transactions ---

    @contextlib.contextmanager
    def _transaction(
        self, connection: sqlite3.Connection, begin: str
    ) -> Iterator[SqliteTransaction]:
        with self._errors():
            connection.execute(begin)
            try:
                yield SqliteTransaction(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # some errors have rolled back already
                    connection.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(
                f"SQLite: {error}", where=self._path, hint="look at the disk's room and rights"
            ) from error


class SqliteTransaction:
    """A Transaction; see there. sqlite3.Error is translated by whoever began it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.events = 0  # how many it stores

    def rows(self, statement: str, values: Sequence[object] = ()) -> list[Any]:
        """The rows of a statement."""
        return self._connection.execute(statement, tuple(values)).fetchall()

    def rows_of_each(self, statement: str, many: Collection[Sequence[object]]) -> list[Any]:
        """The rows of a statement with each set of values."""
        return [row for values in many for row in self.rows(statement, values)]

    def run(self, statement: str, values: Sequence[object] = ()) -> int:
        """How many rows a statement changed."""
        return self._connection.execute(statement, tuple(values)).rowcount

    def run_each(self, statement: str, many: Collection[Sequence[object]]) -> None:
        """Run a statement with each set of values."""
        self._connection.executemany(statement, many)

    def store_events(self, rows: Sequence[tuple[object, ...]]) -> None:
        """Put rows into `events`."""
        whole = len(rows) - len(rows) % _CHUNK
        for start in range(0, whole, _CHUNK):
            values = list(chain.from_iterable(rows[start : start + _CHUNK]))
            self._connection.execute(_INSERT_CHUNK, values)
        self._connection.executemany(_INSERT + _ROW, rows[whole:])
        self.events += len(rows)

    def alone(self, table: Shared) -> None:
        """Who writes is alone."""
