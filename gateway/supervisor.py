"""Runs the devices. One task each; none of them can take down another.

A driver that raises is reported, waits (doubling, with jitter) and is started afresh. This is the
one place in hearth that catches broadly: a bug in one driver must not silence the call button.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, TypeVar

from gateway.backoff import Backoff
from gateway.clock import uptime_now_ms
from gateway.driver import Closable
from gateway.errors import DriverError, HearthError
from gateway.health import DeviceHealth
from gateway.model import Kind, Observation
from gateway.notes import FileNotes
from gateway.strict import sayable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import msgspec

    from gateway.driver import Driver, House, Signs
    from gateway.health import Health
    from gateway.household import Household
    from gateway.journal import Receipt
    from gateway.model import Scalar
    from gateway.notes import Notes
    from gateway.recorder import Recorder
    from gateway.settings import BusSettings, DeviceSettings

S = TypeVar("S", bound=Closable)

# A call button should be back within a second of a hiccup; a driver that fails for hours should not
# fill the journal with its complaints.
FIRST_RESTART_S = 0.5
LAST_RESTART_S = 60.0
# A driver that ran this long had recovered: its next failure starts from the short delay again.
STEADY_S = 60.0

log = logging.getLogger("hearth.supervisor")


class Shared:
    """What several devices share (a bus, a radio), made by the first that asks."""

    def __init__(self) -> None:
        self._objects: dict[str, Closable] = {}

    def get(self, key: str, make: Callable[[], S]) -> S:
        """The object of this key."""
        if key not in self._objects:
            self._objects[key] = make()
        return self._objects[key]  # type: ignore[return-value]  # one key, one kind of object

    async def close(self) -> None:
        """Close all, newest first; one that cannot be closed does not keep the others open."""
        while self._objects:
            key, shared = self._objects.popitem()
            try:
                await shared.close()
            except Exception as error:  # noqa: BLE001 - hearth stops, nobody else can act on it
                log.warning("%s could not be closed: %s", key, error)


class DeviceContext:
    """The Context of one device: its name, its labels and its state go with all it tells."""

    def __init__(
        self,
        settings: DeviceSettings,
        bus: BusSettings | None,
        *,
        notes: Notes,
        recorder: Recorder,
        shared: Shared,
        health: DeviceHealth,
        household: Household,
    ) -> None:
        self.device = settings.id
        self.bus = bus
        self.notes = notes
        self.house: House = household.of()
        self.signs: Signs = household.desk.signs(settings.id)
        self._desk = household.desk
        self._household = household
        self._labels = settings.labels
        self._recorder = recorder
        self._shared = shared
        self._told = (health.state, health.reason)
        self.health = health

    def emit(self, observation: Observation) -> Receipt:
        """Accept an observation; await the receipt to know that it is on flash."""
        if observation.kind is Kind.CALL:
            receipt = self._desk.call(self.device, self._labels, observation)
        else:
            receipt = self._recorder.record(observation, self.device, self._labels)
        if observation.kind is Kind.ALARM:
            self._household.alarm(observation.detail)
        self.health.events += 1
        self.health.last_event_uptime_ms = uptime_now_ms()
        return receipt

    def cancel_calls(self) -> bool:
        """The person takes back the calls of this device; False if it is too late for all."""
        return self._desk.cancel(self.device)

    def online(self, **detail: str | int | float) -> None:
        """The device answers; an event if it did not before."""
        self._change("online", "", dict(detail))

    def offline(self, reason: str) -> None:
        """The device does not answer; an event if that, or the reason, is new."""
        self._change("offline", reason, {"reason": reason})

    def shared(self, key: str, make: Callable[[], S]) -> S:
        """The one object of this key that all devices share."""
        return self._shared.get(key, make)

    def failed(self, error: Exception) -> None:
        """The driver raised; an event if this failure is new."""
        kind = type(error).__name__
        self.health.restarts += 1
        self._change("failed", str(error) or kind, {"error": kind, "reason": str(error)})

    def _change(self, state: str, reason: str, detail: dict[str, str | int | float]) -> None:
        self.health.state, self.health.reason = state, reason
        if self._told == (state, reason):
            return
        told = {key: sayable(value) for key, value in detail.items() if value != ""}
        self.emit(Observation(Kind.DEVICE, detail={"state": state, **told}))
        self._told = (state, reason)  # not before: what the journal refused is told another time


class Supervisor:
    """All devices of this gateway."""

    def __init__(
        self, recorder: Recorder, health: Health, notes: Path, household: Household
    ) -> None:
        """No device yet.

        Args:
            recorder: where they tell what they see.
            health: where it is known how they are.
            notes: folder of what they must remember.
            household: what goes on in the home beyond each of them.
        """
        self._recorder = recorder
        self._household = household
        self._running: dict[str, Driver] = {}
        self._notes = notes
        self._health = health
        self._shared = Shared()
        self._plans: list[tuple[type[Driver], msgspec.Struct, DeviceContext]] = []

    def add(
        self,
        driver: type[Driver],
        options: msgspec.Struct,
        settings: DeviceSettings,
        bus: BusSettings | None,
    ) -> None:
        """Plan a device; `run` starts it."""
        health = self._health.devices[settings.id] = DeviceHealth()
        context = DeviceContext(
            settings,
            bus,
            notes=FileNotes(self._notes / f"{settings.id}.json"),
            recorder=self._recorder,
            shared=self._shared,
            health=health,
            household=self._household,
        )
        self._plans.append((driver, options, context))

    async def run(self) -> None:
        """Run every device until cancelled; then close what they shared."""
        try:
            async with asyncio.TaskGroup() as group:
                for driver, options, context in self._plans:
                    group.create_task(self._keep_running(driver, options, context))
        finally:
            await self._shared.close()

    async def command(
        self, device: str, name: str, arguments: Mapping[str, Scalar]
    ) -> dict[str, Scalar]:
        """Have a device do something; DriverError if there is none, or it cannot or it failed."""
        driver = self._running.get(device)
        if driver is None:
            raise DriverError(f"there is no device {device!r}")
        return await driver.command(name, arguments)

    async def _keep_running(
        self, driver: type[Driver], options: msgspec.Struct, context: DeviceContext
    ) -> None:
        backoff = Backoff(FIRST_RESTART_S, LAST_RESTART_S)
        clock = asyncio.get_running_loop()
        while True:
            started = clock.time()
            try:
                running = self._running[context.device] = driver(options, context)
                await running.run()
            except asyncio.CancelledError:
                if _is_cancelled():
                    raise
                self._report(context, HearthError("the driver cancelled itself"))
            except Exception as error:  # noqa: BLE001 - one device must not take down another
                self._report(context, error)
            else:
                self._report(context, HearthError("the driver ended by itself"))
            if _is_cancelled():  # a driver may answer a cancellation with an error
                raise asyncio.CancelledError
            if clock.time() - started > STEADY_S:
                backoff.reset()
            await asyncio.sleep(backoff.next_s())

    def _report(self, context: DeviceContext, error: Exception) -> None:
        expected = isinstance(error, HearthError)
        log.warning("%s: %s", context.device, error, exc_info=None if expected else error)
        try:
            context.failed(error)
        except Exception as refused:  # noqa: BLE001 - a full journal; the log has the failure
            log.error("%s: the failure could not be recorded: %s", context.device, refused)  # noqa: TRY400


def _is_cancelled() -> bool:
    """Whether somebody wants this task to end: a driver's own cancelled task looks the same."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
