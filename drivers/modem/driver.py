"""A GSM modem: sends what the house has to tell when the network does not answer.

It is asked every minute whether it could send, because a second path that is found broken when it
is needed is none. A text that cannot be sent is given back with the reason, and offered again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from drivers.bus.link import Link
from drivers.bus.look import look_at_port
from drivers.fault import Faults
from drivers.modem.conversation import Conversation
from drivers.modem.modem import Modem
from drivers.modem.settings import ModemSettings
from gateway.backoff import Backoff
from gateway.driver import Driver
from gateway.errors import DecodeError, DeviceRefused, DeviceSilent
from gateway.model import Kind, Measurement, Observation
from gateway.settings import BusSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drivers.modem.wire.parts import UserData
    from gateway.driver import Context, TextMessage
    from gateway.errors import HearthError
    from gateway.finding import Finding

CHECK_S = 60.0
# A modem that restarts needs some 10 s until it is in its network again.
RETRY_FIRST_S = 2.0
RETRY_CAP_S = 60.0
# One message: the network refuses some in bad reception and takes them a moment later. More tries
# would keep the other numbers waiting; what nobody took is offered again as a whole.
SEND_TRIES = 3
SEND_RETRY_FIRST_S = 1.0
SEND_RETRY_CAP_S = 5.0
SIGNAL_STEP_DB = 6  # modems count in steps of 2 dB, and reception wavers by one or two

_TROUBLE = (DeviceRefused, DeviceSilent, DecodeError)


class ModemDriver(Driver):
    """A GSM modem that sends text messages."""

    summary = "GSM modem on a serial port: text messages when the network does not answer"
    Settings = ModemSettings

    @classmethod
    def look(cls, settings: ModemSettings, bus: BusSettings | None) -> Sequence[Finding]:
        """Its port."""
        del bus
        return [look_at_port(settings.port)]

    async def run(self) -> None:
        """Send until cancelled; LinkLost when the port is gone."""
        settings: ModemSettings = self.settings
        port = BusSettings(self.context.device, settings.port, settings.baudrate)
        link = await Link.open(port)
        try:
            await _Sender(settings, self.context, link).serve()
        finally:
            await link.close()


class _Sender:
    """One modem while its port is held."""

    def __init__(self, settings: ModemSettings, context: Context, link: Link) -> None:
        self._numbers = settings.numbers
        self._port = settings.port
        self._context = context
        self._link = link
        self._modem = Modem(Conversation(link, settings.port), settings.port)
        self._faults = Faults(context)
        self._backoff = Backoff(RETRY_FIRST_S, RETRY_CAP_S)
        self._told_dbm: int | None = None

    async def serve(self) -> None:
        """Check and send, for ever."""
        waiting: asyncio.Task[TextMessage] | None = None
        try:
            while True:
                trouble = await self._check()
                wait_s = self._backoff.next_s() if trouble else CHECK_S
                waiting = waiting or asyncio.ensure_future(self._context.house.message())
                if await self._wait(waiting, wait_s):
                    message, waiting = waiting.result(), None
                    await self._deliver(message)
        finally:
            # One that came in this moment is in nobody's hands: back with it.
            if waiting and not waiting.cancel():
                waiting.result().failed("the modem's driver ended")

    async def _wait(self, waiting: asyncio.Task[TextMessage], wait_s: float) -> bool:
        """Whether there is a message, at the latest after this time; LinkLost without a port."""
        resting = asyncio.ensure_future(self._link.rest(wait_s))
        try:
            await asyncio.wait({waiting, resting}, return_when=asyncio.FIRST_COMPLETED)
            if resting.done():
                resting.result()
        finally:
            resting.cancel()
        return waiting.done()

    async def _check(self) -> HearthError | None:
        """Whether it could send; told."""
        try:
            await self._modem.prepare()
            signal_dbm = await self._modem.signal_dbm()
        except _TROUBLE as error:
            self._context.offline(f"{error.what}; {error.hint}" if error.hint else error.what)
            return error
        self._backoff.reset()
        self._context.online(port=self._port)
        self._tell_signal(signal_dbm)
        return None

    def _tell_signal(self, signal_dbm: int | None) -> None:
        told = self._told_dbm
        if signal_dbm is None or (told is not None and abs(signal_dbm - told) < SIGNAL_STEP_DB):
            return
        self._told_dbm = signal_dbm
        measured = (Measurement("signal", signal_dbm, "dBm"),)
        self._context.emit(Observation(Kind.MEASUREMENT, measured))

    async def _deliver(self, message: TextMessage) -> None:
        """Send one text to all numbers, and say what became of it."""
        try:
            trouble = await self._check()
            reason = trouble.what if trouble else await self._send_to_all(message.text)
        except BaseException as error:
            message.failed(str(error) or "the modem's driver was stopped")
            raise
        if reason:
            message.failed(reason)
            await self._link.rest(self._backoff.next_s())
        else:
            message.sent()

    async def _send_to_all(self, text: str) -> str:
        """A text to every number; why not, if nobody got it."""
        parts = self._modem.parts(text)
        reasons = []
        for place, number in enumerate(self._numbers, 1):
            reason = await self._send_parts(number, parts)
            self._faults.see(f"number_{place}", reason, what=reason)
            reasons.append(reason)
        return reasons[0] if all(reasons) else ""

    async def _send_parts(self, number: str, parts: list[UserData]) -> str:
        """All parts to one number; why not, if not."""
        for part in parts:
            if reason := await self._send(number, part):
                return reason
        return ""

    async def _send(self, number: str, part: UserData) -> str:
        """One part; one of which nobody knows whether it went is sent again, and may come twice."""
        backoff = Backoff(SEND_RETRY_FIRST_S, SEND_RETRY_CAP_S)
        reason = ""
        for tries in range(SEND_TRIES):
            if tries:
                await self._link.rest(backoff.next_s())
            try:
                await self._modem.send(number, part)
            except _TROUBLE as error:
                reason = error.what
            else:
                return ""
        return reason
