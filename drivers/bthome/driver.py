"""A BTHome device: listen to what it advertises, and listen again whenever the radio was away.

The device is never connected; a button is silent until somebody presses it. So the radio scans all
the time, and nothing but the loss of the radio can be told at once. When it cannot be had for
RADIO_GRACE_S the driver gives up with LinkLost and leaves it to the supervisor.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from drivers.ble.grace import RADIO_GRACE_S, Grace
from drivers.ble.look import look_at_adapter
from drivers.ble.radio import Radio
from drivers.bthome.cipher import Cipher
from drivers.bthome.key import read_key
from drivers.bthome.listener import Listener
from drivers.bthome.settings import BthomeSettings
from gateway.backoff import Backoff
from gateway.driver import Driver
from gateway.errors import DeviceSilent, HearthError, LinkLost

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.driver import Context
    from gateway.finding import Finding
    from gateway.settings import BusSettings

# Every second without the radio is one in which a call is not heard, and to ask for it costs
# little.
RETRY_FIRST_S = 0.5
RETRY_CAP_S = 5.0


class BthomeDriver(Driver):
    """A wireless button or sensor that advertises in BTHome v2."""

    summary = "BTHome v2 beacon: wireless call button, door, smoke, climate and other sensors"
    Settings = BthomeSettings

    @classmethod
    def check(cls, settings: BthomeSettings) -> None:
        """The key must be there and be one; SettingsError if it is not."""
        if settings.key_file:
            read_key(settings.key_file)

    @classmethod
    def look(cls, settings: BthomeSettings, bus: BusSettings | None) -> Sequence[Finding]:
        """The adapter."""
        del bus
        return [look_at_adapter(settings.adapter)]

    async def run(self) -> None:
        """Listen until cancelled; LinkLost without a radio, SettingsError without the key."""
        settings: BthomeSettings = self.settings
        key = read_key(settings.key_file) if settings.key_file else None
        cipher = Cipher(key, settings.address) if key else None
        try:
            async with asyncio.TaskGroup() as tasks:
                listener = Listener(settings, self.context, cipher, tasks)
                try:
                    await self._keep_listening(listener)
                except HearthError:
                    await listener.settled()
                    raise
        except ExceptionGroup as group:
            raise group.exceptions[0] from group

    async def _keep_listening(self, listener: Listener) -> None:
        context: Context = self.context
        adapter = self.settings.adapter
        radio = context.shared(f"radio:{adapter}", lambda: Radio(adapter))
        backoff = Backoff(RETRY_FIRST_S, RETRY_CAP_S)
        grace = Grace(RADIO_GRACE_S)
        while True:
            try:
                async with radio.listen(self.settings.address, listener.heard) as lost:
                    grace.renew()
                    backoff.reset()
                    reason = await listener.listen(lost)
            except (DeviceSilent, LinkLost) as error:
                if not grace.covers():
                    raise
                reason = error.what
            context.offline(reason)
            await asyncio.sleep(backoff.next_s())
