"""The window of publishes in flight."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gateway.errors import UplinkLost

if TYPE_CHECKING:
    from paho.mqtt.reasoncodes import ReasonCode


class Pubacks:
    """The window of publishes in flight, and who waits for which PUBACK."""

    def __init__(self, window: int) -> None:
        self.window = window
        self._slots = asyncio.Semaphore(window)
        self._waiting: dict[int, asyncio.Future[ReasonCode]] = {}

    def narrow(self, window: int) -> None:
        """Lower the window to the broker's; before the first publish."""
        if window < self.window:
            self.window = window
            self._slots = asyncio.Semaphore(window)

    async def slot(self) -> None:
        """Wait for room in the window, first come first served, and take it."""
        await self._slots.acquire()

    def give_back(self) -> None:
        """The slot was not used."""
        self._slots.release()

    def expect(self, mid: int) -> asyncio.Future[ReasonCode]:
        """A future for the PUBACK of packet id `mid`; it gives back the slot when it comes."""
        future: asyncio.Future[ReasonCode] = asyncio.get_running_loop().create_future()
        self._waiting[mid] = future
        return future

    def confirmed(self, mid: int, reason: ReasonCode) -> None:
        """The PUBACK came. A publish cancelled meanwhile held its slot until now."""
        future = self._waiting.pop(mid, None)
        if future is not None:
            self._slots.release()
            if not future.done():
                future.set_result(reason)

    def fail(self, error: UplinkLost) -> None:
        """None will come any more. Those who wait for room come next, and see the link lost."""
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            self._slots.release()
            if not future.done():
                future.set_exception(UplinkLost(error.what, where=error.where))
