"""Rings. Everything it does is kept before it is heard, and told after it is kept.

    due ──> RINGING kept ──> heard, told "rung" ──> every `repeat_s` again ──┬─ key ──> "taken"
     │                                             (over a restart too)      └─ `repeats` used up,
     └─ older than `grace` ──> told "not_rung"                                  or the next is due
                                                                                ──> "not_taken"

It looks every few seconds, and by the wall clock each time, so a clock that is set is noticed
wherever it goes. While nobody knows the time nothing rings, and that is said.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from gateway.announce import Priority, phrases
from gateway.errors import CommandRefused
from gateway.reminders.book import Anchor, Progress, Ringing
from gateway.reminders.plan import Plan
from gateway.reminders.reminder import read_reminders
from gateway.reminders.teller import Teller
from gateway.strict import sayable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from gateway.announce import Announcer, Item
    from gateway.model import Observation
    from gateway.reminders.book import Book
    from gateway.reminders.reminder import Reminder
    from gateway.reminders.schedule import Occurrence
    from gateway.settings import RemindersSettings
    from gateway.timekeeper import Moment, Timekeeper

# How soon a step of the clock is noticed. Reminders are in minutes.
LOOK_S = 5.0
# A time server is found within a minute of the network; only then it is worth saying.
UNKNOWN_S = 120.0

log = logging.getLogger("hearth.reminders")


class Bell:
    """All reminders of one home."""

    def __init__(
        self,
        settings: RemindersSettings,
        book: Book,
        announcer: Announcer,
        time: Timekeeper,
        emit: Callable[[Observation], Awaitable[object]],
    ) -> None:
        """What the book says; nothing rings before `run`.

        Args:
            settings: of `[reminders]`.
            book: where they are kept.
            announcer: who says them.
            time: of the home.
            emit: the way into the journal; raises JournalError if it takes no event, and what it
                returns is done when the event is on flash.
        """
        self._grace_ms = round(settings.grace * 1000)
        self._book = book
        self._announcer = announcer
        self._time = time
        self._changing = asyncio.Lock()
        self.teller = Teller(book, emit, self._changing)
        self._wake = asyncio.Event()
        self._unknown_since_ms: int | None = None
        self._unknown_told = False
        if time.anchor is None and book.now.anchor:
            time.anchor = book.now.anchor.stamp()
        if book.damage:
            self.teller.fault("reminders_lost", active=True, what=sayable(book.damage))
        self._plans = dict(self._plans_of(book.now.reminders))

    def _plans_of(self, reminders: list[Reminder]) -> Iterator[tuple[str, Plan]]:
        """Of those that were kept. A rule that an older hearth took may not be taken any more."""
        for reminder in reminders:
            progress = self._book.now.progress.setdefault(reminder.id, Progress())
            if not reminder.ack:
                progress.ringing = None  # it was said once, or was about to be
            try:
                yield reminder.id, Plan(reminder, progress)
            except CommandRefused as refused:
                what = sayable(f"{reminder.id}: {refused}")
                self.teller.fault("reminders_lost", active=True, what=what)

    # --- what people do --------------------------------------------------------------------------

    @property
    def ringing(self) -> list[str]:
        """Ids of the reminders that ring now."""
        return [id_ for id_, plan in self._plans.items() if plan.progress.ringing]

    def acknowledge(self, device: str) -> bool:
        """A person did what they are reminded of; False if nothing reminds them.

        Of several reminders those that the person has heard at least the start of; all, if
        nobody says them aloud.

        Args:
            device: by which they said so.
        """
        ringing = [
            plan for plan in self._plans.values() if plan.progress.ringing and plan.reminder.ack
        ]
        if not ringing:
            return False
        heard = [plan for plan in ringing if plan.heard or (plan.item and plan.item.begun)]
        for plan in heard or ringing:
            self.teller.end(plan, "taken", by=device)
            self._announcer.withdraw(_key(plan.reminder))
        self._say(phrases.PHRASES["reminder_taken"], key="reminder_taken")
        self._wake.set()
        return True

    async def set_all(self, items: object) -> int:
        """Take these for all reminders of the home; what stays the same keeps its progress.

        Args:
            items: from upstream: a list of maps, see Reminder.

        Returns:
            how many there are now.

        Raises:
            CommandRefused: with what is wrong; nothing has changed.
            JournalWriteFailed: they hold until the next restart.
        """
        reminders = read_reminders(items)
        async with self._changing:
            before, self._plans = self._plans, {}
            for reminder in reminders:
                self._plans[reminder.id] = self._planned(reminder, before.pop(reminder.id, None))
            for plan in before.values():
                if plan.progress.ringing:
                    self.teller.end(plan, "not_taken", reason="withdrawn")
                self._announcer.withdraw(_key(plan.reminder))
            self._book.now.reminders = reminders
            self._book.now.progress = {id_: plan.progress for id_, plan in self._plans.items()}
            self.teller.dirty = True
            self._wake.set()
            await self._book.save()
            self.teller.dirty = False
            return len(reminders)

    def _planned(self, reminder: Reminder, old: Plan | None) -> Plan:
        """A reminder that is new, or takes the place of an older one of its id."""
        if old and old.reminder.same_time(reminder):
            plan = Plan(reminder, old.progress)
            plan.item, plan.heard = old.item, old.heard
            plan.repeat_uptime_ms = old.repeat_uptime_ms
            return plan
        progress = self._begin(reminder)
        if old:
            progress.rung_ms = old.progress.rung_ms
            if old.progress.ringing:
                self.teller.end(old, "not_taken", reason="changed")
            self._announcer.withdraw(_key(reminder))
        return Plan(reminder, progress)

    def _begin(self, reminder: Reminder) -> Progress:
        """From now on; one that rings only once may have been due while it was on its way."""
        now = self._time.now()
        if not now.known:
            stamp = self._time.stamp()
            return Progress(set_boot=stamp.boot, set_uptime_ms=stamp.uptime_ms)
        back_ms = 0 if reminder.rule else self._grace_ms
        return Progress(settled_ms=now.wall_ms - back_ms)

    # --- time ------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Ring what is due, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._look_on())
            tasks.create_task(self.teller.run())

    async def _look_on(self) -> None:
        while True:
            self._wake.clear()
            delay_s = await self.look()
            try:
                async with asyncio.timeout(delay_s):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def look(self) -> float:
        """Do what is due now; s until the next look."""
        async with self._changing:
            now = self._time.now()
            ringing: list[Plan] = []
            if now.known:
                self._mind_known_clock()
                ringing = [plan for plan in self._plans.values() if self._advance(plan, now)]
            elif self._plans:
                self._mind_unknown_clock(now)
            await self.teller.keep()
            for plan in ringing:
                self._ring(plan)
            return self._delay_s(now) if now.known else LOOK_S

    def _advance(self, plan: Plan, now: Moment) -> bool:
        """Note what time did to one reminder; whether it is to be said."""
        self.teller.dirty |= plan.settle(now, self._time)
        due = plan.due(now, self._grace_ms, self._time)
        if due.missed:
            self.teller.not_rung(plan.reminder, due.missed)
        if due.rings:
            if plan.progress.ringing:
                self.teller.end(plan, "not_taken", reason="the next is due")
            self._begin_ringing(plan, due.rings, now)
            return True
        return plan.progress.ringing is not None and self._repeats(plan, now)

    def _begin_ringing(self, plan: Plan, occurrence: Occurrence, now: Moment) -> None:
        local = occurrence.local.isoformat()
        plan.progress.ringing = Ringing(local, occurrence.at_ms, 1, now.wall_ms)
        plan.progress.rung_ms = occurrence.at_ms
        plan.heard, plan.item = False, None
        self._wait_for_repeat(plan, now)
        self.teller.state(plan.reminder, "rung", local)

    def _repeats(self, plan: Plan, now: Moment) -> bool:
        """Whether what rings is to be said again now; it ends if that was enough."""
        ringing = plan.progress.ringing
        if ringing is None:
            return False
        if plan.repeat_uptime_ms is None:
            return self._ring_on(plan, ringing, now)
        if now.uptime_ms < plan.repeat_uptime_ms:
            return False
        if ringing.times > plan.reminder.most_repeats:
            self.teller.end(plan, "not_taken")
            return False
        ringing.times += 1
        ringing.last_ms = now.wall_ms
        self._wait_for_repeat(plan, now)
        self.teller.dirty = True
        return True

    def _ring_on(self, plan: Plan, ringing: Ringing, now: Moment) -> bool:
        """After a restart: whether what rang before it is to be said again now."""
        repeat_ms = round(plan.reminder.repeat_s * 1000)
        left = plan.reminder.most_repeats + 1 - ringing.times
        off_ms = now.wall_ms - ringing.last_ms
        if off_ms > repeat_ms * (left + 1) + self._grace_ms:
            self.teller.end(plan, "not_taken", reason="off")
            return False
        wait_ms = min(max(repeat_ms - off_ms, 0), repeat_ms)
        plan.repeat_uptime_ms = now.uptime_ms + wait_ms
        return self._repeats(plan, now)

    def _wait_for_repeat(self, plan: Plan, now: Moment) -> None:
        plan.repeat_uptime_ms = now.uptime_ms + round(plan.reminder.repeat_s * 1000)

    def _ring(self, plan: Plan) -> None:
        """Say it, now that it is kept."""
        if plan.progress.ringing is None:
            return  # a person was faster than the flash
        reminder = plan.reminder
        plan.heard = plan.heard or bool(plan.item and plan.item.begun)
        words = phrases.reminder(reminder.kind, reminder.text, press=reminder.ack)
        valid_s = reminder.repeat_s if reminder.ack else self._grace_ms / 1000
        plan.item = self._say(words, key=_key(reminder), valid_s=valid_s)
        if not reminder.ack:
            plan.progress.ringing = None
            self.teller.dirty = True

    def _delay_s(self, now: Moment) -> float:
        waits = [plan.next.at_ms - now.wall_ms for plan in self._plans.values() if plan.next]
        waits += [
            plan.repeat_uptime_ms - now.uptime_ms
            for plan in self._plans.values()
            if plan.progress.ringing and plan.repeat_uptime_ms
        ]
        return min(max(min(waits, default=60_000) / 1000, 0.01), LOOK_S)

    # --- the clock -------------------------------------------------------------------------------

    def _mind_known_clock(self) -> None:
        self._unknown_since_ms = None
        if self._unknown_told:
            self._unknown_told = False
            self._announcer.withdraw("clock_unknown")
            self.teller.fault("clock_unknown", active=False)
        if self._plans and (anchor := self._time.anchor):
            kept = self._book.now.anchor
            if kept is None or kept.boot != anchor.boot:
                self.teller.dirty = True
            self._book.now.anchor = Anchor(anchor.boot, anchor.uptime_ms, anchor.wall_ms)

    def _mind_unknown_clock(self, now: Moment) -> None:
        if self._unknown_since_ms is None:
            self._unknown_since_ms = now.uptime_ms
        if self._unknown_told or now.uptime_ms - self._unknown_since_ms < UNKNOWN_S * 1000:
            return
        self._unknown_told = True
        self._say(phrases.PHRASES["clock_unknown"], key="clock_unknown")
        self.teller.fault("clock_unknown", active=True)

    # --- saying ----------------------------------------------------------------------------------

    def _say(self, words: phrases.Phrase, *, key: str, valid_s: float = 60.0) -> Item | None:
        try:
            return self._announcer.say(words, Priority.REMINDER, key=key, valid_s=valid_s)
        except CommandRefused as refused:
            log.warning("%s is not said: %s", key, refused)
            return None


def _key(reminder: Reminder) -> str:
    return f"reminder:{reminder.id}"
