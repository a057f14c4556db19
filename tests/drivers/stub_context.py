"""A Context that keeps what a driver tells, for tests of one driver without a daemon."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from stub_house import StubHouse, StubSigns

from gateway.model import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.model import Observation
    from gateway.settings import BusSettings


class StubReceipt(asyncio.Future[int]):
    """Done when the event is on flash; `far` is done when the far side has it."""

    def __init__(self) -> None:
        super().__init__()
        self.far: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def delivered(self) -> None:
        await asyncio.shield(self.far)


class StubNotes:
    """Notes that may be passed from one context to the next, as a file is."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.refusal: Exception | None = None

    def get(self, key: str) -> Any:
        return self.values.get(key)

    async def put(self, values: Any) -> None:
        if self.refusal:
            raise self.refusal
        self.values |= values


class StubContext:
    """`observations` and `states` in the order they came; `shared_objects` may be passed around.

    That polls some ms apart are more than a busy machine can do is told by every meter, rightly,
    and is kept only for tests of that: `hears_overload`.
    """

    def __init__(
        self,
        device: str = "dev",
        bus: BusSettings | None = None,
        *,
        hears_overload: bool = False,
    ) -> None:
        self.device = device
        self.bus = bus
        self.notes = StubNotes()
        self.signs = StubSigns()
        self.house = StubHouse()
        self.cancelled = 0
        self.hears_overload = hears_overload
        self.observations: list[Observation] = []
        self.states: list[tuple[str, Any]] = []
        self.shared_objects: dict[str, Any] = {}
        self._changed = asyncio.Condition()
        self._tellers: set[asyncio.Task[None]] = set()

    def emit(self, observation: Observation) -> StubReceipt:
        if self.hears_overload or not _is_overload(observation):
            self.observations.append(observation)
            self._tell()
        receipt = StubReceipt()
        receipt.set_result(len(self.observations))
        receipt.far.set_result(None)
        return receipt

    def cancel_calls(self) -> bool:
        self.cancelled += 1
        return self.signs.state is not None

    def online(self, **detail: Any) -> None:
        self.states.append(("online", detail))
        self._tell()

    def offline(self, reason: str) -> None:
        self.states.append(("offline", reason))
        self._tell()

    def shared(self, key: str, make: Callable[[], Any]) -> Any:
        if key not in self.shared_objects:
            self.shared_objects[key] = make()
        return self.shared_objects[key]

    async def close(self) -> None:
        """Close what is shared, as the daemon does when it stops."""
        for item in self.shared_objects.values():
            await item.close()
        self.shared_objects.clear()

    def of(self, kind: Kind) -> list[Observation]:
        """The observations of one kind."""
        return [seen for seen in self.observations if seen.kind is kind]

    def values(self, name: str) -> list[Any]:
        """Every value measured under a name."""
        return [m.value for seen in self.observations for m in seen.measurements if m.name == name]

    async def wait_for(self, n: int, timeout: float = 10.0) -> list[Observation]:
        """The observations, once there are n."""
        await self.wait_until(lambda: len(self.observations) >= n, timeout)
        return self.observations

    async def wait_until(self, predicate: Callable[[], bool], timeout: float = 10.0) -> None:
        """Until a predicate over this context holds; it is asked again at every change."""
        async with asyncio.timeout(timeout), self._changed:
            await self._changed.wait_for(predicate)

    def _tell(self) -> None:
        teller = asyncio.get_running_loop().create_task(self._notify())
        self._tellers.add(teller)
        teller.add_done_callback(self._tellers.discard)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


def _is_overload(observation: Observation) -> bool:
    detail = observation.detail or {}
    return observation.kind is Kind.FAULT and detail.get("fault") == "overloaded"
