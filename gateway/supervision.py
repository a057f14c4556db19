"""Signs of life: how the far side knows that this home is still there, and its way for calls open.

Twice in `quiet_after` the gateway says that it is alive, in the queue of readings; so a home that
is not heard for that long has gone quiet. A test call goes the whole way of a call.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from gateway.errors import JournalError
from gateway.model import Kind, Observation

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.model import Scalar
    from gateway.settings import SupervisionSettings

# Of the time after which a home counts as quiet; two in it, so that one may be lost.
SIGNS_IN_TIME = 2

log = logging.getLogger("hearth.supervision")


class Supervision:
    """Tells that the gateway is alive, and tests the way of a call."""

    def __init__(
        self,
        settings: SupervisionSettings,
        tell: Callable[[Observation], object],
        call: Callable[[Observation], object],
    ) -> None:
        """Args: how often; how an event of the gateway is told; how it calls."""
        self._settings = settings
        self._tell = tell
        self._call = call

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._live())
            if self._settings.test_call:
                tasks.create_task(self._test())

    async def _live(self) -> None:
        detail: dict[str, Scalar] = {"state": "alive", "quiet_after_s": self._settings.quiet_after}
        while True:
            _try(self._tell, Observation(Kind.GATEWAY, detail=detail))
            await asyncio.sleep(self._settings.quiet_after / SIGNS_IN_TIME)

    async def _test(self) -> None:
        while True:
            await asyncio.sleep(self._settings.test_call)
            _try(self._call, Observation(Kind.CALL, detail={"cause": "test", "test": True}))


def _try(tell: Callable[[Observation], object], seen: Observation) -> None:
    """A journal that takes nothing now takes the next one; that it fails is told by others."""
    try:
        tell(seen)
    except JournalError as error:
        log.warning("%s could not be recorded: %s", seen.kind.name.lower(), error)
