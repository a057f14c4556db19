"""Signs of life: how the far side knows that this home is still there, and its way for calls open.

Twice in `quiet_after` the gateway says that it is alive, in the queue of readings; so a home that
is not heard for that long has gone quiet. With that goes how many events wait in each lane: one
that is heard and falls behind is seen, too. A test call goes the whole way of a call.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gateway import __version__
from gateway.model import Kind, Measurement, Observation
from gateway.recorder import try_to

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gateway.model import Lane, Scalar
    from gateway.settings import SupervisionSettings

# Of the time after which a home counts as quiet; two in it, so that one may be lost.
SIGNS_IN_TIME = 2


class Supervision:
    """Tells that the gateway is alive, and tests the way of a call."""

    def __init__(
        self,
        settings: SupervisionSettings,
        tell: Callable[[Observation], object],
        call: Callable[[Observation], object],
        backlog: Callable[[], Mapping[Lane, int]],
    ) -> None:
        """A supervision that `run` begins.

        Args:
            settings: how often.
            tell: how an event of the gateway is told.
            call: how it calls.
            backlog: how many events wait in each lane.
        """
        self._settings = settings
        self._tell = tell
        self._call = call
        self._backlog = backlog

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._live())
            if self._settings.test_call:
                tasks.create_task(self._test())

    async def _live(self) -> None:
        detail: dict[str, Scalar] = {
            "state": "alive",
            "quiet_after_s": self._settings.quiet_after,
            "version": __version__,
        }
        while True:
            waiting = tuple(
                Measurement(f"backlog_{lane.name.lower()}", events, "count")
                for lane, events in self._backlog().items()
            )
            try_to(self._tell, Observation(Kind.GATEWAY, waiting, detail=detail))
            await asyncio.sleep(self._settings.quiet_after / SIGNS_IN_TIME)

    async def _test(self) -> None:
        while True:
            await asyncio.sleep(self._settings.test_call)
            try_to(self._call, Observation(Kind.CALL, detail={"cause": "test", "test": True}))
