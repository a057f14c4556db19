"""A loudspeaker. Takes what the home has to say, one after the other, and says it.

Something more important kills what is being said within milliseconds. What could not be said is not
marked so, and comes again when the sound card or the engine is back. A fixed phrase that lies on
disk needs no engine, so how a call stands is heard even without one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from drivers.speaker.chain import run_chain
from drivers.speaker.engine import engine_command, limit_s, player_command, synthesise
from drivers.speaker.look import look_at_speaker
from drivers.speaker.settings import SpeakerSettings
from drivers.speaker.sounds import Sounds
from drivers.speaker.wav import silence
from gateway.backoff import Backoff
from gateway.driver import Driver
from gateway.errors import DeviceRefused, DeviceSilent, DriverError, LinkLost
from gateway.speakable import speakable

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping, Sequence
    from pathlib import Path

    from gateway.driver import Context, Utterance
    from gateway.finding import Finding
    from gateway.model import Scalar
    from gateway.settings import BusSettings

# A USB sound card that is plugged in again is heard again within this time (s); a call may be
# waiting to be told of.
_FIRST_TRY_S, _LAST_TRY_S = 1.0, 15.0
# Played when the driver starts: a missing card is known before the first call, not at it.
_PROOF_S = 0.05
# s. Who orders something to be said waits no longer: by then a call is being told of.
_ORDER_S = 25.0
# Bytes a second of the poorest sound, 8 kHz and 16 bits: a file is over by then.
_SLOWEST = 16_000
_LONGEST_S = 180.0


class _Order:
    """What a person upstream ordered to be said."""

    def __init__(self, text: str, language: str) -> None:
        self.text = text
        self.language = language
        self.phrase = ""
        self.end: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class SpeakerDriver(Driver):
    """A loudspeaker on a sound card of this machine."""

    summary = "a loudspeaker: speaks by espeak-ng or another engine, plays by aplay"
    Settings = SpeakerSettings
    only_one = True

    settings: SpeakerSettings

    def __init__(self, settings: SpeakerSettings, context: Context) -> None:
        super().__init__(settings, context)
        self._sounds = Sounds(settings.sounds)
        self._player = player_command(settings.player, settings.device)
        self._backoff = Backoff(_FIRST_TRY_S, _LAST_TRY_S)
        self._orders: deque[_Order] = deque()
        self._ordered = asyncio.Event()
        self._speechless = False  # the engine failed

    @classmethod
    def look(cls, settings: SpeakerSettings, bus: BusSettings | None) -> Sequence[Finding]:
        """Player, engine, sound card, phrases."""
        del bus
        return look_at_speaker(settings)

    async def run(self) -> None:
        """Say what there is to say, until cancelled."""
        while True:
            try:
                await self._prove()
                await self._speak()
            except DriverError as error:
                self.context.offline(_reason(error))
            await asyncio.sleep(self._backoff.next_s())

    async def command(self, name: str, arguments: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """`say` a text, or `identify`: say which device this is."""
        if name == "identify":
            text: Scalar = self.context.device
        elif name == "say":
            text = arguments.get("text", "")
        else:
            return await super().command(name, arguments)
        reason = speakable(text)
        if reason or not isinstance(text, str):
            raise DriverError(f"it cannot be said: {reason}", where=self.context.device)
        order = _Order(text, _language(text))
        self._orders.append(order)
        self._ordered.set()
        try:
            async with asyncio.timeout(_ORDER_S):
                await order.end
        except TimeoutError as error:
            what = f"it was not said within {_ORDER_S:.0f} s"
            raise DeviceSilent(what, where=self.context.device) from error
        finally:
            if order in self._orders:
                self._orders.remove(order)
        return {}

    # --- being able to ---------------------------------------------------------------------------

    async def _prove(self) -> None:
        """Whether card and engine are there; DriverError if the card is not."""
        await run_chain([self._player], silence(_PROOF_S), limit_s(""))
        try:
            await synthesise(self._engine("en"), "1")
        except DriverError as error:
            self._speechless = True
            self.context.offline(_reason(error))
        else:
            self._online()

    def _online(self) -> None:
        self._speechless = False
        self.context.online(engine=self._engine("en")[0], player=self._player[0])

    def _engine(self, language: str) -> list[str]:
        return engine_command(self.settings.engine, language, self.settings.speed)

    # --- speaking --------------------------------------------------------------------------------

    async def _speak(self) -> None:
        """Whatever is to be said; what the home has to say goes before what was ordered."""
        house = asyncio.ensure_future(self.context.house.utterance())
        try:
            while True:
                ordered = asyncio.create_task(self._ordered.wait())
                try:
                    await asyncio.wait({house, ordered}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    ordered.cancel()
                if house.done():
                    utterance = house.result()
                    if await self._say(utterance, utterance.interrupted()):
                        utterance.said()
                    house = asyncio.ensure_future(self.context.house.utterance())
                else:
                    await self._obey(house)
        finally:
            house.cancel()

    async def _obey(self, house: asyncio.Future[Utterance]) -> None:
        """Say one thing that was ordered, unless the home has something to say."""
        if not self._orders:
            self._ordered.clear()
            return
        order = self._orders.popleft()
        try:
            done = await self._say(order, _until(house))
        except DriverError as error:
            if not order.end.done():
                order.end.set_exception(error)
            raise
        if order.end.done():
            return  # who ordered it has gone
        if done:
            order.end.set_result(None)
        else:
            order.end.set_exception(DeviceRefused("something more important was said instead"))

    async def _say(
        self, what: Utterance | _Order, interruption: Coroutine[None, None, None]
    ) -> bool:
        """Say it; whether it was said to its end. DriverError if it cannot be."""
        speaking = asyncio.create_task(self._sound(what))
        interrupted = asyncio.create_task(interruption)
        try:
            await asyncio.wait({speaking, interrupted}, return_when=asyncio.FIRST_COMPLETED)
            if not speaking.done():
                return False
            await speaking
        finally:
            speaking.cancel()
            interrupted.cancel()
            await asyncio.gather(speaking, interrupted, return_exceptions=True)
        self._backoff.reset()
        return True

    async def _sound(self, what: Utterance | _Order) -> None:
        if file := self._sounds.find(what.language, what.phrase):
            await run_chain([self._player], file, _duration_s(file))
            return
        commands = [self._engine(what.language), self._player]
        await run_chain(commands, what.text.encode(), limit_s(what.text))
        if self._speechless:
            self._online()


async def _until(house: asyncio.Future[Utterance]) -> None:
    await asyncio.wait({house})


def _duration_s(file: Path) -> float:
    """How long it may take to play a file; what takes longer hangs."""
    try:
        return min(limit_s("") + file.stat().st_size / _SLOWEST, _LONGEST_S)
    except OSError as error:
        raise LinkLost(f"{file} cannot be read: {error.strerror}") from error


def _reason(error: DriverError) -> str:
    return f"{error}; {error.hint}" if error.hint else str(error)


def _language(text: str) -> str:
    """The language of a text that nobody named: Chinese if a Chinese character is in it."""
    return "zh" if any("\u4e00" <= character <= "\u9fff" for character in text) else "en"
