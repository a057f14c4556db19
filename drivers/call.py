"""What must get to flash from a button or a band: journaled at once, offered again if refused."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from gateway.backoff import Backoff
from gateway.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.driver import Accepted, Context
    from gateway.model import Observation

# A call the journal has no room for is offered again after 0.5, 1, 2, 4, 5, 5, ... s, for about
# half a minute in all: flash that stalls for garbage collection is back long before; flash that is
# not back by then is broken, and the person has seen no light and pressed again.
RETRY_FIRST_S = 0.5
RETRY_CAP_S = 5.0
TRIES = 10

# A device goes on signalling a call until it is answered, and a frightened person presses more than
# once: within this time that is one call. It runs from the call and not from the last signal, so
# that a device that never stops is heard again.
SAME_CALL_S = 10.0


class Placed(NamedTuple):
    """A call on its way: what its person may be told, and when.

    `stored`: it is on flash; False if it could not be put there. `delivered`: those who should hear
    it have it; also of a call that the flash refused and that got there from memory.
    """

    stored: asyncio.Task[bool]
    delivered: asyncio.Task[bool]


class SameCall:
    """Tells a new call of a device from one that is signalled again. Pure: time is given."""

    def __init__(self) -> None:
        self._called_s: float | None = None

    def is_new(self, now_s: float) -> bool:
        """The device signals a call: whether that is a new one."""
        if self._called_s is not None and now_s - self._called_s < SAME_CALL_S:
            return False
        self._called_s = now_s
        return True


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

    def place(self, call: Observation) -> Placed:
        """Offer a call to the journal now, before anything else."""
        offered = self._offer(call)
        accepted: asyncio.Future[Accepted | None] = asyncio.get_running_loop().create_future()
        stored = self._tasks.create_task(self._store(call, offered, accepted))
        self._pending.add(stored)
        stored.add_done_callback(self._pending.discard)
        return Placed(stored, self._tasks.create_task(_deliver(accepted)))

    async def settled(self) -> None:
        """Until every call is on flash or given up."""
        while self._pending:
            await asyncio.wait(self._pending)

    def _offer(self, call: Observation) -> Accepted | JournalError:
        try:
            return self._context.emit(call)
        except JournalError as error:
            return error

    async def _store(
        self,
        call: Observation,
        offered: Accepted | JournalError,
        accepted: asyncio.Future[Accepted | None],
    ) -> bool:
        try:
            offered = await self._offer_again(call, offered)
            accepted.set_result(None if isinstance(offered, JournalError) else offered)
        finally:
            accepted.cancel()  # unless somebody knows by now
        try:
            if isinstance(offered, JournalError):
                raise offered
            await offered
        except JournalError as error:
            # One that was accepted, the journal goes on trying to store; to offer it again would
            # be a second call.
            self._offline(call, error)
            return False
        self._online()
        return True

    async def _offer_again(
        self, call: Observation, offered: Accepted | JournalError
    ) -> Accepted | JournalError:
        backoff = Backoff(RETRY_FIRST_S, RETRY_CAP_S)
        for _ in range(TRIES - 1):
            if not isinstance(offered, JournalError) or not offered.retryable:
                break
            self._offline(call, offered)
            await asyncio.sleep(backoff.next_s())
            offered = self._offer(call)
        return offered

    def _offline(self, call: Observation, error: JournalError) -> None:
        self._context.offline(f"{call.kind.name.lower()} not stored: {error}")


async def _deliver(accepted: asyncio.Future[Accepted | None]) -> bool:
    try:
        receipt = await accepted
        if receipt is not None:
            await receipt.delivered()
    except JournalError:
        return False
    return receipt is not None
