"""Register maps: what a maker put where. Data, not code; TOML files in `profiles/modbus/`.

    [profile]
    title = "Xintai water meter"
    function = 3                  # 1 coils, 2 inputs, 3 holding registers, 4 input registers
    line = "9600 8N1"             # how the meter leaves the factory; a hint when it is silent
    join = 18                     # this many places outside the map may be read along, if that
                                  # saves a request; 0 unless the meter is known to allow it
    write = "multiple"            # or "single": functions 15 and 16 alone, or 5 and 6 alone; not
                                  # needed for a device that knows all four
    [[register]]
    name = "volume"               # SenML name
    address = 0x0001              # on the wire, counted from 0
    function = 4                  # if not that of the profile
    type = "f32"                  # u16 s16 u32 s32 f32 u64 bcd; bit, with functions 1 and 2
    order = "dcba"                # see values.py
    scale = "1/3600"              # of the number in the meter, a number or a fraction; 1
    unit = "m3/s"                 # SenML unit
    min = 0                       # beyond these, after scaling, a value is absurd and is withheld
    max = 0.1
    invalid = [0xFFFFFFFF]        # raw values that mean "no reading"
    writable = true               # the device takes it, if the settings permit; functions 1 and 3

Some values are no numbers. `type = "bit"`, and `bit = 3` of a register, make a truth value;
`invert = true` turns it round, `alarm = true` makes it a fault while it is true, and
`detects = "smoke"` (heat, gas, water, detector) an alarm to people. `states` makes
words of what is left under `mask`: `{ 0x55 = "empty", 0xAA = "full" }`, and a value it does not
name is withheld. `type = "bcd"` with `digits = 8` is a text of digits, a serial number.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from drivers.bus.line import LineText  # noqa: TC001 - msgspec reads the annotations
from drivers.modbus import wire
from drivers.modbus.block import Block, blocks
from drivers.modbus.contradictions import contradictions
from drivers.modbus.register import Register
from drivers.profile import ProfileFile, read_profile
from gateway.errors import SettingsError

Write = Literal["single", "multiple"]

_MOST_VALUES = 60  # an event takes 64 measurements


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[profile]`: what holds for the whole device."""

    title: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    function: wire.ReadFunction = wire.READ_HOLDING
    line: LineText = ""
    join: Annotated[int, msgspec.Meta(ge=0, le=wire.MOST[wire.READ_HOLDING])] = 0
    write: Write | None = None


class Profile(msgspec.Struct, frozen=True):
    """One register map."""

    name: str
    head: Head
    registers: tuple[Register, ...]

    def blocks(self) -> list[Block]:
        """The fewest requests that read everything, in order of function and address."""
        return blocks(self.registers, self.head.join)

    def writable(self) -> dict[str, Register]:
        """What the device takes, by name."""
        return {it.name: it for it in self.registers if it.writable}


def load_profile(name: str) -> Profile:
    """The register map of this name; SettingsError with every fault if it is missing or faulty."""
    text, file = read_profile("modbus", name)
    return parse_profile(text, name, file)


def parse_profile(text: str, name: str, file: str) -> Profile:
    """A register map from its text; `file` is its name in messages."""
    source = ProfileFile(text, file, "register")
    head = source.head(Head)
    registers = _read_registers(source, head)
    if len(source.items) > _MOST_VALUES:
        source.fault(f"{len(source.items)} values; {_MOST_VALUES} is the most")
    if source.faults or head is None:
        raise SettingsError(source.faults)
    return Profile(name, head, tuple(registers))


def _read_registers(source: ProfileFile, head: Head | None) -> list[Register]:
    registers: list[Register] = []
    seen: set[str] = set()
    for index, item in source.each(Register):
        register = item
        if head and item.function is None:
            register = msgspec.structs.replace(item, function=head.function)
        what = contradictions(register)
        if register.name in seen:
            what.append(f"{register.name!r} is used twice")
        if head and head.write == "single" and register.writable and register.width > 1:
            what.append('writable: write = "single" takes values of one register only')
        seen.add(register.name)
        for fault in what:
            source.fault(f"{register.name}: {fault}", index)
        registers.append(register)
    return registers
