"""A virtual pair of wires behind a virtual serial port, for the demo, the tests and training.

    with VirtualBus() as bus:                      # within a running event loop
        bus.add(VirtualModbusMeter(7, "xintai", WaterFlow(litres_per_hour=120)))
        bus.add(VirtualCjt188Meter("78330011223344"))
        ...                                        # [[bus]] port = bus.port

Every meter hears every telegram and answers those that are for it, as on a real pair of wires. One
that was hung there with a line of its own, `add(meter, "2400 8E1")`, hears only what is sent so.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from drivers.bus.line import parse_line
from drivers.sim.serial_port import VirtualPort

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import Self

    from drivers.bus.line import Line

    # What a meter says to a telegram: pieces, each with the pause before it in s.
    Speech = Iterable[tuple[float, bytes]]

# A telegram ends when the line falls silent. The master writes one in a single call, so anything
# above the scheduling of a busy machine will do, and below the shortest time-out in use.
TELEGRAM_END_S = 0.003


class VirtualMeter(Protocol):
    """A meter: pure but for its clock."""

    def hear(self, telegram: bytes) -> Speech:
        """What it says to a telegram on its line; nothing if it is not for this meter."""
        ...


class Port(Protocol):
    """The near end of the wires, for others to open."""

    receive: Callable[[bytes], None]  # called with what they write

    @property
    def path(self) -> str: ...  # noqa: D102 - what goes into `port` of a [[bus]]
    def hears(self, line: Line) -> bool: ...  # noqa: D102 - as VirtualPort has them
    def plug_in(self) -> None: ...  # noqa: D102
    def unplug(self) -> None: ...  # noqa: D102
    def write(self, data: bytes) -> None: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


class VirtualBus:
    """A pair of wires with meters on it, behind a port that others can open."""

    def __init__(self, port: Port | None = None, *, pace: Line | None = None) -> None:
        """A bus without time, or one on which bytes take theirs.

        Args:
            port: the near end; a virtual serial port if it is None.
            pace: how fast bytes pass; without it they are there at once.
        """
        self._port: Port = port or VirtualPort()
        self._port.receive = self._heard
        self._pace = pace
        self._meters: list[tuple[VirtualMeter, Line | None]] = []
        self._telegram = bytearray()
        self._end: asyncio.TimerHandle | None = None

    @property
    def port(self) -> str:
        """Name of the port; the same after the adapter was pulled and put back."""
        return self._port.path

    def add(self, meter: VirtualMeter, line: str = "") -> None:
        """Hang a meter on the wires."""
        self._meters.append((meter, parse_line(line) if line else None))

    def disturb(self, noise: bytes) -> None:
        """Bytes that nobody sent."""
        self._port.write(noise)

    def unplug(self) -> None:
        """Pull the adapter out."""
        self._port.unplug()

    def plug_in(self) -> None:
        """Put the adapter back."""
        self._port.plug_in()

    def __enter__(self) -> Self:
        self._port.plug_in()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._end:
            self._end.cancel()
        self._port.close()

    def _heard(self, data: bytes) -> None:
        self._telegram += data
        if self._end:
            self._end.cancel()
        end_s = TELEGRAM_END_S
        if self._pace:
            end_s = len(self._telegram) * self._pace.character_s + self._pace.gap_s
        self._end = asyncio.get_running_loop().call_later(end_s, self._deliver)

    def _deliver(self) -> None:
        telegram = bytes(self._telegram)
        self._telegram.clear()
        character_s = self._pace.character_s if self._pace else 0.0
        for meter, line in self._meters:
            if line and not self._port.hears(line):
                continue
            at_s = 0.0
            for pause_s, piece in meter.hear(telegram):
                at_s += pause_s + len(piece) * character_s
                asyncio.get_running_loop().call_later(at_s, self._port.write, piece)
