"""Where the collector keeps what it got: the port, and which adapter a URL means.

`storage/` is the store, in SQLite or in PostgreSQL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote, urlsplit

from collector.storage.store import SqlStore
from gateway.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collector.books import Book
    from collector.delivery import Delivery, Outcome, Refusal
    from collector.due import Due, Waiting
    from collector.fleet import GatewayFacts
    from collector.storage.port import Database
    from gateway.commands.wire import Command, Reply


class Store(Protocol):
    """Blocking, and safe to call from any thread; every method raises StoreError."""

    def commit(
        self, deliveries: Sequence[Delivery], refusals: Sequence[Refusal]
    ) -> tuple[Outcome, ...]:
        """Store in one transaction; durable when it returns, and nothing is stored if it raises.

        An event that is there already is counted as a duplicate; another event under the same
        journal, lane and seq is a conflict and is kept among the refused. A new event of an urgent
        kind is put in line for each output that the store was opened with.

        Returns:
            What became of each delivery, in their order.
        """
        ...

    def books(self) -> list[Book]:
        """The books of every lane of every journal, ordered by gateway, journal, lane."""
        ...

    def fleet(self) -> list[GatewayFacts]:
        """How each gateway is, ordered by gateway."""
        ...

    def order(self, command: Command) -> None:
        """Keep what is about to be ordered, by whom; durable when it returns."""
        ...

    def answer(self, command: Command, reply: Reply) -> None:
        """Keep what became of an order; durable when it returns."""
        ...

    def due(self, output: str, limit: int) -> list[Due]:
        """Alarms in line for an output whose time has come, the oldest first, at most `limit`.

        They are claimed: nobody else gets them while this process gives signs of life, for
        `collector.storage.hands.CLAIM_S` at most. After that, whoever asks; so one of them can be
        told twice, and is never forgotten.
        """
        ...

    def told(self, due: Due) -> None:
        """It was told: out of the line; durable when it returns."""
        ...

    def put_off(self, due: Due, until_ms: int, reason: str) -> None:
        """It could not be told: one try more, and again from then on (ms since 1970 UTC).

        `due.waited_ms` is kept. Nothing happens if another store has taken it meanwhile.
        """
        ...

    def give_up(self, due: Due, reason: str) -> None:
        """It will not be told: out of the line, and kept with the reason in `undelivered`.

        That table is bounded: of too many, the oldest go.
        """
        ...

    def waiting(self) -> list[Waiting]:
        """How many wait for each output; those that the store was opened with, and others."""
        ...

    def close(self) -> None:
        """Release the database."""
        ...


def open_store(url: str, *, outputs: tuple[str, ...] = ()) -> Store:
    """The store of a URL: `sqlite:///absolute/path`, `sqlite:relative/path`, or PostgreSQL's.

    PostgreSQL's are libpq's: `postgresql://user@host/database`, and over a Unix socket
    `postgresql:///database?host=/run/postgresql`.

    Args:
        url: where; without a password, because it stands in argv.
        outputs: names of those for whom urgent events are put in line.

    Raises:
        SettingsError: no store speaks this URL, or it carries a secret.
        StoreError: the database cannot be opened.
    """
    if url.startswith("postgresql:"):
        return SqlStore(_postgres(url), outputs)
    parts = urlsplit(url)
    if parts.scheme == "sqlite" and parts.path and not parts.netloc:
        # Only the adapter that is asked for is loaded.
        from collector.storage.sqlite import SqliteDatabase  # noqa: PLC0415

        return SqlStore(SqliteDatabase(unquote(parts.path)), outputs)
    shown = f"{parts.scheme}:..." if parts.password else url
    raise SettingsError(
        [f"store {shown!r}: not the URL of a store"],
        hint="sqlite:///var/lib/hearth/events.db or postgresql://user@host/database",
    )


def _postgres(url: str) -> Database:
    try:
        from collector.storage.postgres import PostgresDatabase  # noqa: PLC0415
    except ImportError as error:  # psycopg, or the libpq under it
        raise SettingsError(
            [f"store: PostgreSQL needs psycopg ({error})"],
            hint="pip install 'hearth-gateway[postgres]'",
        ) from error
    return PostgresDatabase(url)
