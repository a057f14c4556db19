"""Virtual water meters behind a virtual serial port, for the demo, the tests and training.

    with VirtualBus() as bus:                      # within a running event loop
        bus.add(VirtualModbusMeter(7, "xintai", WaterFlow(litres_per_hour=120)))
        bus.add(VirtualCjt188Meter("78330011223344"))
        ...                                        # [[bus]] port = bus.port

Every meter hears every telegram and answers those that are for it, as on a real pair of wires.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Protocol

from drivers.cjt188 import wire as cjt188
from drivers.modbus.profile import load_profile
from drivers.modbus.values import encode_value
from drivers.modbus.wire import decode_request, encode_answer, encode_refusal
from drivers.sim.meter_cjt188 import Cjt188Answers, Cjt188Script
from drivers.sim.serial_port import VirtualPort
from gateway.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType
    from typing import Self

    from drivers.modbus.profile import Register
    from drivers.modbus.wire import ReadRequest
    from gateway.model import Scalar

    # What a meter says to a telegram: pieces, each with the pause before it in s.
    Speech = Iterable[tuple[float, bytes]]

# A telegram ends when the line falls silent. The master writes one in a single call, so anything
# above the scheduling of a busy machine will do, and below the shortest time-out in use.
TELEGRAM_END_S = 0.003

_ILLEGAL_ADDRESS = 2
# What a healthy meter shows beside the water, under the names our profiles use.
_AT_REST: dict[str, Scalar] = {
    "battery": 3.6,
    "pipe": "full",
    "pressure": 300_000,
    "temperature": 18.5,
    "valve": "open",
}
_SECONDS_PER_HOUR = 3600


class VirtualMeter(Protocol):
    """A meter: pure but for its clock."""

    def hear(self, telegram: bytes) -> Speech:
        """What it says to a telegram on its line; nothing if it is not for this meter."""
        ...


class VirtualBus:
    """A pair of wires with meters on it, behind a port that others can open."""

    def __init__(self) -> None:
        self._port = VirtualPort(self._heard)
        self._meters: list[VirtualMeter] = []
        self._telegram = bytearray()
        self._end: asyncio.TimerHandle | None = None

    @property
    def port(self) -> str:
        """Path of the port; the same after the adapter was pulled and put back."""
        return self._port.path

    def add(self, meter: VirtualMeter) -> None:
        """Hang a meter on the wires."""
        self._meters.append(meter)

    def unplug(self) -> None:
        """Pull the adapter out."""
        self._port.unplug()

    def plug_in(self) -> None:
        """Put the adapter back."""
        self._port.plug_in()

    def __enter__(self) -> Self:
        self._port.plug_in()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._end:
            self._end.cancel()
        self._port.close()

    def _heard(self, data: bytes) -> None:
        self._telegram += data
        if self._end:
            self._end.cancel()
        self._end = asyncio.get_running_loop().call_later(TELEGRAM_END_S, self._deliver)

    def _deliver(self) -> None:
        telegram = bytes(self._telegram)
        self._telegram.clear()
        for meter in self._meters:
            at_s = 0.0
            for pause_s, piece in meter.hear(telegram):
                at_s += pause_s
                asyncio.get_running_loop().call_later(at_s, self._port.write, piece)


class WaterFlow:
    """Water that runs: so many litres an hour since it was last changed, on top of the total."""

    def __init__(
        self,
        litres_per_hour: float = 0.0,
        total_litres: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._since = clock()
        self._total_litres = total_litres
        self._litres_per_hour = litres_per_hour

    @property
    def litres_per_hour(self) -> float:
        """How fast the water runs now."""
        return self._litres_per_hour

    @litres_per_hour.setter
    def litres_per_hour(self, rate: float) -> None:
        self._total_litres, self._since = self.total_litres, self._clock()
        self._litres_per_hour = rate

    @property
    def total_litres(self) -> float:
        """What the counter shows."""
        hours = (self._clock() - self._since) / _SECONDS_PER_HOUR
        return self._total_litres + self._litres_per_hour * hours


class VirtualModbusMeter:
    """A Modbus RTU meter of any profile; `values` holds what it shows beside the water."""

    def __init__(
        self,
        unit: int,
        profile: str = "xintai",
        flow: WaterFlow | None = None,
        values: Mapping[str, Scalar] | None = None,
    ) -> None:
        self.unit = unit
        self.flow = flow or WaterFlow()
        self.values: dict[str, Scalar] = {**_AT_REST, **(values or {})}
        self._profile = load_profile(profile)

    def hear(self, telegram: bytes) -> Speech:
        """The registers it is asked for, or a refusal if it has no such registers."""
        try:
            request = decode_request(telegram)
        except DecodeError:
            return  # another protocol, or damaged: a slave says nothing to that
        if request.unit == self.unit and request.function == self._profile.line.function:
            yield 0.0, self._answer(request)

    def _answer(self, request: ReadRequest) -> bytes:
        registers = self._registers()
        first = min(r.address for r in self._profile.registers)
        end = max(r.end for r in self._profile.registers)
        if request.address < first or request.address + request.count > end:
            return encode_refusal(request, _ILLEGAL_ADDRESS)
        wanted = range(request.address, request.address + request.count)
        words = [registers.get(address, 0).to_bytes(2, "big") for address in wanted]
        return encode_answer(request, b"".join(words))

    def _registers(self) -> dict[int, int]:
        """Address and word of all registers; flags that share one are laid over each other."""
        words: dict[int, int] = {}
        for register in self._profile.registers:
            data = self._encoded(register)
            for index in range(register.width):
                word = int.from_bytes(data[2 * index : 2 * index + 2], "big")
                address = register.address + index
                words[address] = words.get(address, 0) | word
        return words

    def _encoded(self, register: Register) -> bytes:
        value = self._value_of(register.name)
        if register.bit is not None:
            number: float = bool(value) << register.bit
        elif register.states:
            number = {word: key for key, word in register.words.items()}.get(str(value), 0)
        elif register.digits:
            number = int(value)
        else:
            number = float(value) / float(register.factor)
        return encode_value(number, register.type, register.order, register.width)

    def _value_of(self, name: str) -> Scalar:
        if name == "volume":
            return self.flow.total_litres / 1000
        if name == "flow":
            return self.flow.litres_per_hour / 1000 / _SECONDS_PER_HOUR
        return self.values.get(name, 0)


class VirtualCjt188Meter:
    """A CJ/T 188 cold water meter; `script` is how it behaves."""

    def __init__(
        self, address: str, flow: WaterFlow | None = None, script: Cjt188Script | None = None
    ) -> None:
        self.flow = flow or WaterFlow()
        self.script = script or Cjt188Script()
        self._answers = Cjt188Answers(
            cjt188.wire_address(address), lambda: self.flow.total_litres, self.script
        )

    def hear(self, telegram: bytes) -> Speech:
        """Its reading, what it kept, or its address to whoever asks all meters for theirs."""
        if answer := self._answers.answer(telegram):
            yield 0.0, cjt188.encode(answer)
