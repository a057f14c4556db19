"""What the store asks of a database: transactions, and a few words of SQL that databases differ in.

Statements mark their values with `?`. Every method of both classes raises StoreError, and then
nothing of the transaction is stored, or (its commit was on its way) all of it may be: whoever
repeats it finds duplicates.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from contextlib import AbstractContextManager

EVENT_COLUMNS = (
    "journal", "gateway", "lane", "seq", "device", "kind", "time", "time_quality", "boot",
    "uptime", "body", "digest",
)  # fmt: skip


class Shared(IntEnum):
    """A table whose rows belong to no journal: one transaction at a time may write it."""

    REFUSED = 1
    UNDELIVERED = 2


class Transaction(Protocol):
    """One transaction, for as long as its context lasts."""

    def rows(self, statement: str, values: Sequence[object] = ()) -> list[Any]:
        """The rows that a statement answers with, as tuples."""
        ...

    def rows_of_each(self, statement: str, many: Collection[Sequence[object]]) -> list[Any]:
        """The rows of the same statement with one set of values after the other, joined."""
        ...

    def run(self, statement: str, values: Sequence[object] = ()) -> int:
        """Run a statement; how many rows it changed."""
        ...

    def run_each(self, statement: str, many: Collection[Sequence[object]]) -> None:
        """Run the same statement with one set of values after the other."""
        ...

    def store_events(self, rows: Sequence[tuple[object, ...]]) -> None:
        """Put new rows into `events`, in the order of EVENT_COLUMNS."""
        ...

    def alone(self, table: Shared) -> None:
        """Until the transaction ends, no other one that asks for this table gets past here."""
        ...


class Database(Protocol):
    """Blocking, and safe to call from any thread."""

    # What a SELECT ends with to take its rows, and to pass over those another transaction took.
    take_rows: str

    def writing(self, journals: Iterable[bytes] = ()) -> AbstractContextManager[Transaction]:
        """A transaction that is durable when its context ends.

        Nobody else writes rows of these journals, or has written some that cannot be seen yet.
        """
        ...

    def reading(self) -> AbstractContextManager[Transaction]:
        """A transaction that sees the store as it is now, and holds up nobody who writes."""
        ...

    def close(self) -> None:
        """Release it."""
        ...
