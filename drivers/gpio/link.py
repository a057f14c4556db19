"""The lines of a device: one port, whatever is behind it.

A chip address `sim:<path>` is a virtual board of `drivers.sim`; everything else is a chip of this
machine, by its label, name or path. Labels are best: on a Pi 5 the numbers differ from other Pis
and from kernel to kernel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

import msgspec

from drivers.gpio.kernel import KernelLines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drivers.gpio.wire.edge import Edge

SIM_PREFIX = "sim:"


class Wire(msgspec.Struct, frozen=True):
    """One line of a chip, and which level of it is called active."""

    offset: int
    active_low: bool = False


class Wanted(msgspec.Struct, frozen=True):
    """All lines that one device needs; it gets all or none."""

    chip: str
    inputs: tuple[Wire, ...] = ()
    outputs: tuple[Wire, ...] = ()
    bias: Literal["pull-up", "pull-down", "disabled", "as-is"] = "as-is"  # of the inputs
    debounce_s: float = 0.0  # of the inputs

    def __str__(self) -> str:
        offsets = [wire.offset for wire in (*self.inputs, *self.outputs)]
        lines = "line" if len(offsets) == 1 else "lines"
        return f"{self.chip} {lines} {', '.join(map(str, offsets))}"


class Lines(Protocol):
    """Lines that are held: inputs are watched, outputs are driven."""

    active: dict[int, bool]  # each input when watching began, by offset

    async def readable(self) -> None:
        """Return when there are edges, or when the chip is gone. Cancelling loses none."""
        ...

    def edges(self) -> Sequence[Edge]:
        """What came until now, perhaps nothing; LinkLost when the chip is gone."""
        ...

    def drive(self, offset: int, *, on: bool) -> None:
        """An output active or not. LinkLost when the chip is gone."""
        ...

    async def close(self) -> None:
        """Outputs off, lines given back."""
        ...


async def open_lines(wanted: Wanted) -> Lines:
    """The lines of a device, outputs off; LinkLost if they cannot be had."""
    if wanted.chip.startswith(SIM_PREFIX):
        from drivers.sim.board_client import SimLines  # noqa: PLC0415 - only for virtual hardware

        return await SimLines.open(wanted.chip.removeprefix(SIM_PREFIX), wanted)
    return KernelLines(wanted)
