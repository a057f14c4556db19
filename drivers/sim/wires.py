"""A virtual pair of wires behind a virtual serial port, for the demo, the tests and training.

    with VirtualBus() as bus:                      # within a running event loop
        bus.add(VirtualModbusMeter(7, "xintai", WaterFlow(litres_per_hour=120)))
        bus.add(VirtualCjt188Meter("78330011223344"))
        ...                                        # [[bus]] port = bus.port

Every meter hears every telegram and answers those that are for it, as on a real pair of wires.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from drivers.sim.serial_port import VirtualPort

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType
    from typing import Self

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


class VirtualBus:
    """A pair of wires with meters on it, behind a port that others can open."""

    def __init__(self) -> None:
        self._port = VirtualPort(self._heard)
        self._meters: list[VirtualMeter] = []
        self._telegram = bytearray()
        self._end: asyncio.TimerHandle | None = None

    @property
    def port(self) -> str:
        """Path of the port; the same after the adapter was pulled and put back."""
        return self._port.path

    def add(self, meter: VirtualMeter) -> None:
        """Hang a meter on the wires."""
        self._meters.append(meter)

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
        self._end = asyncio.get_running_loop().call_later(TELEGRAM_END_S, self._deliver)

    def _deliver(self) -> None:
        telegram = bytes(self._telegram)
        self._telegram.clear()
        for meter in self._meters:
            at_s = 0.0
            for pause_s, piece in meter.hear(telegram):
                at_s += pause_s
                asyncio.get_running_loop().call_later(at_s, self._port.write, piece)
