"""Which CJ/T 188 meters are on a bus, as `hearth probe` finds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.bus.prober import Found, Prober
from drivers.cjt188 import wire
from drivers.cjt188.search import search

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from drivers.bus.bus import Bus
    from drivers.bus.line import Line

_WAKE_S = 0.5
_WATER_TYPES = range(0x10, 0x1A)


class Cjt188Prober(Prober):
    """All meters of a line, by the question that they all answer."""

    driver = "cjt188"
    lines = ("2400 8E1", "9600 8E1", "1200 8E1", "9600 8N1")  # the first is the standard's
    questions = len(wire.DI_ORDERS)

    def wait_s(self, line: Line) -> float:
        """Meters wake up within this time, at any rate."""
        del line
        return _WAKE_S

    async def search(self, bus: Bus) -> AsyncGenerator[Found, None]:
        """Ask in both byte orders; meters that collide are told apart by mask."""
        told: set[bytes] = set()
        for order in wire.DI_ORDERS:
            done = await search(bus, order, self.wait_s(bus.line))
            for address, meter_type in done.found.items():
                if address not in told:
                    told.add(address)
                    yield _found(address, meter_type, order)
            for mask in done.unresolved:
                if mask not in told:
                    told.add(mask)
                    yield Found(self.driver, {}, f"{_mask(mask)}: no clean answer, or two of one")


def probers() -> list[Prober]:
    """For the entry point."""
    return [Cjt188Prober()]


def _found(address: bytes, meter_type: int, order: wire.DiOrder) -> Found:
    printed = wire.printed_address(address)
    if meter_type not in _WATER_TYPES:
        return Found("cjt188", {}, f"{printed} is of type {meter_type:#04x}: no water meter")
    keys: dict[str, str | int] = {"address": printed}
    if meter_type != wire.COLD_WATER:
        keys["meter_type"] = meter_type
    if order != wire.DI_ORDERS[0]:
        keys["di_order"] = order
    return Found("cjt188", keys)


def _mask(mask: bytes) -> str:
    return wire.printed_address(mask).replace("AA", "**")
