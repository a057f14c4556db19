"""What came in and waits for the application."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from gateway.uplink.port import Message

# What waits for the application: as many as the window, and bytes for a few of the largest.
INBOX_MESSAGES = 256
INBOX_BYTES = 8 * 1024 * 1024


class Arrived(NamedTuple):
    """A message that came in, and how it is confirmed."""

    message: Message
    mid: int
    qos: int


class Inbox:
    """What came in and nobody took yet; bounded in messages and bytes."""

    def __init__(self) -> None:
        self.dropped = 0
        self._items: deque[Arrived] = deque()
        self._bytes = 0
        self._event = asyncio.Event()

    def __len__(self) -> int:
        return len(self._items)

    def put(self, arrived: Arrived) -> bool:
        """Take it in; False if there is no room."""
        size = len(arrived.message.payload)
        if len(self._items) >= INBOX_MESSAGES or self._bytes + size > INBOX_BYTES:
            self.dropped += 1
            return False
        self._bytes += size
        self._items.append(arrived)
        self._event.set()
        return True

    def take(self, limit: int) -> list[Arrived]:
        """The oldest, up to `limit`."""
        taken = [self._items.popleft() for _ in range(min(limit, len(self._items)))]
        self._bytes -= sum(len(arrived.message.payload) for arrived in taken)
        return taken

    async def arrival(self) -> None:
        """Wait until something came in, or `wake`."""
        self._event.clear()
        await self._event.wait()

    def wake(self) -> None:
        """Let who waits look at the link."""
        self._event.set()
