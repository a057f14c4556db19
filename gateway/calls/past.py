"""The calls of earlier runs that the journal still holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.calls.call import Call
from gateway.codec import decode_event
from gateway.errors import DecodeError
from gateway.model import CallState, Kind, Lane

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.journal import Journal
    from gateway.model import Event

_READ_BYTES = 64 * 1024


def calls_in_journal(journal: Journal, calls: dict[str, Call]) -> None:
    """Add to `calls`, by id, what the far side has not yet; blocking.

    What becomes of a call is told before it is kept. So the journal may be further than the book,
    where hearth stopped between the two; and the book further than what still waits in the journal.
    A call that the book does not know was stored a moment before hearth stopped.
    """
    for seq, event in _waiting(journal):
        call_id = event.detail.get("call")
        if not isinstance(call_id, str):
            continue
        if event.kind is Kind.CALL:
            call = calls.setdefault(call_id, _call(call_id, event))
            if not call.seq:
                call.journal, call.seq = journal.uuid.hex(), seq
        elif event.kind is Kind.CALL_STATE and call_id in calls:
            state = event.detail.get("state")
            if state in set(CallState):
                calls[call_id].told(CallState(str(state)), str(event.detail.get("by", "")))


def _call(call_id: str, event: Event) -> Call:
    cause, test = str(event.detail.get("cause", "")), bool(event.detail.get("test", False))
    return Call(
        call_id, event.device, dict(event.labels), cause, test=test, wall_ms=event.stamp.wall_ms
    )


def _waiting(journal: Journal) -> Iterator[tuple[int, Event]]:
    """Seq and event of the urgent lane that are not acknowledged, oldest first."""
    after = journal.acknowledged(Lane.URGENT)
    while run := journal.read(Lane.URGENT, after, _READ_BYTES):
        for seq, payload in enumerate(run.payloads, run.first):
            try:
                yield seq, decode_event(payload)
            except DecodeError:
                continue
        after = run.last
