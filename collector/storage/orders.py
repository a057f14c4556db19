"""Who ordered what from which gateway, and what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collector.storage.words import clean, json_of

if TYPE_CHECKING:
    from collector.storage.port import Transaction
    from gateway.commands.wire import Command, Reply


def note_order(transaction: Transaction, command: Command) -> None:
    """Keep what is about to be ordered."""
    transaction.run(
        "INSERT INTO commands (id, gateway, name, who, issued, expires, arguments)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            command.id.hex(),
            clean(command.gateway),
            clean(command.name),
            clean(command.who),
            command.issued_ms,
            command.expires_ms,
            json_of(command.arguments),
        ),
    )


def note_answer(transaction: Transaction, command: Command, reply: Reply, now_ms: int) -> None:
    """Keep what became of it."""
    transaction.run(
        "UPDATE commands SET answered = ?, outcome = ?, reason = ?, result = ? WHERE id = ?",
        (
            now_ms,
            reply.outcome.name.lower(),
            clean(reply.reason),
            json_of(reply.result),
            command.id.hex(),
        ),
    )
