"""A wristband: find it, connect, subscribe, and begin again whenever it is gone.

A band comes and goes all day: out of range, on the charger, connected to a phone. None of that is
an error; it is offline, with the reason, and looked for again. Only when the radio itself cannot
be had for RADIO_GRACE_S does the driver give up with LinkLost and leave it to the supervisor;
bluetoothd comes back from a restart or an update well within that.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from drivers.ble.grace import RADIO_GRACE_S, Grace
from drivers.ble.radio import Radio
from drivers.call import Caller
from drivers.wristband.family import check_profile
from drivers.wristband.session import Session
from drivers.wristband.settings import WristbandSettings
from drivers.wristband.wearer import Wearer
from gateway.backoff import Backoff
from gateway.clock import SystemClock
from gateway.driver import Driver
from gateway.errors import DeviceRefused, DeviceSilent, HearthError, LinkLost

if TYPE_CHECKING:
    from gateway.driver import Context

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

    async def run(self) -> None:
        """Keep the band connected until cancelled; LinkLost when there is no radio."""
        wearer = Wearer()
        try:
            async with asyncio.TaskGroup() as tasks:
                caller = Caller(self.context, tasks, lambda: self._well(wearer))
                try:
                    await self._keep_connected(wearer, caller)
                except HearthError:
                    await caller.settled()
                    raise
        except ExceptionGroup as group:
            raise group.exceptions[0] from group

    async def _keep_connected(self, wearer: Wearer, caller: Caller) -> None:
        context: Context = self.context
        adapter = self.settings.adapter
        radio = context.shared(f"radio:{adapter}", lambda: Radio(adapter))
        backoff = Backoff(RETRY_FIRST_S, RETRY_CAP_S)
        grace = Grace(RADIO_GRACE_S)
        while True:
            try:
                reason = await self._connect_and_listen(radio, wearer, caller, backoff, grace)
            except (DeviceSilent, DeviceRefused) as error:
                grace.renew()  # the radio works, or it could not tell that the band does not
                reason = error.what
            except LinkLost as error:
                if not grace.covers():
                    raise
                reason = error.what
            context.offline(reason)
            await asyncio.sleep(backoff.next_s())

    async def _connect_and_listen(
        self, radio: Radio, wearer: Wearer, caller: Caller, backoff: Backoff, grace: Grace
    ) -> str:
        link = await radio.connect(self.settings.address, self.settings.connect_timeout)
        grace.renew()
        session = Session(self.settings, self.context, link, wearer, caller)
        try:
            return await session.run(SystemClock())
        finally:
            if session.told:  # a band that connects and says nothing is not one that works
                backoff.reset()
            await link.close()

    def _well(self, wearer: Wearer) -> None:
        """A call is stored: what was said about the journal is over, if the band is there."""
        if wearer.identity is not None:
            self.context.online(**wearer.identity)
