"""Watching the contact of a device: from held lines to changes with their time."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from drivers.gpio.lines import Wire
from drivers.gpio.wire.contact import Contact
from drivers.gpio.wire.edge import Change
from drivers.gpio.wire.pair import Pair
from gateway.model import Kind, Observation

if TYPE_CHECKING:
    from drivers.gpio.lines import Lines
    from drivers.gpio.settings import InputSettings

# The two sides of a change-over switch turn over within milliseconds if it snaps, and as slowly as
# the thumb if it does not. A wire that broke a second ago is reported soon enough.
WIRE_S = 1.0

# A contact that chatters, on a chip that does not debounce, would wake us a thousand times a second
# for a press that is long told. From the ninth reading of one press on its edges are read this much
# later (s), in a tenth of the time that the kernel's buffer lasts for.
CALM_READS = 8
CALM_S = 0.02

FAULTS = {
    Change.STUCK: Observation(Kind.FAULT, detail={"fault": "stuck", "active": True}),
    Change.UNSTUCK: Observation(Kind.FAULT, detail={"fault": "stuck", "active": False}),
    Change.LOST: Observation(Kind.FAULT, detail={"fault": "lost_edges", "active": True}),
    Change.INTACT: Observation(Kind.FAULT, detail={"fault": "lost_edges", "active": False}),
    Change.BROKEN: Observation(Kind.FAULT, detail={"fault": "wire", "active": True}),
    Change.WHOLE: Observation(Kind.FAULT, detail={"fault": "wire", "active": False}),
}


def input_wires(settings: InputSettings, *, active_low: bool) -> tuple[Wire, ...]:
    """The lines of a contact that is active at this level; its other side is at the opposite."""
    contact = Wire(settings.offset, active_low)
    if settings.offset_nc is None:
        return (contact,)
    return (contact, Wire(settings.offset_nc, not active_low))


class Happening(NamedTuple):
    """A change, when (ns of CLOCK_MONOTONIC), and whether more may have happened than was seen."""

    change: Change
    at_ns: int
    doubtful: bool


class Watch:
    """One contact, single or supervised, on lines that are held."""

    def __init__(
        self, lines: Lines, settings: InputSettings, *, stuck_s: float | None = None
    ) -> None:
        self._lines = lines
        self._reads = 0  # of edges, since the contact was last at rest
        now_ns = self.now_ns = time.monotonic_ns()  # up to when is known what happened
        debounce_ns = _ns(settings.debounce)
        stuck_ns = None if stuck_s is None else _ns(stuck_s)
        sides = {
            offset: Contact(
                active=active, now_ns=now_ns, debounce_ns=debounce_ns, stuck_ns=stuck_ns
            )
            for offset, active in lines.active.items()
        }
        self.contact: Contact | Pair
        if settings.offset_nc is None:
            self.contact = sides[settings.offset]
        else:
            wire_ns = max(_ns(WIRE_S), 3 * debounce_ns)
            self.contact = Pair(sides, now_ns=now_ns, debounce_ns=debounce_ns, wire_ns=wire_ns)

    async def happenings(self, until_ns: int | None = None) -> list[Happening]:
        """What happened next.

        Args:
            until_ns: return by then, even if nothing happened.

        Raises:
            LinkLost: the chip is gone.
        """
        if self._reads > CALM_READS:
            await asyncio.sleep(CALM_S)
        await self._wait(until_ns)
        # The time before the edges: whatever is older than it is among them. The other way round,
        # a contact that bounces while we are kept from reading would pass for one at rest.
        self.now_ns = time.monotonic_ns()
        edges = self._lines.edges()
        self._reads = self._reads + 1 if self.contact.pressed else 0
        seen: list[Happening] = []
        for edge in edges:
            seen += self._told(self.contact.edge(edge), edge.at_ns)
        return seen + self._told(self.contact.tick(self.now_ns), self.now_ns)

    def _told(self, changes: list[Change], at_ns: int) -> list[Happening]:
        return [Happening(change, at_ns, self.contact.doubtful) for change in changes]

    async def _wait(self, until_ns: int | None) -> None:
        moments = [at for at in (until_ns, self.contact.deadline_ns) if at is not None]
        wait_s = max(0.0, (min(moments) - time.monotonic_ns()) / 1e9) if moments else None
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._lines.readable()


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
