"""Reads what a register map has, in the requests that the device takes.

A device may take less than the map and the specification say: not so many registers at once, none
that lie between two values, or not all values of its maker's newest model. What it refuses is
tried again in smaller parts (`Block.parts`). A value that is refused by itself is withheld, and the
others are read. What worked is what is asked the next time.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from drivers.bus.meter import Reading
from drivers.modbus import wire

if TYPE_CHECKING:
    from drivers.bus.bus import Bus
    from drivers.modbus.block import Block
    from drivers.modbus.profile import Profile
    from drivers.modbus.unit import Unit
    from gateway.errors import DeviceRefused
    from gateway.model import Measurement

# Illegal address and illegal value are what the specification has for it; device failure is what
# some say in the field. After these a smaller question may be answered.
_SMALLER_MAY_DO = frozenset({2, 3, 4})
_NO_SUCH_FUNCTION = 1

# A refusal may pass, such as that of a sensor which was unplugged, so what worked is not for ever.
# Finding it out again costs a few requests.
REFUSED_AGAIN_S = 600.0


class Reader:
    """The values of one device. What it was found to take is known until the daemon stops."""

    def __init__(self, unit: Unit, profile: Profile) -> None:
        self._unit = unit
        self._profile = profile
        self._learn(profile.blocks(), {}, 0.0)

    async def read(self, bus: Bus) -> Reading:
        """All values of the map that the device has.

        Raises:
            DeviceRefused: it refuses all of them, or it is busy.
            DeviceSilent, DecodeError, LinkLost: as `Unit.ask`.
        """
        now_s = asyncio.get_running_loop().time()
        if self._refused and now_s - self._learned_s >= REFUSED_AGAIN_S:
            self._learn(self._profile.blocks(), {}, now_s)
        attempt = _Attempt(self._unit, dict(self._refused))
        for block in self._blocks:
            await attempt.ask(bus, block)
        if attempt.refusal and not attempt.answered:
            self._learn(self._profile.blocks(), {}, now_s)
            raise attempt.refusal
        if attempt.refusal:
            self._learn(attempt.answered, attempt.refused, now_s)
        return Reading(tuple(attempt.measurements), attempt.withheld | attempt.refused)

    def _learn(self, blocks: list[Block], refused: dict[str, str], now_s: float) -> None:
        self._blocks = blocks
        self._refused = refused  # name of a value that is refused by itself, and how
        self._learned_s = now_s


class _Attempt:
    """One reading, while it is made."""

    def __init__(self, unit: Unit, refused: dict[str, str]) -> None:
        self._unit = unit
        self.refused = refused
        self.refusal: DeviceRefused | None = None  # the first one
        self.answered: list[Block] = []
        self.measurements: list[Measurement] = []
        self.withheld: dict[str, str] = {}

    async def ask(self, bus: Bus, block: Block) -> None:
        """One block, in parts if it is not answered as a whole."""
        request = block.request(self._unit.number)
        answer = await self._unit.ask(bus, request)
        if isinstance(answer, wire.Values):
            self._take(block, answer)
            return
        if isinstance(answer, wire.Refusal):
            await self._shrink(bus, block, request, answer)

    def _take(self, block: Block, answer: wire.Values) -> None:
        values, faults = block.read(answer.data)
        self.answered.append(block)
        self.measurements += values
        self.withheld |= faults

    async def _shrink(
        self, bus: Bus, block: Block, request: wire.ReadRequest, refusal: wire.Refusal
    ) -> None:
        error = self._unit.refused(request, refusal, "is the profile that of this meter?")
        if refusal.code not in _SMALLER_MAY_DO | {_NO_SUCH_FUNCTION}:
            raise error
        self.refusal = self.refusal or error
        parts = block.parts() if refusal.code in _SMALLER_MAY_DO else []
        for part in parts:
            await self.ask(bus, part)
        if not parts:
            self.refused |= {it.name: f"refused: {refusal}" for it in block.registers}
