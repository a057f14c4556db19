"""Has the weather and the notices said.

The weather is said at set times and when a person asks; a notice once, at its time, and again with
the weather for as long as it holds. What is stale is not said. While nobody knows the time nothing
can be called fresh, so only a notice that arrives now is said.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, time
from typing import TYPE_CHECKING

from gateway.announce import Priority, phrases
from gateway.errors import CommandRefused, JournalWriteFailed
from gateway.news.kept import Notice, Weather
from gateway.news.order import read_notice, read_weather
from gateway.reminders.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.announce import Announcer, Item
    from gateway.news.kept import Kept
    from gateway.settings import AnnounceSettings
    from gateway.timekeeper import Moment, Timekeeper

MOST_NOTICES = 50
DAY_MS = 86_400_000
# What holds for longer, or begins later, is a mistake of units.
MOST_AHEAD_MS = 31 * DAY_MS
# How soon a step of the clock is noticed. Set times are in minutes.
LOOK_S = 5.0
# A set time that is longer ago has passed; who missed it may ask.
LATE_MS = 300_000

log = logging.getLogger("hearth.news")


class News:
    """Of one home."""

    def __init__(
        self, settings: AnnounceSettings, kept: Kept, announcer: Announcer, time: Timekeeper
    ) -> None:
        """What was kept; nothing is said before `run`."""
        self._announcer = announcer
        self._time = time
        self._kept = kept
        self._set_times = [Schedule(_first_at(at), "FREQ=DAILY") for at in settings.weather_at]
        self._items: dict[str, Item] = {}  # of notices on their way to be said
        self._told_ms: int | None = None  # set times up to here have passed
        self._changing = asyncio.Lock()
        self._wake = asyncio.Event()

    # --- from upstream ---------------------------------------------------------------------------

    async def set_weather(self, arguments: Mapping[str, object]) -> None:
        """Take a weather report: `text`, and until when it holds, `valid_until` (ms since 1970).

        Raises:
            CommandRefused: it cannot be said, or is stale; says why.
            JournalWriteFailed: it is known until the next restart.
        """
        order, now = read_weather(arguments), self._time.now()
        if now.known and not now.wall_ms < order.valid_until <= now.wall_ms + MOST_AHEAD_MS:
            raise CommandRefused("the report is stale, or holds for more than 31 days")
        async with self._changing:
            self._kept.weather = Weather(order.text, order.valid_until)
            await self._kept.save()

    async def add_notice(self, arguments: Mapping[str, object]) -> None:
        """Take a notice: `id`, `text`, `at` and `until` (ms since 1970; without: now, for a day).

        One of the same id takes the place of the older, and is said again if its text is new.

        Raises:
            CommandRefused: it cannot be said, is over already, or there are too many; says why.
            JournalWriteFailed: it is known until the next restart.
        """
        order, now = read_notice(arguments), self._time.now()
        since_ms = order.at or now.wall_ms
        until_ms = order.until or since_ms + DAY_MS
        if until_ms <= since_ms:
            raise CommandRefused("the notice ends before it begins")
        if now.known and not now.wall_ms < until_ms <= now.wall_ms + MOST_AHEAD_MS:
            raise CommandRefused("the notice is over, or ends in more than 31 days")
        async with self._changing:
            self._forget_old(now)
            old = self._kept.notices.get(order.id)
            if old is None and len(self._kept.notices) >= MOST_NOTICES:
                raise CommandRefused(f"there are {MOST_NOTICES} notices already")
            same = old is not None and old.text == order.text
            if not same:
                self._announcer.withdraw(_key(order.id))
                self._items.pop(order.id, None)
            said = same and old is not None and old.said
            self._kept.notices[order.id] = Notice(
                order.id, order.text, order.at or 0, until_ms, said
            )
            self._wake.set()
            await self._kept.save()

    # --- saying ----------------------------------------------------------------------------------

    def tell_news(self) -> None:
        """A person wants to hear the weather and the notices."""
        self._tell(self._time.now(), asked=True)

    async def run(self) -> None:
        """Say what is due, until cancelled."""
        while True:
            self._wake.clear()
            await self.look()
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def look(self) -> None:
        """Say what is due now."""
        async with self._changing:
            now = self._time.now()
            changed = self._note_said()
            changed |= self._forget_old(now)
            if self._is_time(now):
                self._tell(now, asked=False)
            for notice in self._kept.notices.values():
                if not notice.said and self._holds(notice, now):
                    self._say_notice(notice, now, asked=False)
            if changed:
                await self._save()

    def _is_time(self, now: Moment) -> bool:
        """Whether a set time has just come."""
        if not now.known:
            return False
        since_ms, self._told_ms = self._told_ms, now.wall_ms
        if since_ms is None:
            return False
        since_ms = max(since_ms, now.wall_ms - LATE_MS)
        nexts = [times.next_after(since_ms, self._time) for times in self._set_times]
        return any(it is not None and it.at_ms <= now.wall_ms for it in nexts)

    def _tell(self, now: Moment, *, asked: bool) -> None:
        """The weather, then the notices that hold.

        At a set time the missing report is told of only where there has been one before.
        """
        weather = self._kept.weather
        if weather and now.known and now.wall_ms < weather.until_ms:
            valid_s = (weather.until_ms - now.wall_ms) / 1000
            words = phrases.weather(weather.text)
            self._say(words, Priority.WEATHER, "weather", valid_s, asked=asked)
        elif weather or asked:
            words = phrases.PHRASES["weather_none"]
            self._say(words, Priority.WEATHER, "weather", LATE_MS / 1000, asked=asked)
        for notice in self._kept.notices.values():
            if self._holds(notice, now):
                self._say_notice(notice, now, asked=asked)

    def _say_notice(self, notice: Notice, now: Moment, *, asked: bool) -> None:
        item = self._items.get(notice.id)
        if item and not asked and self._announcer.holds(item):
            return  # it waits for its turn
        valid_s = (notice.until_ms - now.wall_ms) / 1000 if now.known else DAY_MS / 1000
        words = phrases.notice(notice.text)
        item = self._say(words, Priority.NOTICE, _key(notice.id), valid_s, asked=asked)
        if item:
            self._items[notice.id] = item

    def _say(
        self, words: phrases.Phrase, priority: Priority, key: str, valid_s: float, *, asked: bool
    ) -> Item | None:
        try:
            return self._announcer.say(words, priority, key=key, valid_s=valid_s, asked=asked)
        except CommandRefused as refused:
            log.warning("%s is not said: %s", key, refused)
            return None

    # --- keeping ---------------------------------------------------------------------------------

    def _holds(self, notice: Notice, now: Moment) -> bool:
        if not now.known:
            return not notice.at_ms and not notice.said
        return notice.at_ms <= now.wall_ms < notice.until_ms

    def _forget_old(self, now: Moment) -> bool:
        """What is over; whether there was any."""
        notices = self._kept.notices
        over = [it.id for it in notices.values() if now.known and it.until_ms <= now.wall_ms]
        for notice in over:
            del notices[notice]
            self._items.pop(notice, None)
        return bool(over)

    def _note_said(self) -> bool:
        said = [notice for notice, item in self._items.items() if item.said]
        for notice in said:
            del self._items[notice]
            self._kept.notices[notice].said = True
        return bool(said)

    async def _save(self) -> None:
        try:
            await self._kept.save()
        except JournalWriteFailed as error:
            log.warning("the news could not be kept: %s", error)


def _first_at(at: str) -> datetime:
    return datetime.combine(datetime(2000, 1, 1), time.fromisoformat(at))


def _key(notice: str) -> str:
    return f"notice:{notice}"
