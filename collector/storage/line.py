"""The line of alarms for outputs: an event is in it from the transaction that stores the event on.

So an alarm is told at least once, whatever dies on the way. Whoever takes one from the line claims
it, with signs of life (hands.py); when these stop, it is somebody else's turn (lapses.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from collector.due import AT_ONCE_MS, Due, Waiting
from collector.storage.port import Shared
from collector.storage.words import LANES, clean
from gateway.model import URGENT_KINDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collector.delivery import Delivery, Row
    from collector.storage.lapses import Beat
    from collector.storage.port import Transaction

# Longer than an output puts an alarm off (10 minutes): what is further away was put off by a clock
# that has been set back since.
LONGEST_S = 660
# What was given up is kept to be seen; so many alarms are a fleet's bad day.
MAX_UNDELIVERED = 10_000

# CROSS JOIN: SQLite then begins with `due`, instead of reading all events.
_SELECT = (
    "SELECT due.id, due.output, due.tries, events.gateway, events.journal, events.lane,"
    " events.seq, events.device, events.kind, events.time, events.time_quality,"
    " CAST(events.body AS TEXT), due.waited FROM due CROSS JOIN events"
    " WHERE events.journal = due.journal AND events.lane = due.lane AND events.seq = due.seq"
    " AND due.output = ? AND due.next_try <= ? AND due.holder = '' ORDER BY due.id LIMIT ?"
)


def put_in_line(
    transaction: Transaction,
    new: Sequence[tuple[Delivery, Sequence[Row]]],
    outputs: Sequence[str],
    now_ms: int,
) -> None:
    """Put new urgent events in line for each output."""
    if not outputs:
        return
    places = [
        (delivery.journal.hex(), LANES[delivery.lane], row.seq)
        for delivery, rows in new
        for row in rows
        if row.event.kind in URGENT_KINDS
    ]
    if places:
        transaction.run_each(
            "INSERT INTO due (output, journal, lane, seq, since, next_try, tries, reason)"
            " VALUES (?, ?, ?, ?, ?, ?, 0, '')",
            [(output, *place, now_ms, AT_ONCE_MS) for place in places for output in outputs],
        )


def due(
    transaction: Transaction, take_rows: str, output: str, limit: int, now_ms: int
) -> list[Due]:
    """The oldest whose time has come, and that nobody else has in hand."""
    rows = transaction.rows(f"{_SELECT} {take_rows}", (output, now_ms, limit))
    return [Due(*row) for row in rows]


def claim(transaction: Transaction, dues: Sequence[Due], holder: str) -> None:
    """Theirs from now on. A beat is never one that was seen before."""
    transaction.run_each(
        "UPDATE due SET holder = ?, beat = beat + 1 WHERE id = ?", [(holder, it.id) for it in dues]
    )


def beat(transaction: Transaction, ids: Sequence[int], holder: str) -> None:
    """A sign of life for what is still theirs."""
    transaction.run_each(
        "UPDATE due SET beat = beat + 1 WHERE id = ? AND holder = ?", [(it, holder) for it in ids]
    )


def in_hand(transaction: Transaction, output: str) -> list[Beat]:
    """What somebody has in hand of a line, each with its beat."""
    return transaction.rows("SELECT id, beat FROM due WHERE output = ? AND holder <> ''", (output,))


def free(transaction: Transaction, lapsed: Sequence[Beat]) -> None:
    """Take them out of hands that have not moved since: they are due at once."""
    transaction.run_each(
        "UPDATE due SET holder = '', next_try = ? WHERE id = ? AND beat = ?",
        [(AT_ONCE_MS, *it) for it in lapsed],
    )


def bring_back(transaction: Transaction, output: str, now_ms: int) -> None:
    """What is out of sight, because the clock was set back, is due at once."""
    transaction.run(
        "UPDATE due SET next_try = ? WHERE output = ? AND next_try > ?",
        (AT_ONCE_MS, output, now_ms + 1000 * LONGEST_S),
    )


def told(transaction: Transaction, due: Due) -> None:
    """Out of the line."""
    transaction.run("DELETE FROM due WHERE id = ?", (due.id,))


def put_off(transaction: Transaction, due: Due, until_ms: int, reason: str, holder: str) -> None:
    """Again from then on; unless it was taken out of their hands."""
    transaction.run(
        "UPDATE due SET holder = '', next_try = ?, tries = tries + 1, reason = ?, waited = ?"
        " WHERE id = ? AND holder = ?",
        (until_ms, clean(reason), due.waited_ms, due.id, holder),
    )


def give_up(transaction: Transaction, due: Due, reason: str, now_ms: int) -> None:
    """Out of the line, and kept among the undelivered, of which the oldest go."""
    transaction.alone(Shared.UNDELIVERED)
    transaction.run(
        "INSERT INTO undelivered"
        " (output, journal, lane, seq, since, given_up, tries, reason)"
        " SELECT output, journal, lane, seq, since, ?, tries, ? FROM due WHERE id = ?",
        (now_ms, clean(reason), due.id),
    )
    told(transaction, due)
    transaction.run(
        "DELETE FROM undelivered WHERE id <="
        " (SELECT id FROM undelivered ORDER BY id DESC LIMIT 1 OFFSET ?)",
        (MAX_UNDELIVERED,),
    )


def waiting(transaction: Transaction, outputs: Sequence[str]) -> list[Waiting]:
    """Each line that is known or asked for, ordered by output."""
    lines = {output: Waiting(output, 0, None) for output in outputs}
    for output, count, since_ms in transaction.rows(
        "SELECT output, count(*), min(since) FROM due GROUP BY output"
    ):
        lines[output] = Waiting(output, count, since_ms)
    return [lines[output] for output in sorted(lines)]
