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

from typing import TYPE_CHECKING, Annotated

import msgspec

from drivers.profile import ProfileFile, read_profile
from gateway.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drivers.cjt188.wire import Status


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
    text, file = read_profile("cjt188", name)
    return parse_profile(text, name, file)


def parse_profile(text: str, name: str, file: str) -> Profile:
    """A profile from its text; `file` is its name in messages. SettingsError with every fault."""
    source = ProfileFile(text, file, "bit")
    head = source.head(Head)
    bits: list[Bit] = []
    for index, bit in source.each(Bit):
        for fault in _wrong(bit, bits):
            source.fault(f"{bit.name}: {fault}", index)
        bits.append(bit)
    if source.faults or head is None:
        raise SettingsError(source.faults)
    return Profile(name, head.title, tuple(bits))


def _wrong(bit: Bit, before: Sequence[Bit]) -> list[str]:
    """What is well formed and makes no sense, alone or beside the bits before."""
    checks = {
        "the driver tells something else under this name": bit.name in OWN_NAMES,
        "the name is used twice": bit.name in {other.name for other in before},
        "this bit has a name": (bit.byte, bit.bit) in {(it.byte, it.bit) for it in before},
        "this bit is the standard's": bit.byte == 0 and bit.bit in _STANDARD_BITS,
    }
    return [fault for fault, is_so in checks.items() if is_so]
