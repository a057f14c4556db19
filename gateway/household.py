"""What goes on in the home beyond a single device: calls, voice, reminders, news."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.announce import Announcer, Priority, phrases
from gateway.calls.book import CallBook
from gateway.calls.desk import GATEWAY, CallDesk
from gateway.calls.wording import text_of
from gateway.errors import CommandRefused
from gateway.news import News
from gateway.news.kept import Kept
from gateway.reminders import Bell
from gateway.reminders.book import Book
from gateway.timekeeper import Timekeeper

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.clock import Clock
    from gateway.driver import Signs, TextMessage, Utterance
    from gateway.journal import Journal
    from gateway.model import Scalar
    from gateway.recorder import Recorder
    from gateway.settings import Settings


class Household:
    """Of one home. `restore` before any device starts, then `run` beside them."""

    def __init__(self, desk: CallDesk, announcer: Announcer, bell: Bell, news: News) -> None:
        self.desk = desk
        self.announcer = announcer
        self.bell = bell
        self.news = news
        self._testing_until_s = float("-inf")

    @classmethod
    def open(
        cls,
        settings: Settings,
        journal: Journal,
        recorder: Recorder,
        clock: Clock,
        *,
        answered: bool,
    ) -> Household:
        """What is kept of it beside the journal; what cannot be read is told, and is empty.

        `answered` says whether anybody upstream can take a call.
        """
        folder, time = Path(settings.journal.path) / "home", Timekeeper(clock)
        announcer = Announcer(settings.announce, time)
        desk = CallDesk(
            journal,
            recorder,
            CallBook(folder / "calls.json"),
            settings.calls,
            clock,
            answered=answered,
            text_of=partial(text_of, gateway=settings.gateway, language=settings.announce.language),
        )
        bell = Bell(
            settings.reminders,
            Book(folder / "reminders.json"),
            announcer,
            time,
            lambda seen: recorder.record(seen, GATEWAY),
        )
        news = News(settings.announce, Kept(folder / "news.json"), announcer, time)
        return cls(desk, announcer, bell, news)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.desk.run())
            tasks.create_task(self.announcer.run(self.desk.signs()))
            tasks.create_task(self.bell.run())
            tasks.create_task(self.news.run())

    def alarm(self, detail: Mapping[str, Scalar]) -> None:
        """A detector raised an alarm, or it is over: say so in the home."""
        kind = str(detail.get("alarm", ""))
        key = f"alarm {kind}"
        if not detail.get("active"):
            self.announcer.withdraw(key)
            return
        with suppress(CommandRefused):  # more important things wait than can be said
            self.announcer.say(phrases.alarm(kind), Priority.ALARM, key=key)

    def test_for(self, seconds: float) -> None:
        """Calls of the next time (s) are an installer's tests; 0 ends that."""
        self._testing_until_s = asyncio.get_running_loop().time() + seconds

    @property
    def testing(self) -> bool:
        """Whether an installer tests."""
        return asyncio.get_running_loop().time() < self._testing_until_s

    def of(self) -> DeviceHouse:
        """The home as one device sees it."""
        return DeviceHouse(self)


class DeviceHouse:
    """See gateway.driver.House."""

    def __init__(self, household: Household) -> None:
        self._household = household
        self.signs: Signs = household.desk.signs()

    @property
    def testing(self) -> bool:
        """An installer tests: calls are marked so."""
        return self._household.testing

    async def utterance(self) -> Utterance:
        """The next thing to say."""
        return await self._household.announcer.next()

    async def message(self) -> TextMessage:
        """The next text to send."""
        return await self._household.desk.texts.next()

    def acknowledge(self, device: str) -> bool:
        """A person did what they are being reminded of; False if nothing reminds them."""
        return self._household.bell.acknowledge(device)

    def tell_news(self) -> None:
        """A person wants to hear the weather and the notices."""
        self._household.news.tell_news()
