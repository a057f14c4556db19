"""A wristband: find it, connect, subscribe, and begin again whenever it is gone.

A band comes and goes all day: out of range, on the charger, connected to a phone. None of that is
an error; it is offline, with the reason, and looked for again. Only when the radio itself cannot
be had for RADIO_GRACE_S does the driver give up with LinkLost and leave it to the supervisor;
bluetoothd comes back from a restart or an update well within that. Where there are more bands than
an adapter holds connections, they take turns.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from drivers.ble.grace import RADIO_GRACE_S, Grace
from drivers.ble.look import look_at_adapter
from drivers.ble.radio import Radio
from drivers.call import Caller
from drivers.wristband.family import check_profile
from drivers.wristband.session import TURN_OVER, Session
from drivers.wristband.settings import WristbandSettings
from drivers.wristband.wearer import Wearer
from drivers.wristband.whereabouts import Whereabouts
from gateway.backoff import Backoff
from gateway.clock import SystemClock
from gateway.driver import Driver
from gateway.errors import DeviceRefused, DeviceSilent, DriverError, HearthError, LinkLost
from gateway.finding import Level

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from drivers.ble.advert import Advert
    from gateway.driver import Context
    from gateway.finding import Finding
    from gateway.model import Scalar
    from gateway.settings import BusSettings

# A band that walked out of the room is back within seconds more often than not, so the first try
# is early; one that is gone for the night costs the radio a scan a minute.
RETRY_FIRST_S = 1.0
RETRY_CAP_S = 60.0


class WristbandDriver(Driver):
    """A BLE wristband or fitness machine of a known family, or with standard services."""

    summary = "BLE wristband: heart rate, oxygen, temperature, steps, SOS, battery"
    Settings = WristbandSettings

    @classmethod
    def check(cls, settings: WristbandSettings) -> None:
        """The profile must exist; SettingsError if it does not."""
        check_profile(settings.profile)

    @classmethod
    def look(cls, settings: WristbandSettings, bus: BusSettings | None) -> Sequence[Finding]:
        """The adapter, and the second one, which is not needed."""
        del bus
        findings = [look_at_adapter(settings.adapter)]
        if settings.listen_adapter:
            second = look_at_adapter(settings.listen_adapter)
            bad = second.level is not Level.OK
            findings.append(replace(second, level=Level.WARNING) if bad else second)
        return findings

    def __init__(self, settings: Any, context: Context) -> None:
        super().__init__(settings, context)
        self._band: _Band | None = None

    async def command(self, name: str, arguments: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """`vibrate` and `identify`: the band vibrates, if it is connected and can."""
        if name not in {"vibrate", "identify"}:
            return await super().command(name, arguments)
        session = self._band.session if self._band else None
        if session is None:
            raise DeviceSilent("it is not connected now", where=self.settings.address)
        await session.vibrate()
        return {}

    async def run(self) -> None:
        """Keep the band connected until cancelled; LinkLost when there is no radio."""
        try:
            async with asyncio.TaskGroup() as tasks:
                band = self._band = _Band(self.settings, self.context, tasks)
                try:
                    await band.keep_connected()
                except HearthError:
                    await band.caller.settled()
                    raise
        except ExceptionGroup as group:
            raise group.exceptions[0] from group


class _Band:
    """One band while its driver runs."""

    def __init__(
        self, settings: WristbandSettings, context: Context, tasks: asyncio.TaskGroup
    ) -> None:
        self.caller = Caller(context, tasks, self._well)
        self.session: Session | None = None  # while there is a connection
        self._settings = settings
        self._context = context
        self._wearer = Wearer()
        self._whereabouts = Whereabouts(context)
        self._backoff = Backoff(RETRY_FIRST_S, RETRY_CAP_S)
        self._grace = Grace(RADIO_GRACE_S)
        self._radio = _radio(context, settings.adapter)
        self._radio.seats.allow(settings.connections)
        tasks.create_task(self._whereabouts.watch())
        if settings.listen_adapter:
            tasks.create_task(self._listen_beside(_radio(context, settings.listen_adapter)))

    async def keep_connected(self) -> None:
        """Until cancelled; LinkLost when the radio is away for too long."""
        while True:
            try:
                reason = await self._connect_and_listen()
            except (DeviceSilent, DeviceRefused) as error:
                self._grace.renew()  # the radio works, or it could not tell that the band does not
                reason = error.what
            except LinkLost as error:
                if not self._grace.covers():
                    raise
                reason = error.what
            if reason != TURN_OVER:  # who only waits for the next turn is not gone
                self._context.offline(reason)
                await asyncio.sleep(self._backoff.next_s())

    async def _connect_and_listen(self) -> str:
        address, timeout_s = self._settings.address, self._settings.connect_timeout
        link = await self._radio.connect(address, timeout_s, self._heard)
        self._grace.renew()
        self._whereabouts.connected()
        session = Session(self._settings, self._context, link, self._wearer, self.caller)
        self.session = session
        try:
            return await session.run(SystemClock())
        finally:
            self.session = None
            if session.told:  # a band that connects and says nothing is not one that works
                self._backoff.reset()
            self._whereabouts.lost()
            await link.close()

    def _heard(self, advert: Advert) -> None:
        self._grace.renew()  # also if its turn to be connected is minutes away
        self._whereabouts.heard(advert)

    async def _listen_beside(self, radio: Radio) -> None:
        """Hear the band on a second adapter, for as long as there is one. It is not needed."""
        backoff = Backoff(RETRY_FIRST_S, RETRY_CAP_S)
        while True:
            with suppress(DriverError):
                async with radio.listen(self._settings.address, self._whereabouts.heard) as lost:
                    backoff.reset()
                    await lost.wait()
            await asyncio.sleep(backoff.next_s())

    def _well(self) -> None:
        """A call is stored: what was said about the journal is over, if the band is there."""
        if self._wearer.identity is not None:
            self._context.online(**self._wearer.identity)


def _radio(context: Context, adapter: str) -> Radio:
    return context.shared(f"radio:{adapter}", lambda: Radio(adapter))
