"""The objects of one BTHome message: id u8, then a value whose length follows from the id.

Ids ascend, so that a receiver which does not know one, and therefore not its length either, knows
all that came before it. Two buttons are two objects of the same id; the one that was not pressed
says 0. What was read before something that cannot be read is used all the same: a press is a press.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from drivers.bthome.wire.objects import (
    BATTERY,
    BUTTON,
    COUNTED,
    DIMMER,
    LEFT,
    NUMBERS,
    OTHER_PRESS,
    PACKET_ID,
    PRESSES,
    RIGHT,
    SIZES,
    TRUTHS,
)
from gateway.model import Measurement

if TYPE_CHECKING:
    from collections.abc import Iterator

# Values in one event (config/event.cddl). A real message has a dozen.
MOST_VALUES = 64


class Press(NamedTuple):
    """A button of the device, and how it was pressed; `button` is 0 if there is only one."""

    kind: str
    button: int = 0


class Trouble(NamedTuple):
    """What in a message is not as it should be: a name for it, and the details."""

    fault: str
    what: str


class Payload(msgspec.Struct, frozen=True):
    """What one message says. `steps` is how far a dimmer was turned, to the right if positive."""

    packet_id: int | None = None
    presses: tuple[Press, ...] = ()
    steps: tuple[int, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    trouble: Trouble | None = None


def decode_payload(data: bytes) -> Payload:
    """Everything in these objects that can be read; what cannot is the trouble."""
    reader = _Reader(data)
    objects = list(reader.objects())
    ids = [value[0] for kind, value in objects if kind == PACKET_ID]
    return Payload(
        ids[0] if ids else None,
        _presses([value[0] for kind, value in objects if kind == BUTTON]),
        tuple(filter(None, (_steps(value) for kind, value in objects if kind == DIMMER))),
        tuple(_measurements(objects, reader)),
        reader.trouble,
    )


class _Reader:
    """Takes objects apart; the first trouble is kept."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.trouble: Trouble | None = None

    def doubt(self, fault: str, what: str) -> None:
        self.trouble = self.trouble or Trouble(fault, what)

    def objects(self) -> Iterator[tuple[int, bytes]]:
        """Id and value of each object, up to the first that cannot be read."""
        at, last = 0, 0
        while at < len(self._data):
            kind = self._data[at]
            start, size = self._extent(kind, at + 1)
            if size is None:
                left = len(self._data) - at
                self.doubt("unknown_object", f"object {kind:02x} is unknown, {left} bytes left out")
                return
            at = start + size
            if at > len(self._data):
                self.doubt("malformed", f"object {kind:02x} is cut short")
                return
            if kind < last:
                self.doubt("malformed", f"object {kind:02x} comes after {last:02x}")
            last = kind
            yield kind, self._data[start:at]

    def _extent(self, kind: int, at: int) -> tuple[int, int | None]:
        """Where the value of an object begins, and how long it is if that is known."""
        if kind in COUNTED:
            return at + 1, self._data[at] if at < len(self._data) else 0
        return at, SIZES.get(kind)


def _presses(codes: list[int]) -> tuple[Press, ...]:
    several = len(codes) > 1
    return tuple(
        Press(PRESSES.get(code, OTHER_PRESS), number if several else 0)
        for number, code in enumerate(codes, 1)
        if code
    )


def _steps(value: bytes) -> int:
    return {LEFT: -value[1], RIGHT: value[1]}.get(value[0], 0)


def _measurements(objects: list[tuple[int, bytes]], reader: _Reader) -> Iterator[Measurement]:
    """Numbers and truth values; a second one of the same name is `name_2`."""
    seen: Counter[str] = Counter()
    for kind, raw in objects:
        if kind in NUMBERS:
            name, _, unit, per, times, signed = NUMBERS[kind]
            product = int.from_bytes(raw, "little", signed=signed) * times
            value: float | bool = product if per == 1 else product / per
        elif kind in TRUTHS:
            name, unit, value = TRUTHS[kind], "", bool(raw[0])
        else:
            continue
        if kind == BATTERY and value > 100:
            reader.doubt("malformed", f"battery of {value} is outside 0..100")
            continue
        if seen.total() == MOST_VALUES:
            reader.doubt("malformed", f"more than {MOST_VALUES} values")
            return
        seen[name] += 1
        yield Measurement(name if seen[name] == 1 else f"{name}_{seen[name]}", value, unit)
