"""A virtual Modbus RTU device of any profile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.modbus.profile import load_profile
from drivers.modbus.values import encode_value
from drivers.modbus.wire import decode_request, encode_answer, encode_refusal
from drivers.sim.water_flow import WaterFlow
from gateway.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drivers.modbus.profile import Register
    from drivers.modbus.wire import ReadRequest
    from drivers.sim.wires import Speech
    from gateway.model import Scalar

_ILLEGAL_ADDRESS = 2
_SECONDS_PER_HOUR = 3600
# What a healthy meter shows beside the water, under the names our profiles use.
_AT_REST: dict[str, Scalar] = {
    "battery": 3.6,
    "pipe": "full",
    "pressure": 300_000,
    "temperature": 18.5,
    "valve": "open",
}


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
