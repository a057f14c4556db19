"""What must get to flash from a button or a band: journaled at once, offered again if refused."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gateway.backoff import Backoff
from gateway.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gateway.driver import Context
    from gateway.model import Observation

# A call the journal has no room for is offered again after 0.5, 1, 2, 4, 5, 5, ... s, for about
# half a minute in all: flash that stalls for garbage collection is back long before; flash that is
# not back by then is broken, and the person has seen no light and pressed again.
RETRY_FIRST_S = 0.5
RETRY_CAP_S = 5.0
TRIES = 10


class Caller:
    """Stores calls and what else may not be dropped; tells by on- and offline how it goes."""

    def __init__(
        self, context: Context, tasks: asyncio.TaskGroup, online: Callable[[], None]
    ) -> None:
        """Args: where to, who runs what takes longer, how to say that the device is well again."""
        self._context = context
        self._tasks = tasks
        self._online = online
        self._pending: set[asyncio.Task[bool]] = set()

    def place(self, call: Observation) -> asyncio.Task[bool]:
        """Offer a call to the journal now, before anything else; whether it is on flash, later."""
        task = self._tasks.create_task(self._follow(call, self._offer(call)))
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)
        return task

    async def settled(self) -> None:
        """Until every call is on flash or given up."""
        while self._pending:
            await asyncio.wait(self._pending)

    def _offer(self, call: Observation) -> Awaitable[int] | JournalError:
        try:
            return self._context.emit(call)
        except JournalError as error:
            return error

    async def _follow(self, call: Observation, outcome: Awaitable[int] | JournalError) -> bool:
        backoff = Backoff(RETRY_FIRST_S, RETRY_CAP_S)
        for _ in range(TRIES - 1):
            if not isinstance(outcome, JournalError):
                break
            self._offline(call, outcome)
            if not outcome.retryable:
                return False
            await asyncio.sleep(backoff.next_s())
            outcome = self._offer(call)
        return await self._confirmed(call, outcome)

    async def _confirmed(self, call: Observation, outcome: Awaitable[int] | JournalError) -> bool:
        try:
            if isinstance(outcome, JournalError):
                raise outcome
            await outcome
        except JournalError as error:
            # One that was accepted, the journal goes on trying to store; to offer it again would
            # be a second call.
            self._offline(call, error)
            return False
        self._online()
        return True

    def _offline(self, call: Observation, error: JournalError) -> None:
        self._context.offline(f"{call.kind.name.lower()} not stored: {error}")
