"""One connection to a band: subscribe to what it measures, and tell it until it falls silent.

What a notification means is decided when it arrives. An SOS becomes a call there and then; readings
wait their turn in the inbox. What is known beyond the connection is the Wearer's.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from drivers.wristband.asker import Asker
from drivers.wristband.backfill import Backfill
from drivers.wristband.family import find_family
from drivers.wristband.identity import compare_identity
from drivers.wristband.rhythm import Rhythm
from drivers.wristband.teller import Teller
from gateway.clock import uptime_now_ms
from gateway.errors import DecodeError, DeviceRefused, JournalError
from gateway.model import Kind, Observation, TimeQuality

if TYPE_CHECKING:
    from drivers.ble.link import Link
    from drivers.call import Caller
    from drivers.wristband.settings import WristbandSettings
    from drivers.wristband.wearer import Wearer
    from drivers.wristband.wire.reading import Reading
    from gateway.clock import Clock
    from gateway.driver import Context

TURN_OVER = "its turn is over"

# Readings that wait to be told. A band sends a few a second; one that fills this is broken or
# hostile, and loses the oldest.
INBOX = 64
# A characteristic that fell silent is noticed within its deadline and a part of it more.
LOOKS_PER_SILENCE = 4


class Session:
    """From a fresh link to its end."""

    def __init__(
        self,
        settings: WristbandSettings,
        context: Context,
        link: Link,
        wearer: Wearer,
        caller: Caller,
    ) -> None:
        self._settings = settings
        self._context = context
        self._link = link
        self._wearer = wearer
        self._caller = caller
        self.told = False  # whether the band sent anything
        self._family = find_family(settings.profile, link.offers, link.name)
        self._teller = Teller(context, wearer)
        self._asker = Asker(settings, link, self._family, self._teller)
        self._backfill = Backfill(context, self._family, self._teller, self._asker.write)
        self._inbox: asyncio.Queue[tuple[str, Reading | DecodeError]] = asyncio.Queue()
        self._flooded = False
        self._heard_s = 0.0
        self._rhythm = Rhythm(self._family.steady, settings.silence)
        self._renewed: set[str] = set()  # what was subscribed a second time
        self._loop = asyncio.get_running_loop()
        self._broken: asyncio.Future[str] = self._loop.create_future()
        self._work: set[asyncio.Future[str]] = {self._broken}
        self._answers: set[asyncio.Task[None]] = set()

    async def run(self, clock: Clock) -> str:
        """Why the link ended. Errors of the driver tree pass through."""
        try:
            await self._begin(clock)
            return await self._work_until_it_ends(clock)
        except JournalError:
            # This ends the driver, and with it the calls that are being offered again. Until they
            # are settled, an SOS is still heard.
            await self._caller.settled()
            raise
        finally:
            self._wearer.identity = None
            await self._stop()
            with suppress(JournalError):
                await self._note_live(clock)

    async def _begin(self, clock: Clock) -> None:
        identity = {**await self._asker.identity(), "profile": self._family.name}
        await self._subscribe_all()
        await self._asker.write(self._family.start(local_time(clock)))
        await compare_identity(self._context, identity)
        for delivered in self._wearer.undelivered:
            self._answer_when(delivered)
        self._wearer.identity = identity
        self._context.online(**identity)

    async def _work_until_it_ends(self, clock: Clock) -> str:
        asked = self._family.poll(self._wearer.polls)
        patience_s = self._settings.silence + (self._settings.poll if asked else 0)
        ended = asyncio.ensure_future(self._link.wait_lost())
        ways = (
            self._listen(),
            self._until_others_turn(),
            self._watch(patience_s, clock),
            self._asker.poll(self._wearer, self._backfill, partial(local_time, clock)),
            self._asker.poll_battery(self._on_read),
        )
        self._work |= {ended, *(asyncio.ensure_future(way) for way in ways)}
        done, _ = await asyncio.wait(self._work, return_when=asyncio.FIRST_COMPLETED)
        # When the link goes, reads fail with it: the cause is told, not the consequence.
        return (ended if ended in done else done.pop()).result()

    async def _stop(self) -> None:
        work: list[asyncio.Future[Any]] = [*self._work, *self._answers]
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)

    async def _subscribe_all(self) -> None:
        known = [uuid for uuid in self._family.told_by if self._link.can_tell(uuid)]
        if not known:
            raise DeviceRefused(
                f"it measures nothing that the profile {self._family.name} understands",
                where=self._settings.address,
                hint="is it the right address? with another profile it may be understood",
            )
        for uuid in known:
            await self._link.subscribe(uuid, partial(self._on_told, uuid))

    # --- what arrives

    def _on_told(self, uuid: str, value: bytes) -> None:
        try:
            self._take(uuid, value)
        except BaseException as error:
            self._break(error)  # whoever called has nobody to tell
            raise

    def _break(self, error: BaseException) -> None:
        if not self._broken.done():
            self._broken.set_exception(error)

    def _take(self, uuid: str, value: bytes) -> None:
        self.told = True
        self._heard_s = self._loop.time()
        self._rhythm.told(uuid, self._heard_s)
        if self._backfill.take(uuid, value):
            return
        outcome = self._decode(uuid, value)
        if not isinstance(outcome, DecodeError) and outcome.sos:
            self._call()
        self._keep(uuid, outcome)

    def _on_read(self, uuid: str, value: bytes) -> None:
        self.told = True
        self._keep(uuid, self._decode(uuid, value))

    def _decode(self, uuid: str, value: bytes) -> Reading | DecodeError:
        try:
            return self._family.decode(uuid, value)
        except DecodeError as error:
            return error

    def _keep(self, uuid: str, outcome: Reading | DecodeError) -> None:
        if self._inbox.qsize() >= INBOX:
            self._inbox.get_nowait()
            self._flooded = True
        self._inbox.put_nowait((uuid, outcome))

    def _call(self) -> None:
        if self._wearer.calls(self._loop.time()):
            call = Observation(Kind.CALL, detail={"cause": "band"}, uptime_ms=uptime_now_ms())
            delivered = self._caller.place(call).delivered
            self._wearer.undelivered.add(delivered)
            self._answer_when(delivered)

    def _answer_when(self, delivered: asyncio.Task[bool]) -> None:
        answer = asyncio.ensure_future(self._answer(delivered))
        self._answers.add(answer)
        answer.add_done_callback(self._answered)

    def _answered(self, answer: asyncio.Task[None]) -> None:
        self._answers.discard(answer)
        if not answer.cancelled() and (error := answer.exception()):
            self._break(error)

    async def _answer(self, delivered: asyncio.Task[bool]) -> None:
        """Let the band vibrate once those who should hear the call have it.

        A band that is away by then is told when it is back.
        """
        command = self._family.vibrate(on=True)
        if await asyncio.shield(delivered) and command:
            await self._asker.write([command])
        self._wearer.undelivered.discard(delivered)

    async def vibrate(self) -> None:
        """Let the band vibrate; DeviceRefused if it cannot."""
        command = self._family.vibrate(on=True)
        if command is None:
            raise DeviceRefused("this kind of band cannot vibrate", where=self._settings.address)
        await self._asker.write([command])

    # --- what is told

    async def _listen(self) -> str:
        while True:
            self._tell(*await self._inbox.get())

    def _tell(self, uuid: str, outcome: Reading | DecodeError) -> None:
        if isinstance(outcome, DecodeError):
            self._teller.bad(uuid, "malformed", str(outcome))
        else:
            self._teller.good(uuid, "malformed")
            self._teller.good(uuid, "flood")
            self._teller.reading(outcome)
        if self._flooded:
            self._flooded = False
            self._teller.bad(uuid, "flood", "notifications come faster than they can be kept")

    async def _until_others_turn(self) -> str:
        await self._link.turn_over()
        return TURN_OVER

    # --- what falls silent

    async def _watch(self, patience_s: float, clock: Clock) -> str:
        """Look after silence now and then, which costs a reading nothing."""
        look_s = self._settings.silence / LOOKS_PER_SILENCE
        self._heard_s = self._loop.time()
        while (left_s := self._heard_s + patience_s - self._loop.time()) > 0:
            await asyncio.sleep(min(left_s, look_s))
            if reason := await self._renew_silent():
                return reason
            if self._backfill.live_is_due():
                await self._note_live(clock)
        return f"silent for {patience_s:g} s"

    async def _note_live(self, clock: Clock) -> None:
        if self.told and (now := local_time(clock)):
            ago_s = self._loop.time() - self._heard_s
            await self._backfill.live(now - timedelta(seconds=ago_s))

    async def _renew_silent(self) -> str | None:
        """Subscribe again what fell silent while others talk; the reason to give up, if in vain."""
        now_s = self._loop.time()
        uuid = self._rhythm.silent(now_s)
        if uuid is None:
            return None
        if uuid in self._renewed:
            return f"{uuid[4:8]} silent for {self._settings.silence:g} s, subscribed again in vain"
        self._renewed.add(uuid)
        self._rhythm.renewed(uuid, now_s)
        await self._link.subscribe(uuid, partial(self._on_told, uuid))
        return None


def local_time(clock: Clock) -> datetime | None:
    """What a clock on the wall shows; None while the gateway does not know it."""
    stamp = clock.stamp()
    if stamp.quality is TimeQuality.UNKNOWN:
        return None
    return datetime.fromtimestamp(stamp.wall_ms / 1000).astimezone()
