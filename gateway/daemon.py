"""The daemon: the one place where ports meet adapters.

Start: journal, then everything that fills it or empties it. Stop: devices first, then what waits is
committed, then forwarded as far as a few seconds allow; the rest is on flash and goes next time.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gateway import __version__
from gateway.caretaker import Caretaker
from gateway.clock import SystemClock
from gateway.control import ControlServer
from gateway.errors import JournalError, JournalWriteFailed
from gateway.forwarder import Forwarder
from gateway.health import Health
from gateway.journal import Journal
from gateway.model import Kind, Observation, TimeQuality
from gateway.notify import Systemd
from gateway.plan import plan
from gateway.recorder import Recorder
from gateway.supervisor import Supervisor

if TYPE_CHECKING:
    from gateway.clock import Clock
    from gateway.model import Scalar
    from gateway.plan import Planned
    from gateway.settings import Settings

DEVICE = "gateway"  # the device name of the gateway's own events
# systemd kills a service 90 s after SIGTERM; what has not been forwarded in this time stays on
# flash, so a short wait is enough: it is for the last seconds' events, not for a backlog.
DRAIN_S = 5.0
ANCHOR_CHECK_S = 5.0  # an anchor may come late: it names its own moment

log = logging.getLogger("hearth.daemon")


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
        gateway = self._settings.gateway
        recorder = Recorder(journal, self._clock)
        health = Health(gateway.id, journal, self._clock)
        forwarder = Forwarder(gateway.id, self._settings.uplink, (journal, journal.unwritten))
        health.forwarder = forwarder
        supervisor = Supervisor(recorder, health, Path(self._settings.journal.path) / "notes")
        for item in self._plan:
            supervisor.add(item.driver, item.options, item.device, item.bus)
        caretaker = Caretaker(journal, recorder, self._clock, self._settings.journal)
        control = ControlServer(self._settings.control.socket, {"status": health.snapshot})
        await control.start()
        try:
            self._report_start(recorder)
            async with asyncio.TaskGroup() as group:
                forwarding = group.create_task(forwarder.run())
                running = [
                    group.create_task(supervisor.run()),
                    group.create_task(self._anchor(recorder)),
                    group.create_task(caretaker.run()),
                    group.create_task(self._systemd.keep_alive()),
                ]
                self._systemd.ready(f"{gateway.id}: {len(self._plan)} devices")
                log.info("%s is ready: %d devices", gateway.id, len(self._plan))
                await self._stop.wait()
                self._systemd.stopping()
                for task in running:
                    task.cancel()
                await asyncio.gather(*running, return_exceptions=True)
                _tell(recorder, Observation(Kind.GATEWAY, detail={"state": "stopped"}))
                with suppress(JournalWriteFailed):  # told already, and perhaps forwarded yet
                    await asyncio.to_thread(journal.flush)
                drained = await forwarder.drain(DRAIN_S)
                log.info("%s stops: %s", gateway.id, "all is stored" if drained else "backlog kept")
                forwarding.cancel()
        finally:
            await control.close()

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


def _tell(recorder: Recorder, observation: Observation) -> bool:
    """An event of the gateway itself; whether the journal took it.

    One that is full, on a failing flash and without an uplink, must not end the daemon: there are
    calls in its memory.
    """
    try:
        recorder.record(observation, DEVICE)
    except JournalError as error:
        log.warning("%s could not be recorded: %s", observation.kind.name.lower(), error)
        return False
    return True
