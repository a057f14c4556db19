"""Finding out what is on a bus: the contract of those who look, and how the search is run.

Every protocol has a Prober, found by the entry point group `hearth.probers`: a function without
arguments that returns a list of them, those for likely places first. A Prober says on which lines
its meters leave the factory, and asks on one line at a time; what answers is Found.

Questions are such as change nothing: reads, and the selections that reading needs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, ClassVar, TypeVar

import msgspec

from drivers.bus.bus import Bus
from drivers.bus.line import Line, line_of, parse_line
from gateway.errors import UnknownDriver

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from drivers.bus.wires import Answer
    from gateway.settings import BusSettings

ENTRY_POINT_GROUP = "hearth.probers"

F_co = TypeVar("F_co", covariant=True)

_REQUEST_BYTES = 16  # about; the time-out is most of what a question takes


class Found(msgspec.Struct, frozen=True):
    """A device that answered."""

    driver: str
    # Of its `[[device]]`, beside id, driver, bus and line; none if it is there and cannot be used.
    keys: dict[str, str | int]
    note: str = ""  # for the fitter: what else is known, or what is doubtful


class Prober(ABC):
    """Looks for the devices of one protocol, or for some of them."""

    driver: ClassVar[str]  # the entry point of the driver they want
    lines: ClassVar[tuple[str, ...]]  # as they leave the factory, the likeliest first
    framing: str = "serial"  # of Bus.framing
    questions: int  # on one line, if nobody answers

    @abstractmethod
    def wait_s(self, line: Line) -> float:
        """How long to wait for an answer to begin."""

    @abstractmethod
    def search(self, bus: Bus) -> AsyncGenerator[Found, None]:
        """Ask on this line, and tell of each device once; LinkLost if the port is gone."""


class Step(msgspec.Struct, frozen=True):
    """One Prober on one line."""

    prober: Prober
    line: Line

    @property
    def seconds(self) -> float:
        """How long it takes if nobody answers."""
        each_s = self.line.gap_s + _REQUEST_BYTES * self.line.character_s
        return self.prober.questions * (self.prober.wait_s(self.line) + each_s)


def installed_probers(names: Sequence[str] = ()) -> list[list[Prober]]:
    """The Probers of each protocol: of all, or of these; UnknownDriver if there is no such one."""
    points = {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}
    known = sorted(points)
    for name in names:
        if name not in points:
            raise UnknownDriver(f"no protocol {name!r}; installed: {', '.join(known)}")
    return [points[name].load()() for name in names or known]


def plan(
    settings: BusSettings,
    protocols: Sequence[Sequence[Prober]],
    lines: Sequence[str] = (),
    *,
    quick: bool = False,
) -> list[Step]:
    """What to do, in this order.

    The first Prober of every protocol comes before the second of any, so that what is likely is
    known after a minute, and the rest can be broken off.

    Args:
        settings: the port. One that cannot change its line is asked on the line that it has.
        protocols: the Probers of each protocol.
        lines: such as `2400 8E1`; those of the Probers if there are none.
        quick: the first of every protocol only.
    """
    fixed = settings.port.startswith(("socket://", "modbus-tcp://"))
    framing = "modbus-tcp" if settings.port.startswith("modbus-tcp://") else "serial"
    ranked = [
        (rank, prober)
        for probers in protocols
        for rank, prober in enumerate(it for it in probers if it.framing == framing)
        if not (quick and rank)
    ]
    steps = []
    for _, prober in sorted(ranked, key=lambda pair: pair[0]):
        wanted = [parse_line(text) for text in lines or prober.lines]
        steps += [Step(prober, line) for line in ([line_of(settings)] if fixed else wanted)]
    return steps


async def probe(
    bus: Bus, steps: Sequence[Step], told: Callable[[Step, float], None]
) -> AsyncGenerator[tuple[Line, Found], None]:
    """Run the steps, and tell of each device as soon as it is found.

    Args:
        bus: the port.
        steps: from `plan`.
        told: called after each question with its step and how much of the step is done, 0 to 1.

    Raises:
        LinkLost: the port is gone, or does not open.
    """
    for step in steps:
        counting = _CountingBus(bus.at(step.line), step, told)
        async for found in step.prober.search(counting):
            yield step.line, found
        told(step, 1.0)


class _CountingBus(Bus):
    """A bus that says how far the search is."""

    def __init__(self, bus: Bus, step: Step, told: Callable[[Step, float], None]) -> None:
        super().__init__(bus.settings, line=bus.line, wires=bus.wires)
        self._step = step
        self._told = told
        self._asked = 0

    async def transact(self, request: bytes, answer: Answer[F_co], timeout_s: float) -> F_co:
        try:
            return await super().transact(request, answer, timeout_s)
        finally:
            self._asked += 1
            # Where somebody answers there is more to ask than was planned.
            of = max(self._asked + 1, self._step.prober.questions)
            self._told(self._step, self._asked / of)
