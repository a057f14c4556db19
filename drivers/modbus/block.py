"""Which values are read together: the fewest requests, and what is left of one that is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from drivers.modbus import wire
from drivers.modbus.register import Register  # noqa: TC001 - msgspec reads the annotations
from gateway.errors import DecodeError
from gateway.model import Measurement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence


class Block(msgspec.Struct, frozen=True):
    """Values that one request reads, in order of address."""

    registers: tuple[Register, ...]

    @property
    def function(self) -> wire.ReadFunction:
        """What reads them."""
        return self.registers[0].area

    @property
    def address(self) -> int:
        """Where they begin."""
        return self.registers[0].address

    @property
    def count(self) -> int:
        """How many registers or bits there are, with those that are only read along."""
        return _end(self.registers) - self.address

    def request(self, unit: int) -> wire.ReadRequest:
        """What to ask a unit."""
        return wire.ReadRequest(unit, self.function, self.address, self.count)

    def parts(self) -> list[Block]:
        """Smaller blocks, to be tried where this one is refused; none if there are no smaller ones.

        What is read along without being wanted goes first: it is the likeliest to be what a device
        refuses. After that halves: one value that is not there is found in few requests, and a
        device with a shorter limit than the specification's keeps requests near that limit.
        """
        pieces = _grouped(self.registers, _touches)
        if len(pieces) == 1:
            atoms = _grouped(self.registers, _overlaps)
            middle = len(atoms) // 2
            pieces = [_flat(atoms[:middle]), _flat(atoms[middle:])]
        return [Block(piece) for piece in pieces] if all(pieces) else []

    def read(self, data: bytes) -> tuple[list[Measurement], dict[str, str]]:
        """The values, and the names of those withheld with what is wrong with them.

        Args:
            data: as `wire.Values` has it.

        Raises:
            DecodeError: `data` is not as long as was asked for.
        """
        is_bits = self.function in wire.BIT_FUNCTIONS
        if len(data) != (-(-self.count // 8) if is_bits else 2 * self.count):
            raise DecodeError(f"{len(data)} bytes for {self.count} places")
        width = 1 if is_bits else 2
        places = bytes(wire.unpack_bits(data, self.count)) if is_bits else data
        measurements: list[Measurement] = []
        withheld: dict[str, str] = {}
        for register in self.registers:
            start = width * (register.address - self.address)
            try:
                value = register.read(places[start : start + width * register.width])
            except DecodeError as error:
                withheld[register.name] = str(error)
            else:
                measurements.append(Measurement(register.name, value, register.unit))
        return measurements, withheld


def blocks(
    registers: Iterable[Register], join: int = 0, most: Mapping[int, int] = wire.MOST
) -> list[Block]:
    """The fewest requests for all of these.

    Args:
        registers: in any order, of any function.
        join: how many places between two values may be asked for along with them.
        most: how many places one request may be about, by the function that reads them.
    """

    def joins(group: Sequence[Register], register: Register) -> bool:
        end = _end(group)
        length = max(end, register.end) - group[0].address
        return (
            register.area == group[0].area
            and register.address - end <= join
            and length <= most[register.area]
        )

    return [Block(group) for group in _grouped(registers, joins)]


def _grouped(
    registers: Iterable[Register], joins: Callable[[Sequence[Register], Register], bool]
) -> list[tuple[Register, ...]]:
    """Registers in order of address, cut wherever one does not join those before."""
    groups: list[list[Register]] = []
    for register in sorted(registers, key=lambda it: (it.area, it.address, it.end)):
        if groups and joins(groups[-1], register):
            groups[-1].append(register)
        else:
            groups.append([register])
    return [tuple(group) for group in groups]


def _touches(group: Sequence[Register], register: Register) -> bool:
    return register.address <= _end(group)


def _overlaps(group: Sequence[Register], register: Register) -> bool:
    return register.address < _end(group)


def _end(group: Iterable[Register]) -> int:
    return max(register.end for register in group)


def _flat(groups: Iterable[tuple[Register, ...]]) -> tuple[Register, ...]:
    return tuple(register for group in groups for register in group)
