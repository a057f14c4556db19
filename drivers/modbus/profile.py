"""Register maps: what a maker put where. Data, not code; TOML files in `profiles/modbus/`.

    [profile]
    title = "Xintai water meter"
    function = 3                  # 3 holding registers, 4 input registers
    line = "9600 8N1"             # how the meter leaves the factory; a hint when it is silent
    join = 18                     # this many registers outside the map may be read along, if that
                                  # saves a request; 0 unless the meter is known to allow it
    [[register]]
    name = "volume"               # SenML name
    address = 0x0001              # on the wire, counted from 0
    type = "f32"                  # u16 s16 u32 s32 f32 u64 bcd
    order = "dcba"                # see values.py
    scale = "1/3600"              # of the number in the meter, a number or a fraction; 1
    unit = "m3/s"                 # SenML unit
    min = 0                       # beyond these, after scaling, a value is absurd and is withheld
    max = 0.1

Three kinds of register give no number. `bit = 3` makes a truth value of one bit. `states` makes
words of what is left under `mask`: `{ 0x55 = "empty", 0xAA = "full" }`, and a value it does not
name is withheld. `type = "bcd"` with `digits = 8` is a text of digits, a serial number.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Annotated

import msgspec

from drivers.modbus.values import WIDTHS, Order, Type, decode_value, scaled
from drivers.modbus.wire import LARGEST_ADDRESS, MOST_REGISTERS, Function, ReadRequest
from drivers.profile import ProfileFile, read_profile
from gateway.errors import DecodeError, SettingsError
from gateway.model import Measurement, Scalar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


SenmlName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9:./_-]{0,63}\Z")]

Word = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]

_MOST_VALUES = 60  # an event takes 64 measurements
_LARGEST_INTEGER = 2**63 - 1  # of an event's values


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[profile]`: what holds for the whole meter."""

    title: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    function: Function = 3
    line: Annotated[str, msgspec.Meta(max_length=20)] = ""
    join: Annotated[int, msgspec.Meta(ge=0, le=MOST_REGISTERS)] = 0


