"""True times: an anchor ties a boot to wall time, and dates the boot's events, stored or to come.

The earliest anchor of a boot counts, whatever comes first; of two at one instant the lesser time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gateway.model import Kind, TimeQuality

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from collector.delivery import Delivery, Row
    from collector.storage.port import Transaction

_NOTE = (
    "INSERT INTO anchors (journal, boot, uptime, time) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (journal, boot) DO UPDATE SET uptime = excluded.uptime, time = excluded.time"
    " WHERE (excluded.uptime, excluded.time) < (anchors.uptime, anchors.time)"
)
_DATE = (
    "UPDATE events SET time = uptime + ?, time_quality = 'anchored'"
    " WHERE journal = ? AND boot = ? AND time_quality <> 'synchronised'"
)


class Anchor(NamedTuple):
    """At this uptime of a boot it was this time; both in ms."""

    uptime_ms: int
    time_ms: int

    @property
    def boot_ms(self) -> int:
        """When the boot's uptime was 0, since 1970 UTC."""
        return self.time_ms - self.uptime_ms


Boot = tuple[str, str]  # journal and boot, both in hexadecimal


def note_anchors(
    transaction: Transaction, new: Sequence[tuple[Delivery, Sequence[Row]]]
) -> dict[Boot, Anchor]:
    """Date stored events by new anchors; the anchors that count for new events without a date."""
    earliest: dict[Boot, Anchor] = {}
    for boot, anchor in _told(new):
        earliest[boot] = min(anchor, earliest.get(boot, anchor))
    for (journal, boot_id), anchor in sorted(earliest.items()):
        if transaction.run(_NOTE, (journal, boot_id, *anchor)):
            transaction.run(_DATE, (anchor.boot_ms, journal, boot_id))
    journals = {delivery.journal.hex() for delivery, rows in new if any(map(undated, rows))}
    known = transaction.rows_of_each(
        "SELECT journal, boot, uptime, time FROM anchors WHERE journal = ?",
        [(journal,) for journal in sorted(journals)],
    )
    return {(journal, boot_id): Anchor(uptime, at) for journal, boot_id, uptime, at in known}


def undated(row: Row) -> bool:
    """Whether an anchor may still change the time of this event."""
    return row.event.stamp.quality is not TimeQuality.SYNCHRONISED


def _told(new: Iterable[tuple[Delivery, Sequence[Row]]]) -> Iterable[tuple[Boot, Anchor]]:
    for delivery, rows in new:
        for row in rows:
            if row.event.kind is Kind.ANCHOR and not undated(row):
                stamp = row.event.stamp
                boot = delivery.journal.hex(), stamp.boot.hex()
                yield boot, Anchor(stamp.uptime_ms, stamp.wall_ms)
