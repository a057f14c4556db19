"""Where the collector keeps what it got: the port, and which adapter a URL means.

Adapters are SQLite (`sqlite.py`) and whatever else can commit deliveries atomically.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote, urlsplit

from gateway.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collector.books import Book
    from collector.delivery import Delivery, Outcome, Refusal
    from collector.heard import Heard
    from gateway.commands.wire import Command, Reply


class Store(Protocol):
    """Blocking, and safe to call from any thread; every method raises StoreError."""

    def commit(
        self, deliveries: Sequence[Delivery], refusals: Sequence[Refusal]
    ) -> tuple[Outcome, ...]:
        """Store in one transaction; durable when it returns, and nothing is stored if it raises.

        An event that is there already is counted as a duplicate; another event under the same
        journal, lane and seq is a conflict and is kept among the refused.

        Returns:
            What became of each delivery, in their order.
        """
        ...

    def books(self) -> list[Book]:
        """The books of every lane of every journal, ordered by gateway, journal, lane."""
        ...

    def heard(self) -> list[Heard]:
        """When each gateway was heard last, ordered by gateway."""
        ...

    def order(self, command: Command) -> None:
        """Keep what is about to be ordered, by whom; durable when it returns."""
        ...

    def answer(self, command: Command, reply: Reply) -> None:
        """Keep what became of an order; durable when it returns."""
        ...

    def close(self) -> None:
        """Release the database."""
        ...


def open_store(url: str) -> Store:
    """The store of a URL: `sqlite:///absolute/path`, or `sqlite:relative/path`.

    Raises:
        SettingsError: no store speaks this URL.
        StoreError: the database cannot be opened.
    """
    parts = urlsplit(url)
    if parts.scheme != "sqlite" or not parts.path or parts.netloc:
        raise SettingsError(
            [f"store {url!r}: not the URL of a store"], hint="sqlite:///var/lib/hearth/events.db"
        )
    from collector.sqlite import SqliteStore  # noqa: PLC0415 - only the adapter that is asked for

    return SqliteStore(unquote(parts.path))