class Register(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[[register]]`: one value, in one or several neighbouring registers."""

    name: SenmlName
    address: Annotated[int, msgspec.Meta(ge=0, le=LARGEST_ADDRESS)]
    type: Type
    order: Order = "abcd"
    scale: int | float | str = 1
    unit: Annotated[str, msgspec.Meta(max_length=16)] = ""
    min: float | None = None
    max: float | None = None
    bit: Annotated[int, msgspec.Meta(ge=0, le=15)] | None = None
    mask: Annotated[int, msgspec.Meta(ge=1, le=0xFFFF)] = 0xFFFF
    states: dict[str, Word] = {}
    digits: Annotated[int, msgspec.Meta(ge=1, le=16)] | None = None

    @property
    def width(self) -> int:
        """How many registers the value takes."""
        return -(-self.digits // 4) if self.digits else WIDTHS[self.type]

    @property
    def end(self) -> int:
        """The address after the last register."""
        return self.address + self.width

    @property
    def factor(self) -> Fraction:
        """The scale; ValueError or ZeroDivisionError if it is no number."""
        return Fraction(str(self.scale))

    @property
    def words(self) -> dict[int, str]:
        """What the states mean; ValueError if a key is no integer."""
        return {int(key, 0): word for key, word in self.states.items()}

    def read(self, data: bytes) -> Scalar:
        """The value in these register bytes; DecodeError if it is absurd."""
        number = decode_value(data, self.type, self.order)
        if self.bit is not None:
            return bool(int(number) >> self.bit & 1)
        if self.states:
            return self._word(int(number) & self.mask)
        if self.digits:
            return f"{number:0{self.digits}d}"
        return self._checked(scaled(number, self.factor))

    def _word(self, number: int) -> str:
        word = self.words.get(number)
        if word is None:
            raise DecodeError(f"{number:#06x} is no state the map knows")
        return word

    def _checked(self, number: float) -> float | int:
        low = -_LARGEST_INTEGER if self.min is None else self.min
        high = _LARGEST_INTEGER if self.max is None else self.max
        if not low <= number <= high:
            raise DecodeError(f"{number:g} {self.unit} is not within {low:g} and {high:g}")
        return number


class Block(msgspec.Struct, frozen=True):
    """Registers that one request reads."""

    address: int
    count: int
    registers: tuple[Register, ...]


class Profile(msgspec.Struct, frozen=True):
    """One register map."""

    name: str
    line: Line
    registers: tuple[Register, ...]

    def blocks(self) -> list[Block]:
        """The fewest requests that read everything, in order of address."""
        groups: list[list[Register]] = []
        for register in sorted(self.registers, key=lambda r: (r.address, r.end)):
            group = groups[-1] if groups else []
            if group and self._joins(group, register):
                group.append(register)
            else:
                groups.append([register])
        return [
            Block(group[0].address, max(r.end for r in group) - group[0].address, tuple(group))
            for group in groups
        ]

    def requests(self, unit: int) -> list[tuple[ReadRequest, Block]]:
        """What to ask a unit, and what the answers hold."""
        return [
            (ReadRequest(unit, self.line.function, block.address, block.count), block)
            for block in self.blocks()
        ]

    def _joins(self, group: Sequence[Register], register: Register) -> bool:
        end = max(r.end for r in group)
        length = max(end, register.end) - group[0].address
        return register.address - end <= self.line.join and length <= MOST_REGISTERS


def read_block(block: Block, data: bytes) -> tuple[list[Measurement], dict[str, str]]:
    """The values of a block, and the names of those withheld with what is wrong with them.

    Raises:
        DecodeError: `data` is not two bytes a register.
    """
    if len(data) != 2 * block.count:
        raise DecodeError(f"{len(data)} bytes for {block.count} registers")
    measurements: list[Measurement] = []
    withheld: dict[str, str] = {}
    for register in block.registers:
        start = 2 * (register.address - block.address)
        try:
            value = register.read(data[start : start + 2 * register.width])
        except DecodeError as error:
            withheld[register.name] = str(error)
        else:
            measurements.append(Measurement(register.name, value, register.unit))
    return measurements, withheld


def load_profile(name: str) -> Profile:
    """The register map of this name; SettingsError with every fault if it is missing or faulty."""
    text, file = read_profile("modbus", name)
    return parse_profile(text, name, file)


def parse_profile(text: str, name: str, file: str) -> Profile:
    """A register map from its text; `file` is its name in messages."""
    source = ProfileFile(text, file, "register")
    head = source.head(Line)
    registers = _read_registers(source)
    if len(source.items) > _MOST_VALUES:
        source.fault(f"{len(source.items)} values; {_MOST_VALUES} is the most")
    if source.faults or head is None:
        raise SettingsError(source.faults)
    return Profile(name, head, tuple(registers))


def _read_registers(source: ProfileFile) -> list[Register]:
    registers: list[Register] = []
    seen: set[str] = set()
    for index, register in source.each(Register):
        what = _contradictions(register)
        if register.name in seen:
            what.append(f"{register.name!r} is used twice")
        seen.add(register.name)
        for fault in what:
            source.fault(f"{register.name}: {fault}", index)
        registers.append(register)
    return registers


def _contradictions(register: Register) -> list[str]:
    """Keys that are well formed each, and make no sense together."""
    checks = {
        "address: the value runs beyond the last register": register.end > LARGEST_ADDRESS + 1,
        "min: is above max": register.min is not None
        and register.max is not None
        and register.min > register.max,
        "bit: and states exclude each other": register.bit is not None and bool(register.states),
        "bit: needs type u16": register.bit is not None and register.type != "u16",
        "states: need type u16": bool(register.states) and register.type != "u16",
        "mask: means something with states only": register.mask != 0xFFFF and not register.states,
        "digits: needs type bcd": register.digits is not None and register.type != "bcd",
        "scale: is no number": not _is_number(register.scale),
        "states: keys are integers, such as 0x55": not _all_integers(register.states),
    }
    return [fault for fault, is_so in checks.items() if is_so]


def _is_number(scale: float | str) -> bool:
    try:
        return Fraction(str(scale)) != 0
    except (ValueError, ZeroDivisionError):
        return False


def _all_integers(states: Mapping[str, str]) -> bool:
    try:
        return all(int(key, 0) >= 0 for key in states)
    except ValueError:
        return False
