"""Which M-Bus meters are on a bus, as `hearth probe` finds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.bus.prober import Found, Prober
from drivers.mbus import wire
from drivers.mbus.search import search, search_primary

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from drivers.bus.bus import Bus
    from drivers.bus.line import Line

# EN 13757-2: a slave begins its answer 330 bit times and 50 ms after the request at the latest. As
# much again for the level converter.
_BIT_TIMES = 330
_AND_S = 0.1


class MbusProber(Prober):
    """What the searches of M-Bus have in common."""

    driver = "mbus"
    lines = ("2400 8E1", "300 8E1", "9600 8E1")

    def __init__(self, told: set[wire.Identification]) -> None:
        self._told = told  # by which search ever

    def wait_s(self, line: Line) -> float:
        """What EN 13757-2 gives a slave."""
        return _BIT_TIMES / line.baudrate + _AND_S


class BySelection(MbusProber):
    """All meters of a line that know secondary addresses."""

    questions = 1

    async def search(self, bus: Bus) -> AsyncGenerator[Found, None]:
        """By masks, where several answer at once."""
        done = await search(bus, self.wait_s(bus.line))
        for meter, address in done.found.items():
            self._told.add(meter)
            # Some say FD where they are selected, and not what they are called otherwise.
            note = f"primary address {address}" if address <= wire.MOST_ADDRESS else ""
            yield Found(self.driver, {"secondary": str(meter)}, note)
        for mask in done.unresolved:
            yield Found(self.driver, {}, f"{mask}: no clean answer, or two of one number")


class ByAddress(MbusProber):
    """The others, each address by itself."""

    questions = wire.MOST_ADDRESS + 1

    async def search(self, bus: Bus) -> AsyncGenerator[Found, None]:
        """Ask 0 to 250."""
        done = await search_primary(bus, self.wait_s(bus.line))
        for address, meter in done.found.items():
            if meter not in self._told:
                self._told.add(meter)
                yield Found(self.driver, {"address": address}, f"meter {meter}")
        for address in done.unresolved:
            yield Found(self.driver, {}, f"address {address}: no clean answer, or two of one")


def probers() -> list[Prober]:
    """For the entry point; the search that finds most in least time first."""
    told: set[wire.Identification] = set()
    return [BySelection(told), ByAddress(told)]
