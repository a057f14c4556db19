"""What a maker put into the status word. Data, not code; TOML files in `profiles/cjt188/`.

    [profile]
    title = "King Da water meter"

    [[bit]]
    name = "magnet"               # SenML name; also of the fault, if the bit is an alarm
    byte = 1                      # of the status word, 0 or 1 in the order of the wire
    bit = 3                       # 0 is the lowest
    alarm = true                  # told as a fault when it comes and when it is over; true

D0 to D2 of byte 0 are the standard's, and no profile can give them another meaning.
"""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec

from gateway import resources
from gateway.errors import SettingsError
from gateway.settings import read_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drivers.cjt188.wire import Status

T = TypeVar("T", bound=msgspec.Struct)

SenmlName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9:./_-]{0,63}\Z")]

# What the driver itself tells, as measurement or fault.
OWN_NAMES = frozenset(
    {
        "battery_low",
        "clock",
        "valve",
        "valve_fault",
        "volume",
        "volume_month",
        "volume_settled",
        "withheld",
    }
)
_STANDARD_BITS = range(3)  # of byte 0


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[profile]`."""

    title: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class Bit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[[bit]]`: one bit of the status word."""

    name: SenmlName
    byte: Annotated[int, msgspec.Meta(ge=0, le=1)]
    bit: Annotated[int, msgspec.Meta(ge=0, le=7)]
    alarm: bool = True

    def read(self, status: Status) -> bool:
        """Whether it is set."""
        return status.bit(self.byte, self.bit)


class Profile(msgspec.Struct, frozen=True):
    """The status word of one maker's meters."""

    name: str
    title: str
    bits: tuple[Bit, ...]


NO_PROFILE = Profile("", "", ())


def load_profile(name: str) -> Profile:
    """The profile of this name, none for ""; SettingsError with every fault of it."""
    if not name:
        return NO_PROFILE
    path = resources.find(f"profiles/cjt188/{name}.toml")
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([f"{path}: cannot be read: {error}"]) from error
    return parse_profile(text, name, str(path))


def parse_profile(text: str, name: str, file: str) -> Profile:
    """A profile from its text; `file` is its name in messages. SettingsError with every fault."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError([f"{file}: not TOML: {error}"]) from error
    faults = [f"{file}: {key}: unknown section" for key in tables.keys() - {"profile", "bit"}]
    head = _read(tables.get("profile", {}), Head, f"{file}:profile", faults, text)
    items = tables.get("bit", [])
    if not items or not isinstance(items, list):
        faults.append(f"{file}: bit: at least one [[bit]] is needed")
    bits = _read_bits(items if isinstance(items, list) else [], file, faults, text)
    if faults or head is None:
        raise SettingsError(faults)
    return Profile(name, head.title, tuple(bits))


def _read_bits(items: Sequence[Any], file: str, faults: list[str], text: str) -> list[Bit]:
    bits: list[Bit] = []
    for index, item in enumerate(items):
        bit = _read(item, Bit, f"{file}:bit[{index}]", faults, text)
        if bit is not None:
            faults += [f"{file}: bit[{index}] {bit.name}: {fault}" for fault in _wrong(bit, bits)]
            bits.append(bit)
    return bits


def _read(table: Any, into: type[T], place: str, faults: list[str], text: str) -> T | None:
    if not isinstance(table, dict):
        file, _, section = place.rpartition(":")
        faults.append(f"{file}: {section}: must be a table")
        return None
    return read_table(table, into, place, faults, source=text)


def _wrong(bit: Bit, before: Sequence[Bit]) -> list[str]:
    """What is well formed and makes no sense, alone or beside the bits before."""
    checks = {
        "the driver tells something else under this name": bit.name in OWN_NAMES,
        "the name is used twice": bit.name in {other.name for other in before},
        "this bit has a name": (bit.byte, bit.bit) in {(it.byte, it.bit) for it in before},
        "this bit is the standard's": bit.byte == 0 and bit.bit in _STANDARD_BITS,
    }
    return [fault for fault, is_so in checks.items() if is_so]
