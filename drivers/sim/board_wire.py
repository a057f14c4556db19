"""The wires of a virtual board, and what can hang on them: buttons, contacts, lamps, beepers."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from drivers.sim.board_messages import Pulse

if TYPE_CHECKING:
    from collections.abc import Callable

# How long a press on a wall button lasts; anything a person can do is longer than its bouncing.
PRESS_S = 0.15
BOUNCE_S = 0.001  # one level of a chattering contact


class VirtualWire:
    """One wire: a level whether anybody looks or not, and at most one client that has it."""

    def __init__(self, offset: int, *, level: bool) -> None:
        self.offset = offset
        self.level = level
        self.changes: list[tuple[float, bool]] = []  # time.monotonic() and the level from then on
        self._news = asyncio.Condition()
        self._held = asyncio.Event()
        self._active_low = False
        self._send: Callable[[Pulse], None] | None = None
        self._seqno = 0
        self._tellers: set[asyncio.Task[None]] = set()

    @property
    def free(self) -> bool:
        """Whether no client has it."""
        return not self._held.is_set()

    @property
    def active(self) -> bool:
        """As the client counts it."""
        return self.level is not self._active_low

    async def watched(self) -> None:
        """Until a client has it."""
        await self._held.wait()

    async def wait_active(self, *, on: bool) -> None:
        """Until it is active, or is not."""
        async with self._news:
            await self._news.wait_for(lambda: self.active is on)

    def take(self, send: Callable[[Pulse], None] | None, *, active_low: bool) -> None:
        """A client has it; `send` is given every edge."""
        self._send, self._active_low, self._seqno = send, active_low, 0
        self._held.set()

    def give_back(self) -> None:
        """The client is gone."""
        self._send = None
        self._held.clear()

    def drive(self, *, on: bool) -> None:
        """The client, or what is left of it, makes it active or not."""
        self.become(on is not self._active_low)

    def become(self, level: bool) -> None:
        """A new level, by whatever hangs on the wire."""
        if level is self.level:
            return
        self.level = level
        self.changes.append((time.monotonic(), level))
        if self._send:
            self._seqno += 1
            self._send(Pulse(self.offset, self.active, time.monotonic_ns(), self._seqno))
        teller = asyncio.get_running_loop().create_task(self._tell())
        self._tellers.add(teller)
        teller.add_done_callback(self._tellers.discard)

    def lose_edges(self, count: int) -> None:
        """The buffer overflowed: this many edges are gone."""
        self._seqno += count

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()


class VirtualButton:
    """A contact between a wire and ground (or supply), perhaps a change-over one, and its light."""

    def __init__(
        self,
        no: VirtualWire,
        nc: VirtualWire | None = None,
        light: VirtualWire | None = None,
        *,
        active_low: bool = True,
    ) -> None:
        self.pressed = False
        self._no = no
        self._nc = nc
        self._light = light
        self._active_low = active_low
        self._cut: set[VirtualWire] = set()
        self._move()

    @property
    def light(self) -> bool:
        """Whether its light shines."""
        return self._light is not None and self._light.active

    def hold(self) -> None:
        """Press and stay."""
        self.pressed = True
        self._move()

    def release(self) -> None:
        """Let go."""
        self.pressed = False
        self._move()

    async def press(self, duration: float = PRESS_S) -> None:
        """Press, wait (s), let go."""
        self.hold()
        await asyncio.sleep(duration)
        self.release()

    async def bounce(self, count: int, interval: float = BOUNCE_S) -> None:
        """Close and open `count` times, `interval` s each; open at the end."""
        for _ in range(count):
            await self.press(interval)
            await asyncio.sleep(interval)

    def cut(self, *, no: bool = False, nc: bool = False) -> None:
        """Which leads are cut from now on; none mends both."""
        self._cut = {wire for wire, is_cut in ((self._no, no), (self._nc, nc)) if wire and is_cut}
        self._move()

    async def watched(self) -> None:
        """Until somebody holds its line."""
        await self._no.watched()

    async def wait_light(self, *, on: bool) -> None:
        """Until its light is on, or off."""
        if self._light is not None:
            await self._light.wait_active(on=on)

    def _move(self) -> None:
        # A change-over contact leaves one side before it reaches the other.
        for wire, closed in ((self._nc, not self.pressed), (self._no, self.pressed)):
            if wire is not None:
                wire.become((closed and wire not in self._cut) is not self._active_low)
