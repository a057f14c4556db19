"""What a device says on the air: decided when it arrives, a call before anything else.

Nothing is heard of a device that is well and has nothing to say, so what is known of it outlasts
the radio: a button that was there before bluetoothd was restarted is there afterwards.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

from drivers.bthome.guard import Guard
from drivers.bthome.memory import SAME_BYTES_S, SAME_PACKET_S, Events
from drivers.bthome.teller import Teller
from drivers.bthome.wire.frame import UUID, Sealed, decode_frame
from drivers.bthome.wire.payload import Payload, Trouble, decode_payload
from drivers.call import Caller, SameCall
from gateway.clock import uptime_now_ms
from gateway.errors import DecodeError, JournalError
from gateway.model import Kind, Observation

if TYPE_CHECKING:
    from drivers.ble.advert import Advert
    from drivers.ble.link import Lost
    from drivers.bthome.cipher import Cipher
    from drivers.bthome.settings import BthomeSettings
    from drivers.bthome.wire.payload import Press
    from gateway.driver import Context
    from gateway.model import Scalar


# How long to sleep at most before looking at the time again: a day, which nobody notices.
LOOK_S = 86_400.0


class Listener:
    """One device, for as long as its driver runs."""

    def __init__(
        self,
        settings: BthomeSettings,
        context: Context,
        cipher: Cipher | None,
        tasks: asyncio.TaskGroup,
    ) -> None:
        """Args: what is configured, whom to tell, the key if there is one, who runs the calls."""
        self._settings = settings
        self._context = context
        self._cipher = cipher
        self._caller = Caller(context, tasks, self.well)
        self._teller = Teller(context)
        self._guard = Guard()
        self._events = Events()
        self._same_call = SameCall()
        self._loop = asyncio.get_running_loop()
        self._present: bool | None = None  # not known before it was heard, or should have been
        self._rssi = 0
        self._heard_s = self._loop.time()
        self._broken: asyncio.Future[str] = self._loop.create_future()

    async def listen(self, lost: Lost) -> str:
        """Until the radio is lost, and why. Errors of the journal pass through."""
        ways = [asyncio.ensure_future(lost.wait()), asyncio.ensure_future(self._watch())]
        try:
            self._heard_s = self._loop.time()  # nobody could be heard before
            self.well()
            done, _ = await asyncio.wait({self._broken, *ways}, return_when=asyncio.FIRST_COMPLETED)
            return (self._broken if self._broken.done() else done.pop()).result()
        except JournalError:
            # This ends the driver, and with it the calls that are being offered again. Until they
            # are settled, another press is still heard.
            await self.settled()
            raise
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def settled(self) -> None:
        """Until every call is on flash or given up."""
        await self._caller.settled()

    # --- what arrives

    def heard(self, advert: Advert) -> None:
        """An advertisement. What it raises ends the driver: the caller has nobody to tell."""
        data = advert.service_data.get(UUID)
        if data is None:
            return
        try:
            self._take(bytes(data), advert.rssi)
        except JournalError as error:
            self._break(error)
        except BaseException as error:
            self._break(error)
            raise

    def _break(self, error: BaseException) -> None:
        if not self._broken.done():
            self._broken.set_exception(error)

    def _take(self, data: bytes, rssi: int) -> None:
        if self._guard.repeats(data):
            return  # an encrypted one; whoever sends a recording of it shall not keep it alive
        payload = self._read(data)
        if isinstance(payload, Trouble):
            self._teller.bad(payload)
            return
        news = bool(payload.presses or payload.steps) and self._is_new(payload, data)
        calls, others = self._sorted(payload.presses)
        if news and calls:
            self._call(calls[0])
        self._is_there(rssi)
        if news:
            self._teller.happened(others, payload.steps)
        self._teller.measured(payload.measurements)
        if payload.trouble:
            self._teller.bad(payload.trouble)
        else:
            self._teller.good()

    def _read(self, data: bytes) -> Payload | Trouble:
        """What a message says, or why it is refused."""
        try:
            frame = decode_frame(data)
        except DecodeError as error:
            return Trouble("malformed", str(error))
        if isinstance(frame, Sealed):
            return self._unseal(frame, data)
        if self._cipher:
            return Trouble("plaintext", "it has a key, and this message is not encrypted")
        return decode_payload(frame)

    def _unseal(self, sealed: Sealed, data: bytes) -> Payload | Trouble:
        if self._cipher is None:
            return Trouble("encrypted", "it encrypts, and there is no key_file")
        try:
            objects = self._cipher.open(sealed)
        except DecodeError as error:
            return Trouble("key", str(error))
        if not self._guard.accepts(sealed.counter, data):
            what = f"counter {sealed.counter} was passed; after a new battery, restart hearth"
            return Trouble("replay", what)
        return decode_payload(objects)

    def _is_new(self, payload: Payload, data: bytes) -> bool:
        now_s = self._loop.time()
        if payload.packet_id is not None:
            return self._events.is_new(payload.packet_id, SAME_PACKET_S, now_s)
        return self._events.is_new(data, SAME_BYTES_S, now_s)

    def _sorted(self, presses: tuple[Press, ...]) -> tuple[list[Press], list[Press]]:
        """Those that call, and the others."""
        calls = [press for press in presses if press.kind in self._settings.call_on]
        return calls, [press for press in presses if press not in calls]

    def _call(self, press: Press) -> None:
        if self._same_call.is_new(self._loop.time()):
            detail: dict[str, Scalar] = {"cause": "beacon", "press": press.kind}
            if press.button:
                detail["button"] = press.button
            self._caller.place(Observation(Kind.CALL, detail=detail, uptime_ms=uptime_now_ms()))

    # --- whether it is there

    def well(self) -> None:
        """The radio listens, or the journal stores: what was said of them is over."""
        if self._present:
            self._context.online(rssi=self._rssi)

    def _is_there(self, rssi: int) -> None:
        self._heard_s, self._rssi = self._loop.time(), rssi
        if not self._present:
            self._present = True
            self.well()

    async def _watch(self) -> str:
        """Look after silence for ever; a silence of 0 s is none."""
        silence_s = self._settings.silence or math.inf
        while True:
            left_s = self._heard_s + silence_s - self._loop.time()
            if left_s <= 0:
                self._falls_silent()
                left_s = silence_s
            await asyncio.sleep(min(left_s, LOOK_S))

    def _falls_silent(self) -> None:
        if self._present is not False:
            self._present = False
            self._context.offline(f"not heard for {self._settings.silence:g} s")
