"""A virtual band and the person who wears it, and the ledger of what it produced.

Every reading carries a number that no other reading of that band has for a long time, so that at
the collector each can be found, once.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from datetime import datetime
from random import Random
from typing import ClassVar

from drivers.sim.air import Air
from drivers.sim.band import HEART_RATE, VirtualBand
from drivers.sim.band_base import BandBase, Key
from drivers.sim.band_colmi import VirtualColmi
from drivers.sim.band_fff0 import VirtualFff0
from drivers.sim.band_moyoung import VirtualMoyoung
from drivers.wristband.wire import colmi, fff0, moyoung


class Wearer:
    """One band. `produced` are the numbers of what was told while somebody listened."""

    family: ClassVar[str]
    key: ClassVar[Key]  # where readings are told
    name: ClassVar[str]  # of the measurement that carries the number
    scale: ClassVar[int] = 1  # by which the collector's value is larger than the number
    calls: ClassVar[bool] = False  # whether it has a button
    keeps: ClassVar[bool] = False  # whether it stores what nobody hears
    tells_unworn: ClassVar[bool] = False  # whether it numbers readings while it is not worn

    def __init__(self, air: Air, device: str, address: str) -> None:
        self.device = device
        self.address = address
        self.band: BandBase = self.make(air)
        self.produced: list[int] = []
        self.stored: list[tuple[int, int]] = []  # (epoch s, number) of what it kept for itself
        self.unheard = 0  # told to nobody: out of range, or not connected
        self.unworn = 0  # told that it is not worn
        self.presses = 0
        self.absences = 0
        self._number = 0

    def make(self, air: Air) -> BandBase:
        """The band."""
        raise NotImplementedError

    async def tell(self, number: int) -> None:
        """Send one reading."""
        raise NotImplementedError

    @property
    def heard(self) -> bool:
        """Whether somebody listens."""
        return self.band.is_subscribed(self.key)

    async def measure(self) -> None:
        """One reading, with the next number."""
        if not self.heard:
            self.unheard += 1
            return
        if not self.band.worn and not self.tells_unworn:
            self.unworn += 1
            await self.tell(0)
            return
        await self.tell(self.next_number())

    def next_number(self) -> int:
        """The number of a reading that is told now."""
        self._number += 1
        self.produced.append(self._number)
        return self._number

    async def listened_to(self) -> None:
        """Until somebody listens."""
        await self.band.wait_subscribed(self.key)

    async def press(self, times: int) -> None:
        """The button, which the band tells more than once."""
        raise NotImplementedError

    def keep(self, at: datetime) -> None:
        """It measured this while nobody listened."""
        raise NotImplementedError


class Standard(Wearer):
    """Heart rate as the Bluetooth SIG has it; the number is in the energy."""

    family, key, name, scale = "standard", HEART_RATE, "energy", 1000

    def make(self, air: Air) -> BandBase:
        return VirtualBand(air, self.address)

    async def tell(self, number: int) -> None:
        flags = 0x0E if number else 0x04  # contact, and energy; or no contact
        body = struct.pack("<BB", flags, 60 + number % 60)
        await self.band.send(HEART_RATE, body + (struct.pack("<H", number) if number else b""))


class Fff0(Wearer):
    """The steps are the number. It has the button, and a memory."""

    family, key, name = "fff0", fff0.NOTIFY, "steps"
    calls = keeps = tells_unworn = True

    def make(self, air: Air) -> VirtualFff0:
        return VirtualFff0(air, self.address)

    async def tell(self, number: int) -> None:
        self.band.steps = number  # type: ignore[attr-defined]
        await self.band.measured()  # type: ignore[attr-defined]

    async def press(self, times: int) -> None:
        self.presses += 1
        await self.band.press_sos(times)  # type: ignore[attr-defined]

    def keep(self, at: datetime) -> None:
        rate = 40 + len(self.stored) % 150
        second = at.replace(microsecond=0)
        self.band.store(second, rate=rate)  # type: ignore[attr-defined]
        self.stored.append((round(second.timestamp()), rate))


class _Ring(VirtualColmi):
    """Every heart rate that it tells, asked or not, has the next number."""

    wearer: Wearer

    def _live(self, kind: int) -> bytes:
        if kind == colmi.HEART_RATE and self.worn:
            self.rate = Colmi.FIRST + self.wearer.next_number() % Colmi.NUMBERS
        return super()._live(kind)


class Colmi(Wearer):
    """The heart rate is the number, modulo what a heart rate can be."""

    family, key, name = "colmi", colmi.NOTIFY, "heart_rate"
    FIRST, NUMBERS = 40, 160

    def make(self, air: Air) -> VirtualColmi:
        ring = _Ring(air, self.address)
        ring.wearer = self
        return ring

    async def measure(self) -> None:
        """The ring numbers by itself, because it also measures when it is asked."""
        if not self.heard:
            self.unheard += 1
            return
        self.unworn += not self.band.worn
        await self.band.measured()  # type: ignore[attr-defined]


class Moyoung(Wearer):
    """The steps are the number."""

    family, key, name = "moyoung", moyoung.STEPS, "steps"
    tells_unworn = True

    def make(self, air: Air) -> VirtualMoyoung:
        return VirtualMoyoung(air, self.address)

    async def tell(self, number: int) -> None:
        await self.band.walked(number, number, 1)  # type: ignore[attr-defined]


FAMILIES: Sequence[type[Wearer]] = (Standard, Fff0, Colmi, Moyoung)


def dress(air: Air, count: int) -> list[Wearer]:
    """So many people, the families in turn."""
    return [
        FAMILIES[n % len(FAMILIES)](air, f"band-{n + 1}", f"C0:FF:EE:00:01:{n:02X}")
        for n in range(count)
    ]


# --- what a day is made of -----------------------------------------------------------------------

# So long after the last reading nothing of it is on the air any more, nor on its way through D-Bus:
# what ends a link then takes no reading along that the band believes told.
SETTLE_S = 0.3
SAME_SOS_S = 11.0  # a second press sooner is the same call


class Day:
    """Seeded steps of one person, one after the other, while the radio is there."""

    def __init__(self, wearer: Wearer, rng: Random, radio_is_there: asyncio.Event) -> None:
        self._wearer = wearer
        self._band = wearer.band
        self._rng = rng
        self._radio_is_there = radio_is_there
        self._pressed_s = -SAME_SOS_S
        self.idle = asyncio.Event()  # nothing is on its way
        self.idle.set()

    async def run(self, until_s: float) -> None:
        """Live until then (the loop's time), and end within reach and worn."""
        loop = asyncio.get_running_loop()
        steps = [self._measure] * 8 + [self._drop, self._walk, self._take_off] + [self._press] * 2
        while loop.time() < until_s:
            await self._radio_is_there.wait()
            self.idle.clear()
            await self._rng.choice(steps)()
            self.idle.set()
        await asyncio.wait_for(self._wearer.listened_to(), 60)
        await self._wearer.measure()

    def gone(self) -> None:
        """The radio goes from under it."""
        self._wearer.absences += self._wearer.heard

    async def _measure(self) -> None:
        for _ in range(self._rng.randint(3, 15)):
            if not self._radio_is_there.is_set():
                return
            await self._wearer.measure()
            await asyncio.sleep(self._rng.uniform(0.01, 0.08))

    async def _drop(self) -> None:
        if self._wearer.heard:
            await asyncio.sleep(SETTLE_S)
            self._wearer.absences += 1
            await self._band.drop()
            await self._wearer.measure()

    async def _walk(self) -> None:
        if not self._wearer.heard:
            return
        await asyncio.sleep(SETTLE_S)
        self._wearer.absences += 1
        self._band.walk_away()
        for _ in range(self._rng.randint(1, 3)):
            await asyncio.sleep(1.2)  # the next second by the band's clock
            await self._wearer.measure()
            if self._wearer.keeps:
                self._wearer.keep(datetime.now())
        self._band.come_back()

    async def _take_off(self) -> None:
        self._band.take_off()
        await self._measure()
        self._band.put_on()

    async def _press(self) -> None:
        now_s = asyncio.get_running_loop().time()
        if self._wearer.calls and self._wearer.heard and now_s - self._pressed_s > SAME_SOS_S:
            self._pressed_s = now_s
            await self._wearer.press(self._rng.randint(1, 3))
            await asyncio.sleep(SETTLE_S)
