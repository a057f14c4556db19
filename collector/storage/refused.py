"""Bytes that were not stored as events: kept once each, however often they come, and bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collector.delivery import Delivery, Reason, Refusal, Row, digest_of
from collector.storage.port import Shared
from collector.storage.words import LANES, clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collector.storage.port import Transaction

# What is kept of refused bytes: enough to see what a sender does, and a flood fills no disk.
MAX_REFUSED_ROWS = 1000
MAX_REFUSED_BYTES = 64 * 1024 * 1024
# Conflicting events are somebody's events: beyond this they stay with their gateway.
MAX_CONFLICTS = 10_000
# It is part of an index, and PostgreSQL takes 2704 bytes into one: four a character at worst.
MAX_DETAIL_CHARACTERS = 500

_KEEP = (
    "INSERT INTO refused"
    " (reason, detail, digest, topic, payload, first_seen, last_seen, times)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, 1) ON CONFLICT (reason, detail, digest)"
    " DO UPDATE SET times = refused.times + 1, last_seen = excluded.last_seen RETURNING times"
)
_TRIM = (
    "DELETE FROM refused WHERE id IN (SELECT id FROM (SELECT id,"
    " count(*) OVER newest AS row_count, sum(length(payload)) OVER newest AS byte_count"
    " FROM refused WHERE reason <> 'conflict' WINDOW newest AS (ORDER BY id DESC)) AS ranked"
    " WHERE row_count > ? OR byte_count > ?)"
)


class Refused:
    """The refused bytes, within one transaction."""

    def __init__(self, transaction: Transaction, now_ms: int) -> None:
        self._transaction = transaction
        self._now_ms = now_ms
        self._alone = False

    def keep_all(self, refusals: Sequence[Refusal]) -> None:
        """Keep refusals, and let the oldest go when there are too many; never conflicts."""
        for refusal in refusals:
            self._keep(refusal)
        if refusals:
            self._transaction.run(_TRIM, (MAX_REFUSED_ROWS, MAX_REFUSED_BYTES))

    def keep_clashes(self, delivery: Delivery, rows: Sequence[Row]) -> int | None:
        """Keep events whose seqs others have; how many are new, None if there is no room."""
        if not rows:
            return 0
        self._be_alone()
        ((kept,),) = self._transaction.rows(
            "SELECT count(*) FROM refused WHERE reason = 'conflict'"
        )
        if kept + len(rows) > MAX_CONFLICTS:
            return None
        return sum(self._keep(_clash(delivery, row)) for row in rows)

    def _keep(self, refusal: Refusal) -> bool:
        """Whether it is new."""
        self._be_alone()
        detail = clean(refusal.detail[:MAX_DETAIL_CHARACTERS])
        key = (refusal.reason.value, detail, digest_of(refusal.payload))
        what = (clean(refusal.topic), refusal.payload, self._now_ms, self._now_ms)
        ((times,),) = self._transaction.rows(_KEEP, (*key, *what))
        return bool(times == 1)

    def _be_alone(self) -> None:
        if not self._alone:
            self._transaction.alone(Shared.REFUSED)
            self._alone = True


def _clash(delivery: Delivery, row: Row) -> Refusal:
    place = f"{delivery.journal.hex()}/{LANES[delivery.lane]}/{row.seq}"
    return Refusal(delivery.topic, row.cbor, Reason.CONFLICT, place)
