"""Playing patterns on an output, one at a time."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from typing import TYPE_CHECKING

from drivers.gpio.pattern import OFF

if TYPE_CHECKING:
    from drivers.gpio.lines import Lines
    from drivers.gpio.pattern import Pattern

# An output that nothing changes is driven again, because the loss of its chip shows in that only,
# where the device has no inputs and the kernel is older than 6.6.
REFRESH_S = 60.0


class Player:
    """One output. `play` what it is to do; `run` does it."""

    def __init__(self, lines: Lines, offset: int) -> None:
        self._lines = lines
        self._offset = offset
        self._pattern = OFF
        self._began_s = 0.0
        self._news = asyncio.Event()

    def play(self, pattern: Pattern) -> None:
        """From now on this, from its beginning; LinkLost when the chip is gone."""
        self._pattern = pattern
        self._began_s = asyncio.get_running_loop().time()
        self._drive()
        self._news.set()

    async def run(self) -> None:
        """Keep the rhythm, for ever; LinkLost when the chip is gone."""
        loop = asyncio.get_running_loop()
        while True:
            self._news.clear()
            until_s = min(self._drive(), loop.time() + REFRESH_S)
            with suppress(TimeoutError):
                async with asyncio.timeout_at(until_s):
                    await self._news.wait()

    def _drive(self) -> float:
        """The output as it must be now; until when, in time of the loop."""
        moment = self._pattern.at(asyncio.get_running_loop().time() - self._began_s)
        self._lines.drive(self._offset, on=moment.on)
        return self._began_s + moment.until_s if moment.until_s < math.inf else math.inf
