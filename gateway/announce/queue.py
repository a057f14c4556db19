"""What waits to be said, in which order. Pure: time is given, nothing is heard.

A more important item interrupts the one that is being said, which is said again from its start
afterwards unless it is too late for it. Of items with one key only the newest is true, so it takes
the place of an older one, even of one that is being said.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from gateway.errors import CommandRefused
from gateway.speakable import MAX_SPOKEN, speakable

if TYPE_CHECKING:
    from collections.abc import Iterable

# A home says a few things an hour. Beyond this, what matters least goes.
MOST_WAITING = 64
# A text of MAX_SPOKEN with the words around it.
MOST_CHARACTERS = 2 * MAX_SPOKEN


class Priority(IntEnum):
    """What goes first, and interrupts what is below it."""

    WEATHER = 0
    NOTICE = 1
    REMINDER = 2
    ALARM = 3
    CALL = 4


# What may wait until the morning. Nothing above it ever does.
MUTABLE = frozenset({Priority.WEATHER, Priority.NOTICE})


class Item:
    """Something to be said."""

    def __init__(
        self,
        text: str,
        priority: Priority,
        *,
        until_s: float,
        key: str = "",
        language: str = "en",
        phrase: str = "",
        asked: bool = False,
    ) -> None:
        """Not said yet.

        Args:
            text: what.
            priority: how important it is.
            until_s: after that it makes no sense any more.
            key: of items with the same key only the newest is true; empty stands for itself.
            language: of the text.
            phrase: name of the phrase, if it is a fixed one.
            asked: a person wants to hear it now: mute hours do not hold it back.
        """
        self.text = text
        self.priority = priority
        self.until_s = until_s
        self.key = key
        self.language = language
        self.phrase = phrase
        self.quiet = priority in MUTABLE and not asked
        self.begun = False  # somebody has heard at least its start
        self.said = False  # to its end
        self.number = 0  # of those that came, for the order among equals


class Queue:
    """Of one home. `saying` is what is being said."""

    def __init__(self) -> None:
        self.saying: Item | None = None
        self._waiting: list[Item] = []
        self._count = 0

    def put(self, item: Item) -> bool:
        """Take an item; whether what is being said must stop for it.

        Raises:
            CommandRefused: it cannot be said, or too much that matters more is waiting.
        """
        if reason := speakable(item.text, MOST_CHARACTERS):
            raise CommandRefused(f"it cannot be said: {reason}")
        saying = self.saying
        if saying and saying.key == item.key != "" and saying.text == item.text:
            self.drop(item.key)
            return False  # it is just being said
        self._make_room(item)
        stops = self.withdraw(item.key) if item.key else False
        self._count += 1
        item.number = self._count
        self._waiting.append(item)
        if self.saying and item.priority > self.saying.priority:
            self.put_back()
            stops = True
        return stops

    def take(self, now_s: float, *, muted: bool) -> Item | None:
        """The next item to be said, which is then being said; None if there is none now."""
        self.put_back()
        self._waiting = [item for item in self._waiting if item.until_s > now_s]
        free = [item for item in self._waiting if not (muted and item.quiet)]
        if not free:
            return None
        item = _first(free)
        self._waiting.remove(item)
        item.begun = True
        self.saying = item
        return item

    def done(self, item: Item) -> None:
        """An item was said to its end, perhaps at the moment at which it was interrupted."""
        item.said = True
        if self.saying is item:
            self.saying = None
        if item in self._waiting:
            self._waiting.remove(item)

    def withdraw(self, key: str) -> bool:
        """Nothing of this key is true any more; whether what is being said must stop."""
        self.drop(key)
        if self.saying and self.saying.key == key:
            self.saying = None
            return True
        return False

    def drop(self, key: str) -> None:
        """Nothing of this key is to be said any more; what is being said may be said to its end."""
        self._waiting = [item for item in self._waiting if item.key != key]

    def holds(self, item: Item) -> bool:
        """Whether an item is being said or will be."""
        return item is self.saying or item in self._waiting

    def put_back(self) -> None:
        """What is being said was not said to its end: it waits again, in its old place."""
        if self.saying:
            self._waiting.append(self.saying)
            self.saying = None

    @property
    def waiting(self) -> int:
        """How many items wait."""
        return len(self._waiting)

    def _make_room(self, item: Item) -> None:
        others = [it for it in self._waiting if not item.key or it.key != item.key]
        if len(others) < MOST_WAITING:
            return
        least = min(others, key=lambda it: (it.priority, it.number))
        if least.priority > item.priority:
            raise CommandRefused(f"{len(others)} things that matter more wait to be said")
        self._waiting.remove(least)


def _first(items: Iterable[Item]) -> Item:
    return min(items, key=lambda item: (-item.priority, item.number))
