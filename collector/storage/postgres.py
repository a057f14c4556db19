"""PostgreSQL: several collectors on one database.

Who stores events of a journal holds its lock until the transaction ends, so whatever two collectors
get at one moment is stored as if one came after the other: an event once, and an anchor dates those
that the other one stores. The locks are taken in order at the start, those of shared tables after
them, and rows after both: nobody waits for somebody who waits for him.

A connection that is lost fails its transaction; the next one connects anew. One to a server that
stands still is given up after a while (watchdog.py), which is the same: what was on its way may be
stored, and whoever repeats it finds duplicates, behind the locks that the server may still hold for
the one before.
"""

from __future__ import annotations

import contextlib
import threading
import traceback
from functools import cache
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from collector.storage.port import EVENT_COLUMNS, Shared
from collector.storage.postgres_schema import MIGRATIONS
from collector.storage.watchdog import Watchdog
from gateway.errors import SettingsError, StoreError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

# Journals share so many locks: a transaction of many gateways must not fill the server's table of
# locks (6400 by default), and two busy collectors must seldom wait for no reason.
_JOURNAL_LOCKS = 1024
# The first number of our locks, so that they are not those of others who use this database.
_LOCKS_OF_JOURNALS, _LOCKS_OF_TABLES, _LOCK_OF_SCHEMA = 0x68656A, 0x686574, 0x686573
# Where the URL says nothing of it: a machine that is gone without a word is noticed in half a
# minute, a gateway's patience for an acknowledgement, and not after the kernel's two hours.
_NOTICE = {
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
# How long a transaction may take, its locks and its commit included. To write takes milliseconds:
# so long is a server that stands still, and a gateway's patience, as above. To look through a large
# fleet from a cold disk takes minutes.
WRITE_LIMIT_S, READ_LIMIT_S = 30.0, 300.0
# A server that works, but let us wait too long (for a lock of somebody's), notices so soon that we
# are gone, instead of keeping ever more of our connections in its queue. Before 14, and on Windows,
# it cannot.
_CANNOT = (psycopg.errors.UndefinedObject, psycopg.errors.InvalidParameterValue)
_NOTICE_US = "SELECT set_config('client_connection_check_interval', '5s', false)"
# Everything here is found by its key. A planner that has no statistics of a young table, or keeps
# the plan of one that was empty, would read all events instead.
_BY_KEY = (
    "SELECT set_config(name, 'off', false)"
    " FROM unnest('{enable_seqscan,enable_hashjoin,enable_mergejoin,jit}'::text[]) AS name"
)
_COPY = f"COPY events ({', '.join(EVENT_COLUMNS)}) FROM STDIN"
# Ours wait for the disk (and for whom the server names as synchronous), whatever its default is.
_DURABLE = (
    "SELECT set_config('synchronous_commit', 'on', false)"
    " WHERE current_setting('synchronous_commit') <> 'remote_apply'"
)


class PostgresDatabase:
    """A Database at a URL of libpq's; the tables are made if missing, migrated if old.

    Raises:
        SettingsError: not a URL of libpq's, or one with a secret in it.
        StoreError: it cannot be reached, refuses us, or is of a newer hearth.
    """

    take_rows = "FOR UPDATE OF due SKIP LOCKED"

    def __init__(self, url: str) -> None:
        self._where, options = _options_of(url)
        self._writer = _Connection(options, self._where, WRITE_LIMIT_S, read_only=False)
        self._reader = _Connection(options, self._where, READ_LIMIT_S, read_only=True)
        try:
            self._prepare()
        except StoreError:
            self.close()
            raise

    @contextlib.contextmanager
    def writing(self, journals: Iterable[bytes] = ()) -> Iterator[PostgresTransaction]:
        """A transaction that is durable when its context ends; see Database."""
        numbers = sorted({int.from_bytes(it[:8], "big") % _JOURNAL_LOCKS for it in journals})
        with self._writer.transaction() as transaction:
            if numbers:
                transaction.rows(
                    "SELECT pg_advisory_xact_lock(?, number) FROM unnest(?::int[]) AS number",
                    (_LOCKS_OF_JOURNALS, numbers),
                )
            yield transaction

    @contextlib.contextmanager
    def reading(self) -> Iterator[PostgresTransaction]:
        """A transaction that sees the store as it is now; see Database."""
        with self._reader.transaction() as transaction:
            yield transaction

    def close(self) -> None:
        """Release the connections."""
        self._writer.close()
        self._reader.close()

    def _prepare(self) -> None:
        with self._writer.transaction(in_time=False) as transaction:  # an index takes its time
            transaction.rows("SELECT pg_advisory_xact_lock(?, 0)", (_LOCK_OF_SCHEMA,))
            transaction.run("CREATE TABLE IF NOT EXISTS hearth_schema (version BIGINT NOT NULL)")
            ((version,),) = transaction.rows("SELECT coalesce(max(version), 0) FROM hearth_schema")
            if version > len(MIGRATIONS):
                raise StoreError(
                    f"written by a newer hearth (version {version} of the tables)",
                    where=self._where,
                    hint="upgrade this one",
                )
            for number, statements in enumerate(MIGRATIONS[version:], version + 1):
                for statement in statements:
                    transaction.run(statement)
                transaction.run("INSERT INTO hearth_schema VALUES (?)", (number,))


class _Connection:
    """One connection, used by one thread at a time, made when it is needed."""

    def __init__(
        self, options: dict[str, Any], where: str, limit_s: float, *, read_only: bool
    ) -> None:
        self._options = options
        self._where = where
        self._read_only = read_only
        self._lock = threading.Lock()
        self._watchdog = Watchdog(limit_s)
        self._connection: psycopg.Connection[Any] | None = None

    @contextlib.contextmanager
    def transaction(self, *, in_time: bool = True) -> Iterator[PostgresTransaction]:
        with self._lock:
            try:
                with self._errors():
                    connection = self._connected()
                    watch = self._watchdog.watching() if in_time else contextlib.nullcontext()
                    with watch, connection.transaction():
                        yield PostgresTransaction(connection)
            except BaseException:
                self._forget_if_lost()
                raise

    def close(self) -> None:
        with self._lock:
            self._forget()
        self._watchdog.close()

    def _connected(self) -> psycopg.Connection[Any]:
        if self._connection is None:
            self._connection = connection = self._connect()
            self._watchdog.guard(connection.fileno())
            try:
                with self._watchdog.watching():
                    self._set_up(connection)
            except BaseException:
                connection.close()  # set up by half, it is of no use
                raise
        return self._connection

    def _connect(self) -> psycopg.Connection[Any]:
        try:
            return psycopg.connect(**self._options, autocommit=True)
        except psycopg.Error as error:
            # psycopg's error is in a circle with the half of a connection that was made. A server
            # that stands still would get them all when it goes on, and fill up with them.
            traceback.clear_frames(error.__traceback__)
            raise

    def _set_up(self, connection: psycopg.Connection[Any]) -> None:
        connection.execute(_BY_KEY)
        with contextlib.suppress(*_CANNOT):
            connection.execute(_NOTICE_US)
        if self._read_only:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
        else:
            connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
            connection.read_only = False
            connection.execute(_DURABLE)

    def _forget_if_lost(self) -> None:
        """A connection that is not at rest after its transaction is of no use any more."""
        connection = self._connection
        if connection is None:
            return
        if connection.info.transaction_status is not psycopg.pq.TransactionStatus.IDLE:
            self._forget()

    def _forget(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
            self._watchdog.release()

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            what, hint = str(error).strip() or type(error).__name__, _hint_of(error)
            if self._watchdog.hung_up:
                what = f"no answer within {self._watchdog.limit_s:.0f} s"
                hint = "are its disk and its machine well? Does somebody lock our tables?"
            raise StoreError(f"PostgreSQL: {what}", where=self._where, hint=hint) from error


class PostgresTransaction:
    """A Transaction; see there. psycopg.Error is translated by whoever began it."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def rows(self, statement: str, values: Sequence[object] = ()) -> list[Any]:
        """The rows of a statement."""
        return self._connection.execute(_marked(statement), values).fetchall()

    def rows_of_each(self, statement: str, many: Collection[Sequence[object]]) -> list[Any]:
        """The rows of a statement with each set of values; they travel together."""
        found: list[Any] = []
        if not many:
            return found
        with self._connection.cursor() as cursor:
            cursor.executemany(_marked(statement), many, returning=True)
            more: bool | None = True
            while more:
                found += cursor.fetchall()
                more = cursor.nextset()
        return found

    def run(self, statement: str, values: Sequence[object] = ()) -> int:
        """How many rows a statement changed."""
        return self._connection.execute(_marked(statement), values).rowcount

    def run_each(self, statement: str, many: Collection[Sequence[object]]) -> None:
        """Run a statement with each set of values; they travel together."""
        if many:
            with self._connection.cursor() as cursor:
                cursor.executemany(_marked(statement), many)

    def store_events(self, rows: Sequence[tuple[object, ...]]) -> None:
        """Put rows into `events`."""
        with self._connection.cursor() as cursor, cursor.copy(_COPY) as copy:
            for row in rows:
                copy.write_row(row)

    def alone(self, table: Shared) -> None:
        """Until the transaction ends."""
        self.rows("SELECT pg_advisory_xact_lock(?, ?)", (_LOCKS_OF_TABLES, int(table)))


@cache
def _marked(statement: str) -> str:
    """The statement with the marks that psycopg knows."""
    return statement.replace("%", "%%").replace("?", "%s")


def _options_of(url: str) -> tuple[str, dict[str, Any]]:
    """What to call it in errors, and what to connect with."""
    try:
        options: dict[str, Any] = dict(conninfo_to_dict(url))
    except psycopg.Error as error:
        raise SettingsError(
            ["store: not a URL that libpq understands"], hint="postgresql://user@host/database"
        ) from error
    secrets = [name for name in ("password", "sslpassword") if options.get(name)]
    if secrets:
        raise SettingsError(
            [f"store: a {secrets[0]} in the URL, where everybody on this machine can read it"],
            hint="a password file (PGPASSFILE), a service file (?service=...) or peer"
            " authentication",
        )
    host, database = options.get("host") or "local socket", options.get("dbname") or "its default"
    return f"PostgreSQL {database} at {host}", {"application_name": "hearth", **_NOTICE, **options}


def _hint_of(error: psycopg.Error) -> str:
    if isinstance(error, psycopg.errors.DiskFull):
        return "make room on the server's disk"
    if isinstance(error, psycopg.OperationalError):
        return "is the server up, and does it let us in? It is tried again"
    return "look at the server's log, and at our rights in the database"
