"""The daemon: the one place where ports meet adapters.

Start: journal, then everything that fills it or empties it. Stop: devices first, then what waits is
committed, then forwarded as far as a few seconds allow; the rest is on flash and goes next time.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gateway import __version__
from gateway.calls.desk import GATEWAY
from gateway.caretaker import Caretaker
from gateway.clock import SystemClock
from gateway.commands.dispatcher import Dispatcher
from gateway.commands.keys import read_public_keys
from gateway.control import ControlServer
from gateway.errors import JournalError, JournalWriteFailed, SettingsError
from gateway.forwarder import Forwarder
from gateway.health import Health
from gateway.household import Household
from gateway.journal import Journal
from gateway.model import Kind, Observation, TimeQuality
from gateway.notify import Systemd
from gateway.orders import Orders
from gateway.overrides import Overrides
from gateway.plan import plan
from gateway.recorder import Recorder
from gateway.strict import sayable
from gateway.supervision import Supervision
from gateway.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.clock import Clock
    from gateway.commands.signature import PublicKey
    from gateway.control import Answerer
    from gateway.journal import Receipt
    from gateway.model import Scalar
    from gateway.plan import Planned
    from gateway.settings import Settings

# systemd kills a service 90 s after SIGTERM; what has not been forwarded in this time stays on
# flash, so a short wait is enough: it is for the last seconds' events, not for a backlog.
DRAIN_S = 5.0
LONGEST_TEST_S = 4 * 3600  # a fitter who forgets to end it does not leave a home in test mode
ANCHOR_CHECK_S = 5.0  # an anchor may come late: it names its own moment

log = logging.getLogger("hearth.daemon")


class _Parts(NamedTuple):
    """What runs beside each other."""

    household: Household
    supervisor: Supervisor
    dispatcher: Dispatcher
    forwarder: Forwarder
    caretaker: Caretaker
    supervision: Supervision
    control: ControlServer


class Daemon:
    """Everything one gateway runs."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        """A daemon for these settings.

        Raises:
            SettingsError: the devices' options have faults.
        """
        self._settings = settings
        self._plan: list[Planned] = plan(settings)
        self._clock = clock or SystemClock()
        self._systemd = Systemd()
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """Begin a clean stop."""
        self._stop.set()

    async def run(self) -> None:
        """Run until `stop`, SIGTERM or SIGINT.

        Raises:
            JournalError, ControlError: it could not start.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        journal = await asyncio.to_thread(self._open_journal)
        try:
            await self._serve(journal)
        finally:
            await asyncio.to_thread(journal.close)

    def _open_journal(self) -> Journal:
        """The journal; one that stores nothing, and says so, if its folder cannot be used.

        A gateway whose card died can still bring a call to those who should hear it.
        """
        journal = self._settings.journal
        try:
            return Journal.open(
                journal.path,
                quota_bytes=journal.quota_bytes,
                clock=self._clock,
                commit_interval_s=journal.commit_interval,
            )
        except OSError as error:
            log.error("nothing can be stored: %s", error)  # noqa: TRY400 - told, not traced
            return Journal.without_flash(self._clock, error)

    async def _serve(self, journal: Journal) -> None:
        recorder = Recorder(journal, self._clock)
        parts = self._assemble(journal, recorder)
        await parts.control.start()
        parts.household.desk.restore()
        name, forwarder = self._settings.gateway.id, parts.forwarder
        try:
            self._report_start(recorder)
            async with asyncio.TaskGroup() as group:
                forwarding = group.create_task(forwarder.run())
                running = [
                    group.create_task(parts.supervisor.run()),
                    group.create_task(parts.household.run()),
                    group.create_task(parts.supervision.run()),
                    group.create_task(self._anchor(recorder)),
                    group.create_task(parts.caretaker.run()),
                    group.create_task(self._systemd.keep_alive()),
                ]
                self._systemd.ready(f"{name}: {len(self._plan)} devices")
                log.info("%s is ready: %d devices", name, len(self._plan))
                await self._stop.wait()
                self._systemd.stopping()
                for task in running:
                    task.cancel()
                await asyncio.gather(*running, return_exceptions=True)
                _tell(recorder, Observation(Kind.GATEWAY, detail={"state": "stopped"}))
                with suppress(JournalWriteFailed):  # told already, and perhaps forwarded yet
                    await asyncio.to_thread(journal.flush)
                drained = await forwarder.drain(DRAIN_S)
                log.info("%s stops: %s", name, "all is stored" if drained else "backlog kept")
                forwarding.cancel()
                await parts.dispatcher.close()
        finally:
            await parts.control.close()

    def _assemble(self, journal: Journal, recorder: Recorder) -> _Parts:
        settings, clock = self._settings, self._clock
        name, folder = settings.gateway.id, Path(settings.journal.path)
        keys = self._keys(recorder)
        household = Household.open(settings, journal, recorder, clock, answered=bool(keys))
        health = Health(name, journal, clock)
        supervisor = Supervisor(recorder, health, folder / "notes", household)
        for item in self._plan:
            supervisor.add(item.driver, item.options, item.device, item.bus)

        def emit(seen: Observation) -> Receipt:
            return recorder.record(seen, GATEWAY)

        dispatcher = Dispatcher(name, keys, folder / "home" / "commands.json", clock, emit)
        Orders(household, supervisor, Overrides(settings), self.stop).register(dispatcher)
        backlogs = journal, journal.unwritten
        commands = dispatcher if keys else None
        forwarder = Forwarder(name, settings.uplink, backlogs, commands=commands)
        health.forwarder, health.household = forwarder, household
        answers: dict[str, Answerer] = {
            "status": lambda _: health.snapshot(),
            "test": partial(_test, household),
        }
        return _Parts(
            household,
            supervisor,
            dispatcher,
            forwarder,
            Caretaker(journal, recorder, clock, settings.journal),
            Supervision(
                settings.supervision, emit, lambda seen: household.desk.call(GATEWAY, {}, seen)
            ),
            ControlServer(settings.control.socket, answers),
        )

    def _keys(self, recorder: Recorder) -> tuple[PublicKey, ...]:
        """Whose commands are taken. A key that is missing is no reason not to take calls."""
        try:
            return read_public_keys(self._settings.commands.keys)
        except SettingsError as error:
            log.error("no command is taken: %s", error)  # noqa: TRY400 - told, not traced
            detail: dict[str, Scalar] = {"fault": "commands", "active": True}
            _tell(
                recorder, Observation(Kind.FAULT, detail=detail | {"reason": sayable(str(error))})
            )
            return ()

    def _report_start(self, recorder: Recorder) -> None:
        detail: dict[str, Scalar] = {"state": "started", "version": __version__}
        if code := self._settings.gateway.address_code:
            detail["address_code"] = code
        _tell(recorder, Observation(Kind.GATEWAY, detail=detail))

    async def _anchor(self, recorder: Recorder) -> None:
        """Once the clock is known, say so: the far side then knows the true time of this boot."""
        known = False
        while True:
            synchronised = self._clock.stamp().quality is TimeQuality.SYNCHRONISED
            if synchronised and not known:
                known = _tell(recorder, Observation(Kind.ANCHOR))  # else at the next look
            else:
                known = synchronised
            await asyncio.sleep(ANCHOR_CHECK_S)


def _test(household: Household, request: Mapping[str, Any]) -> dict[str, object]:
    """An installer's tests begin, or end."""
    seconds = request.get("seconds")
    if not isinstance(seconds, int | float) or not 0 <= seconds <= LONGEST_TEST_S:
        return {"error": f"seconds: 0 to {LONGEST_TEST_S}"}
    household.test_for(seconds)
    return {"testing": household.testing}


def _tell(recorder: Recorder, observation: Observation) -> bool:
    """An event of the gateway itself; whether the journal took it.

    One that is full, on a failing flash and without an uplink, must not end the daemon: there are
    calls in its memory.
    """
    try:
        recorder.record(observation, GATEWAY)
    except JournalError as error:
        log.warning("%s could not be recorded: %s", observation.kind.name.lower(), error)
        return False
    return True
