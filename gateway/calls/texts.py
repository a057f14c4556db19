"""What a second path is asked to send when the network does not answer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Message:
    """One text on its way to a second path; see gateway.driver.TextMessage."""

    def __init__(self, texts: Texts, call: str, text: str) -> None:
        self.text = text
        self._texts = texts
        self._call = call

    def sent(self) -> None:
        """The second path has taken it."""
        self._texts.done(self._call)

    def failed(self, reason: str) -> None:
        """It could not be sent; it is offered again."""
        self._texts.again(self._call, reason)


class Texts:
    """The texts that are to be sent, one a call; who sends them asks for them."""

    def __init__(self, sent: Callable[[str], None], failed: Callable[[str, str], None]) -> None:
        """Args: told of the call whose text was sent; of the call, and why it was not."""
        self._waiting: dict[str, str] = {}  # call, and text
        self._taken: set[str] = set()
        self._sent = sent
        self._failed = failed
        self._news = asyncio.Event()

    def offer(self, call: str, text: str) -> None:
        """Have a text sent for a call; one that waits already stays as it is."""
        self._waiting.setdefault(call, text)
        self._news.set()

    def withdraw(self, call: str) -> None:
        """It need not be sent any more."""
        self._waiting.pop(call, None)
        self._taken.discard(call)

    async def next(self) -> Message:
        """The next text that nobody sends yet."""
        while True:
            for call, text in self._waiting.items():
                if call not in self._taken:
                    self._taken.add(call)
                    return Message(self, call, text)
            self._news.clear()
            await self._news.wait()

    def done(self, call: str) -> None:
        """A text was sent."""
        self.withdraw(call)
        self._sent(call)

    def again(self, call: str, reason: str) -> None:
        """A text was not sent."""
        self._taken.discard(call)
        self._news.set()
        self._failed(call, reason)
