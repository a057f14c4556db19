"""The lines of a device: one port, whatever is behind it.

A chip address `sim:<path>` is a virtual board of `drivers.sim`; everything else is a chip of this
machine, by its label, name or path. Labels are best: on a Pi 5 the numbers differ from other Pis
and from kernel to kernel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.gpio.kernel import KernelLines

if TYPE_CHECKING:
    from drivers.gpio.lines import Lines, Wanted

SIM_PREFIX = "sim:"


async def open_lines(wanted: Wanted) -> Lines:
    """The lines of a device, outputs off; LinkLost if they cannot be had."""
    if wanted.chip.startswith(SIM_PREFIX):
        from drivers.sim.board_client import SimLines  # noqa: PLC0415 - only for virtual hardware

        return await SimLines.open(wanted.chip.removeprefix(SIM_PREFIX), wanted)
    return KernelLines(wanted)
