"""The store over a database: each method is one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collector.storage import latest, ledger, line, orders
from collector.storage.hands import Hands
from collector.storage.intake import keep_events
from collector.storage.lapses import Lapses
from collector.storage.refused import Refused
from collector.storage.words import now_ms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collector.books import Book
    from collector.delivery import Delivery, Outcome, Refusal
    from collector.due import Due, Waiting
    from collector.fleet import GatewayFacts
    from collector.storage.port import Database
    from gateway.commands.wire import Command, Reply


class SqlStore:
    """A Store; see there for what each method promises.

    Args:
        database: an open one, closed with the store.
        outputs: names of those for whom urgent events are put in line.
    """

    def __init__(self, database: Database, outputs: Sequence[str] = ()) -> None:
        self._database = database
        self._outputs = tuple(outputs)
        self._hands = Hands(self._beat)
        self._lapses = Lapses()

    def commit(
        self, deliveries: Sequence[Delivery], refusals: Sequence[Refusal]
    ) -> tuple[Outcome, ...]:
        """Store in one transaction; see Store."""
        at_ms = now_ms()
        with self._database.writing({it.journal for it in deliveries}) as transaction:
            refused = Refused(transaction, at_ms)
            outcomes = keep_events(transaction, deliveries, refused, self._outputs, at_ms)
            refused.keep_all(refusals)
        return outcomes

    def books(self) -> list[Book]:
        """The books; see Store."""
        with self._database.reading() as transaction:
            return ledger.books(transaction)

    def fleet(self) -> list[GatewayFacts]:
        """How each gateway is; see Store."""
        with self._database.reading() as transaction:
            return latest.fleet(transaction)

    def order(self, command: Command) -> None:
        """Keep what is about to be ordered; see Store."""
        with self._database.writing() as transaction:
            orders.note_order(transaction, command)

    def answer(self, command: Command, reply: Reply) -> None:
        """Keep what became of an order; see Store."""
        with self._database.writing() as transaction:
            orders.note_answer(transaction, command, reply, now_ms())

    def due(self, output: str, limit: int) -> list[Due]:
        """The oldest in line, claimed; see Store."""
        at_ms = now_ms()
        with self._database.writing() as transaction:
            if self._lapses.is_time(output):
                in_hand = line.in_hand(transaction, output)
                line.free(transaction, self._lapses.among(output, in_hand))
                line.bring_back(transaction, output, at_ms)
            dues = line.due(transaction, self._database.take_rows, output, limit, at_ms)
            line.claim(transaction, dues, self._hands.name)
        self._hands.take(dues)
        return dues

    def told(self, due: Due) -> None:
        """Out of the line; see Store."""
        with self._hands.letting_go(due), self._database.writing() as transaction:
            line.told(transaction, due)

    def put_off(self, due: Due, until_ms: int, reason: str) -> None:
        """Again later; see Store."""
        with self._hands.letting_go(due), self._database.writing() as transaction:
            line.put_off(transaction, due, until_ms, reason, self._hands.name)

    def give_up(self, due: Due, reason: str) -> None:
        """Out of the line for good; see Store."""
        with self._hands.letting_go(due), self._database.writing() as transaction:
            line.give_up(transaction, due, reason, now_ms())

    def waiting(self) -> list[Waiting]:
        """How long each line is; see Store."""
        with self._database.reading() as transaction:
            return line.waiting(transaction, self._outputs)

    def close(self) -> None:
        """Release the database."""
        self._hands.close()
        self._database.close()

    def _beat(self, ids: Sequence[int]) -> None:
        with self._database.writing() as transaction:
            line.beat(transaction, ids, self._hands.name)
