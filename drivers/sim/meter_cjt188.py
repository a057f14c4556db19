"""What a virtual CJ/T 188 meter says, and how it can be made to misbehave.

    script = Cjt188Script(short=True, orders=("high-first",), months=[120_000, 110_000])
    meter = VirtualCjt188Meter("78330011223344", WaterFlow(), script)
    script.status[1] |= 0x08                       # while it runs: the maker's bit for a magnet

Here also are meters that collide, and one that is in the place of another.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import zip_longest
from typing import TYPE_CHECKING

from drivers.cjt188 import wire
from drivers.sim.water_flow import WaterFlow
from gateway.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from drivers.sim.wires import Speech, VirtualMeter

_PREAMBLE = b"\xfe"
_VALVE_CLOSED_BIT = 0x01
_FAMILIES = {0x90, 0x81, 0xA0, 0xD1, 0xD3, 0xD4}  # high bytes of the identifiers there are


@dataclass
class Cjt188Script:
    """How a meter behaves. Everything can be changed while it runs."""

    orders: Sequence[wire.DiOrder] = wire.DI_ORDERS  # of the identifier; deaf to the other
    valve_orders: Sequence[wire.DiOrder] = ()  # of the valve's, if not as the others
    short: bool = False  # answers 9 bytes
    status: bytearray = field(default_factory=lambda: bytearray(2))
    clock_off: timedelta = timedelta()  # how far its clock is ahead of local time
    months: Sequence[int] = ()  # L on the settlement days, the last month first; refuses beyond
    freezes: Sequence[tuple[datetime, int]] = ()  # time and L, the last one first
    silent_beyond: bool = False  # says nothing where it would refuse
    masks: bool = True  # understands masks, and not only seven AA
    has_valve: bool = True
    valve_stuck: bool = False
    valve_turn_s: float = 0.0


class Cjt188Answers:
    """One meter's side of the conversation; pure but for its clock."""

    def __init__(self, address: bytes, litres: Callable[[], float], script: Cjt188Script) -> None:
        self._address = address
        self._litres = litres
        self._script = script
        self._turning: tuple[float, bool] | None = None  # when the valve gets there, and where

    def answer(self, telegram: bytes) -> wire.Frame | None:
        """What it says to a telegram; None if it is not for this meter, or not understood."""
        try:
            request = wire.decode_frame(telegram.lstrip(_PREAMBLE))
        except DecodeError:
            return None  # another protocol, or damaged: a slave says nothing to that
        if not self._is_meant(request.address):
            return None
        self._turn()
        for order in self._orders(request):
            if found := self._answer(request, wire.decode_di(request.data, order)):
                return found
        return self._refusal(request) if self._understands(request) else None

    def _orders(self, request: wire.Frame) -> Sequence[wire.DiOrder]:
        if request.control == wire.WRITE and self._script.valve_orders:
            return self._script.valve_orders
        return self._script.orders

    def _is_meant(self, asked: bytes) -> bool:
        if self._script.masks:
            return wire.matches(asked, self._address)
        return asked in {self._address, wire.EVERY_METER}

    def _answer(self, request: wire.Frame, identifier: int) -> wire.Frame | None:
        if request.control == wire.READ_ADDRESS and identifier == wire.DI_ADDRESS:
            return wire.encode_address(request, self._address)
        if request.control == wire.READ:
            return self._read(request, identifier)
        if request.control == wire.WRITE and identifier == wire.DI_VALVE:
            return self._command(request)
        return None

    def _read(self, request: wire.Frame, identifier: int) -> wire.Frame | None:
        script = self._script
        month, freeze = identifier - wire.DI_MONTHS, identifier - wire.DI_TIMED_FREEZES
        if identifier == wire.DI_READING:
            return self._reading(request)
        if 0 <= month < min(len(script.months), wire.MONTHS):
            return wire.encode_month(request, self._address, script.months[month])
        if 0 <= freeze < min(len(script.freezes), wire.FREEZES):
            when, litres = script.freezes[freeze]
            return wire.encode_freeze(request, self._address, when, litres, litres_per_hour=0)
        return None

    def _reading(self, request: wire.Frame) -> wire.Frame:
        litres, status = int(self._litres()), bytes(self._script.status)
        if self._script.short:
            return wire.encode_short_reading(request, self._address, litres, status)
        # Meters keep local time.
        now = datetime.now().replace(microsecond=0) + self._script.clock_off
        return wire.encode_reading(request, self._address, litres, now, status)

    def _command(self, request: wire.Frame) -> wire.Frame | None:
        states = {wire.VALVE_OPEN: False, wire.VALVE_CLOSED: True}
        closed = states.get(request.data[-1])
        if closed is None or not self._script.has_valve:
            return None
        if not self._script.valve_stuck:
            self._turning = (time.monotonic() + self._script.valve_turn_s, closed)
        return wire.encode_valve(request, self._address, bytes(self._script.status))

    def _turn(self) -> None:
        """The valve, if it got there meanwhile."""
        if self._turning and time.monotonic() >= self._turning[0]:
            status = self._script.status
            status[0] &= ~_VALVE_CLOSED_BIT
            status[0] |= _VALVE_CLOSED_BIT * self._turning[1]
            self._turning = None

    def _understands(self, request: wire.Frame) -> bool:
        """Whether this is a question it has no answer to, rather than one in the other order."""
        asked = {wire.decode_di(request.data, order) >> 8 for order in self._orders(request)}
        return (
            not self._script.silent_beyond
            and request.control in {wire.READ, wire.WRITE}
            and bool(asked & _FAMILIES)
        )

    def _refusal(self, request: wire.Frame) -> wire.Frame:
        return wire.encode_refusal(request, self._address, bytes(self._script.status))


class VirtualCjt188Meter:
    """A CJ/T 188 cold water meter; `script` is how it behaves."""

    def __init__(
        self, address: str, flow: WaterFlow | None = None, script: Cjt188Script | None = None
    ) -> None:
        self.flow = flow or WaterFlow()
        self.script = script or Cjt188Script()
        self._answers = Cjt188Answers(
            wire.wire_address(address), lambda: self.flow.total_litres, self.script
        )

    def hear(self, telegram: bytes) -> Speech:
        """Its reading, what it kept, or its address to whoever asks all meters for theirs."""
        if answer := self._answers.answer(telegram):
            yield 0.0, wire.encode(answer)


class CollidingMeters:
    """Meters that answer at the same moment, as those on one pair of wires do.

    A byte on which they disagree has a wrong parity or stop bit, and the receiver drops it.
    """

    def __init__(self, meters: Iterable[VirtualMeter]) -> None:
        self.meters = list(meters)

    def hear(self, telegram: bytes) -> Speech:
        """What is left of all their answers."""
        speeches = [b"".join(piece for _, piece in it.hear(telegram)) for it in self.meters]
        spoken = [speech for speech in speeches if speech]
        if not spoken:
            return
        bytes_at_once = zip_longest(*spoken)
        yield 0.0, bytes(at_once[0] for at_once in bytes_at_once if len(set(at_once)) == 1)


class Impostor:
    """A meter in the place of another: it answers to that one's address, under its own."""

    def __init__(self, meter: VirtualMeter, address: str) -> None:
        self._meter = meter
        self._address = wire.wire_address(address)

    def hear(self, telegram: bytes) -> Speech:
        """What the meter says, from the other address."""
        for pause_s, piece in self._meter.hear(telegram):
            said = wire.decode_frame(piece.lstrip(_PREAMBLE))
            frame = wire.Frame(said.meter_type, self._address, said.control, said.data)
            yield pause_s, wire.encode(frame)
