"""Gives one utterance after the other to who can say it, and says how calls stand.

"Not delivered" is never silent: it is said again and again for as long as it lasts.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gateway.announce import phrases
from gateway.announce.mute import Mute
from gateway.announce.phrases import Phrase
from gateway.announce.queue import Item, Priority, Queue
from gateway.errors import CommandRefused
from gateway.model import CALL_ENDED, CallState
from gateway.speakable import speakable

if TYPE_CHECKING:
    from gateway.driver import Signs
    from gateway.settings import AnnounceSettings
    from gateway.timekeeper import Timekeeper

# What makes sense to be said for so long after it was ordered, if nobody says otherwise.
VALID_S = 60.0
# How late, after the end of the mute hours or a step of the clock, the held back is said.
MUTE_LOOK_S = 30.0
# Names of people who take calls; longer ones are no names.
MOST_NAME = 40

_CALL = "call"  # the key of everything that says how calls stand


class Announcement:
    """An item on its way through a loudspeaker; see gateway.driver.Utterance."""

    def __init__(self, item: Item, queue: Queue) -> None:
        self.text = item.text
        self.language = item.language
        self.phrase = item.phrase
        self._item = item
        self._queue = queue
        self._stopped = asyncio.Event()

    async def interrupted(self) -> None:
        """Return when something more important is to be said, or this is not true any more."""
        await self._stopped.wait()

    def said(self) -> None:
        """It was said to its end."""
        self._queue.done(self._item)

    def stop(self) -> None:
        """Let it be interrupted."""
        self._stopped.set()


class Announcer:
    """Of one home, with one loudspeaker."""

    def __init__(self, settings: AnnounceSettings, time: Timekeeper) -> None:
        self._settings = settings
        self._time = time
        self._mute = Mute(settings.mute)
        self._queue = Queue()
        self._saying: Announcement | None = None
        self._fresh = asyncio.Event()
        self._accepted_by = ""

    @property
    def language(self) -> str:
        """Of the home: "zh" or "en"."""
        return self._settings.language

    # --- saying ----------------------------------------------------------------------------------

    def say(
        self,
        words: Phrase | str,
        priority: Priority,
        *,
        key: str = "",
        valid_s: float = VALID_S,
        asked: bool = False,
    ) -> Item:
        """Have something said when its turn comes.

        Args:
            words: a phrase, or a text in the language of the home.
            priority: how important it is.
            key: of all with the same key only the newest is true; empty stands for itself.
            valid_s: not said any more after this time.
            asked: a person wants to hear it now: mute hours do not hold it back.

        Returns:
            the item, which knows how far it got.

        Raises:
            CommandRefused: it cannot be said, or too much that matters more is waiting.
        """
        phrase = words if isinstance(words, Phrase) else Phrase(words, words)
        item = Item(
            phrase.text(self.language),
            priority,
            until_s=self._now_s() + valid_s,
            key=key,
            language=self.language,
            phrase=phrase.name,
            asked=asked,
        )
        if self._queue.put(item):
            self._stop()
        self._fresh.set()
        return item

    def withdraw(self, key: str) -> None:
        """Nothing of this key is true any more."""
        if self._queue.withdraw(key):
            self._stop()

    def holds(self, item: Item) -> bool:
        """Whether an item is being said or will be."""
        return item.until_s > self._now_s() and self._queue.holds(item)

    async def next(self) -> Announcement:
        """The next thing to say; one that was not said to its end waits again."""
        while True:
            self._fresh.clear()
            item = self._queue.take(self._now_s(), muted=self.muted)
            if item is not None:
                self._saying = Announcement(item, self._queue)
                return self._saying
            await self._something()

    @property
    def muted(self) -> bool:
        """Whether weather and notices wait. Never while the time is not known."""
        now = self._time.now()
        return now.known and self._mute.covers(self._time.local(now.wall_ms))

    # --- calls -----------------------------------------------------------------------------------

    def accepted_by(self, name: str) -> None:
        """Who takes the call that is about to be shown as accepted; said with the state.

        Raises:
            CommandRefused: it cannot be said.
        """
        if reason := speakable(name, MOST_NAME):
            raise CommandRefused(f"the name cannot be said: {reason}")
        self._accepted_by = name

    async def run(self, signs: Signs) -> None:
        """Say how calls stand, until cancelled."""
        while True:
            state = signs.state
            self._say_state(state)
            again_s = self._settings.repeat_undelivered if state is CallState.UNDELIVERED else None
            try:
                async with asyncio.timeout(again_s):
                    await signs.changed()
            except TimeoutError:
                continue  # it still is so, and is said again

    def _say_state(self, state: CallState | None) -> None:
        if state is None or state in CALL_ENDED:
            self._accepted_by = ""
        if state is None:
            self._queue.drop(_CALL)
            return
        words = phrases.OF_CALL[state]
        if state is CallState.ACCEPTED and self._accepted_by:
            words = phrases.accepted_by(self._accepted_by)
        self.say(words, Priority.CALL, key=_CALL, valid_s=float("inf"))  # true until it changes

    # --- small things ----------------------------------------------------------------------------

    async def _something(self) -> None:
        """Until something new is to be said, or what is held back may be."""
        try:
            async with asyncio.timeout(MUTE_LOOK_S if self._queue.waiting else None):
                await self._fresh.wait()
        except TimeoutError:
            return

    def _stop(self) -> None:
        if self._saying:
            self._saying.stop()

    def _now_s(self) -> float:
        return self._time.now().uptime_ms / 1000
