"""The daemon: starts what `assembly.py` puts together, and stops it in order.

Start: journal, then everything that fills it or empties it. Stop: devices first, then what waits is
committed, then forwarded as far as a few seconds allow; the rest is on flash and goes next time.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

from gateway import __version__
from gateway.assembly import Assembler, tell, tell_fault
from gateway.clock import SystemClock
from gateway.errors import ControlError, JournalWriteFailed
from gateway.journal import Journal
from gateway.model import Kind, Observation, TimeQuality
from gateway.notify import Systemd
from gateway.plan import plan
from gateway.recorder import Recorder

if TYPE_CHECKING:
    from gateway.clock import Clock
    from gateway.metrics import MetricsServer
    from gateway.model import Scalar
    from gateway.plan import Planned
    from gateway.settings import Settings

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
        recorder = Recorder(journal, self._clock)
        parts = Assembler(
            self._settings, self._plan, journal, recorder, self._clock, stop=self.stop
        ).parts()
        await parts.control.start()
        parts.household.desk.restore()
        if parts.mirror:
            parts.mirror.start()
        if parts.metrics:
            await self._listen(parts.metrics, recorder)
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
                tell(recorder, Observation(Kind.GATEWAY, detail={"state": "stopped"}))
                with suppress(JournalWriteFailed):  # told already, and perhaps forwarded yet
                    await asyncio.to_thread(journal.flush)
                drained = await forwarder.drain(DRAIN_S)
                log.info("%s stops: %s", name, "all is stored" if drained else "backlog kept")
                forwarding.cancel()
                await parts.allowance.save()
                await parts.dispatcher.close()
        finally:
            await parts.control.close()
            if parts.metrics:
                await parts.metrics.close()
            if parts.mirror:
                await parts.mirror.close()

    async def _listen(self, metrics: MetricsServer, recorder: Recorder) -> None:
        """A port that is taken is no reason not to take calls."""
        try:
            await metrics.start()
        except ControlError as error:
            log.error("%s", error)  # noqa: TRY400 - told, not traced
            tell_fault(recorder, "metrics", error)

    def _report_start(self, recorder: Recorder) -> None:
        detail: dict[str, Scalar] = {"state": "started", "version": __version__}
        if code := self._settings.gateway.address_code:
            detail["address_code"] = code
        tell(recorder, Observation(Kind.GATEWAY, detail=detail))

    async def _anchor(self, recorder: Recorder) -> None:
        """Once the clock is known, say so: the far side then knows the true time of this boot."""
        known = False
        while True:
            synchronised = self._clock.stamp().quality is TimeQuality.SYNCHRONISED
            if synchronised and not known:
                known = tell(recorder, Observation(Kind.ANCHOR))  # else at the next look
            else:
                known = synchronised
            await asyncio.sleep(ANCHOR_CHECK_S)
