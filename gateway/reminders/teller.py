"""Telling how reminders stand: first kept on flash, then given to the journal, in that order.

What happened to a reminder and the event that tells of it are kept together (book.py). The event is
offered to the journal until that takes it, so a full journal or a restart delays it and no more.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from gateway.errors import JournalError, JournalWriteFailed
from gateway.model import Kind, Observation
from gateway.reminders.plan import MOST_MISSED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gateway.model import Scalar
    from gateway.reminders.book import Book
    from gateway.reminders.plan import Plan
    from gateway.reminders.reminder import Reminder
    from gateway.reminders.schedule import Occurrence

# When the journal took no event, it is offered again.
TELL_AGAIN_S = 5.0

# SCAIP's status codes (SS 91100:2014) of a pill dispenser.
_SCAIP = {"rung": "0082", "taken": "0083", "not_taken": "0081"}

log = logging.getLogger("hearth.reminders")


class Teller:
    """Keeps the book of one home, and tells what is in it.

    Args:
        book: where reminders are kept.
        emit: the way into the journal, see Bell.
        changing: held by whoever changes the book and keeps it.
    """

    def __init__(
        self, book: Book, emit: Callable[[Observation], Awaitable[object]], changing: asyncio.Lock
    ) -> None:
        self._book = book
        self._emit = emit
        self._changing = changing
        self._news = asyncio.Event()
        self.dirty = bool(book.damage)  # the book is to be kept as it is now

    async def run(self) -> None:
        """Tell, until cancelled."""
        while True:
            self._news.clear()
            if not await self.tell():
                await asyncio.sleep(TELL_AGAIN_S)
            elif not self._book.tellable:
                await self._news.wait()

    async def tell(self) -> bool:
        """Give the journal what it does not have yet; whether it took it."""
        events, accepted = list(self._book.tellable), []
        for event in events:
            try:
                accepted.append((event, self._emit(Observation(event.kind, detail=event.detail))))
            except JournalError as error:
                log.warning("a reminder could not be told: %s", error)
                break
        for event, receipt in accepted:
            try:
                await receipt
            except JournalWriteFailed:
                pass  # it goes up from memory, told again it would be there twice
            except JournalError as error:
                log.warning("a reminder could not be told: %s", error)
                return False
            self._book.told(event)
            self.dirty = True
        if accepted:
            async with self._changing:
                await self.keep()
        return len(accepted) == len(events)

    def end(self, plan: Plan, state: str, **more: Scalar) -> None:
        """What rings is over."""
        ringing, plan.progress.ringing = plan.progress.ringing, None
        if ringing:
            self.state(plan.reminder, state, ringing.occurrence, **more)

    def not_rung(self, reminder: Reminder, missed: list[Occurrence]) -> None:
        """These were due while nobody could ring them."""
        more: dict[str, Scalar] = {"missed": len(missed)}
        if len(missed) > 1:
            more["last"] = missed[-1].local.isoformat()
        if len(missed) >= MOST_MISSED:
            more["and_more"] = True
        self.state(reminder, "not_rung", missed[0].local.isoformat(), **more)

    def state(self, reminder: Reminder, state: str, occurrence: str, **more: Scalar) -> None:
        """What became of one occurrence of a reminder."""
        detail: dict[str, Scalar] = {
            "reminder": reminder.id,
            "kind": reminder.kind,
            "state": state,
            "occurrence": occurrence,
            **more,
        }
        if reminder.kind == "medicine" and state in _SCAIP:
            detail["scaip"] = _SCAIP[state]
        self._book.tell(Kind.REMINDER, detail)
        self.dirty = True

    def fault(self, fault: str, *, active: bool, **more: Scalar) -> None:
        """A fault has come, or has gone."""
        self._book.tell(Kind.FAULT, {"fault": fault, "active": active, **more})
        self.dirty = True

    async def keep(self) -> None:
        """Keep what changed. Without flash it rings all the same: medicine matters more."""
        if not self.dirty:
            return
        self.dirty = False
        if dropped := self._book.now.dropped:
            self._book.now.dropped = 0
            self.fault("reminder_events_lost", active=True, count=dropped)
            self.dirty = False
        try:
            await self._book.save()
        except JournalWriteFailed as error:
            self.dirty = True
            log.warning("how reminders stand could not be kept: %s", error)
        self._news.set()
