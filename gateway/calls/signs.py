"""How open calls stand, for whoever shows it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gateway.calls.call import least

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.calls.call import Call
    from gateway.model import CallState


class Board:
    """What is shown of each call: no more than is kept, so that a power cut takes nothing back."""

    def __init__(self) -> None:
        self._shown: dict[str, tuple[str, CallState]] = {}  # call: device, state
        self._news = asyncio.Event()

    def show(self, calls: Iterable[Call]) -> None:
        """Take these calls as they are now."""
        before = dict(self._shown)
        for call in calls:
            if call.state is not None:
                self._shown[call.id] = (call.device, call.state)
        self._tell(before)

    def forget(self, call: str) -> None:
        """A call is shown no more."""
        before = dict(self._shown)
        self._shown.pop(call, None)
        self._tell(before)

    def state_of(self, device: str | None) -> CallState | None:
        """The least of what is shown of a device, or of all."""
        states = (state for of, state in self._shown.values() if device in {None, of})
        return least(states)

    async def news(self) -> None:
        """Until anything is shown otherwise."""
        await self._news.wait()

    def _tell(self, before: dict[str, tuple[str, CallState]]) -> None:
        if before != self._shown:
            self._news.set()
            self._news = asyncio.Event()


class BoardSigns:
    """The board as one device, or who shows all of it, sees it; see gateway.driver.Signs."""

    def __init__(self, board: Board, device: str | None = None) -> None:
        self._board = board
        self._device = device
        self._seen: CallState | None = None

    @property
    def state(self) -> CallState | None:
        """That of the call that got least far; None if none is open."""
        self._seen = self._board.state_of(self._device)
        return self._seen

    async def changed(self) -> None:
        """Return when `state` has changed since it was last looked at."""
        while self._board.state_of(self._device) is self._seen:
            await self._board.news()
