"""What a device wants of a chip, and what it holds then. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drivers.gpio.wire.edge import Edge


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
