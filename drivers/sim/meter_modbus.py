"""A virtual Modbus device of any profile, and how it can be made to misbehave.

script = ModbusScript(most=8, missing={"pressure"})
meter = VirtualModbusMeter(1, "bove", WaterFlow(), script=script)
meter.values["battery_low"] = True             # while it runs
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from drivers.modbus import wire
from drivers.modbus.profile import load_profile
from drivers.modbus.values import encode_value
from drivers.sim.water_flow import WaterFlow
from gateway.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drivers.modbus.register import Register
    from drivers.sim.wires import Speech
    from gateway.model import Scalar

_ILLEGAL_FUNCTION, _ILLEGAL_ADDRESS, _ILLEGAL_VALUE = 1, 2, 3
_SECONDS_PER_HOUR = 3600
# What a function that writes writes to: the function that reads it back.
_READS: dict[int, int] = {
    wire.WRITE_COIL: wire.READ_COILS,
    wire.WRITE_COILS: wire.READ_COILS,
    wire.WRITE_REGISTER: wire.READ_HOLDING,
    wire.WRITE_REGISTERS: wire.READ_HOLDING,
}
# What a healthy meter shows beside the water, under the names our profiles use.
_AT_REST: dict[str, Scalar] = {
    "battery": 3.6,
    "current": 1.5,
    "distance": 0.5,
    "frequency": 50,
    "pipe": "full",
    "power": 345,
    "pressure": 300_000,
    "temperature": 18.5,
    "valve": "open",
    "voltage": 230,
}


@dataclass
class ModbusScript:
    """How a device behaves. Everything can be changed while it runs."""

    most: int = wire.MOST[wire.READ_COILS]  # places in one request; it refuses more
    gaps: bool = True  # whether places between its values may be read along
    missing: set[str] = field(default_factory=set)  # values that this model does not have
    refusals: list[int] = field(default_factory=list)  # codes that refuse its next requests
    functions: frozenset[int] = frozenset(wire.MOST)  # those it knows
    stuck: bool = False  # says yes to what it is told, and does nothing


class VirtualModbusMeter:
    """A Modbus device of any profile; `values` holds what it shows beside the water."""

    def __init__(
        self,
        unit: int,
        profile: str = "xintai",
        flow: WaterFlow | None = None,
        values: Mapping[str, Scalar] | None = None,
        script: ModbusScript | None = None,
    ) -> None:
        self.unit = unit
        self.flow = flow or WaterFlow()
        self.values: dict[str, Scalar] = {**_AT_REST, **(values or {})}
        self.script = script or ModbusScript()
        self._registers = load_profile(profile).registers
        self._areas = {it.area for it in self._registers}

    def hear(self, telegram: bytes) -> Speech:
        """What it says to a telegram on its line, if that is for it."""
        try:
            request = wire.rtu.decode(telegram)
        except DecodeError:
            return  # another protocol, or damaged: a slave says nothing to that
        if said := self.answer(request):
            yield 0.0, wire.rtu.frame(self.unit, said)

    def answer(self, request: wire.Request) -> bytes | None:
        """What it says to a request, without a frame; None if that is not for it."""
        area = _READS.get(request.function, request.function)
        if request.unit != self.unit or area not in self._areas:
            return None
        code = self._refusal(request)
        if code is None and isinstance(request, wire.WriteRequest):
            code = self._write(request)
        if code is not None:
            return wire.encode_refusal(request, code)
        if isinstance(request, wire.ReadRequest):
            return wire.encode_answer(request, self._read(request))
        return wire.encode_answer(request)

    def _refusal(self, request: wire.Request) -> int | None:
        """The code with which it refuses, if it does."""
        if self.script.refusals:
            return self.script.refusals.pop(0)
        if request.function not in self.script.functions:
            return _ILLEGAL_FUNCTION
        if request.count > self.script.most:
            return _ILLEGAL_VALUE
        area = _READS.get(request.function, request.function)
        here = [it for it in self._registers if it.area == area]
        absent = {a for it in here if it.name in self.script.missing for a in _addresses(it)}
        mapped = {a for it in here for a in _addresses(it)}
        readable = {*range(min(mapped), max(mapped) + 1)} if self.script.gaps else mapped
        wanted = {*range(request.address, request.address + request.count)}
        return None if wanted <= readable - absent else _ILLEGAL_ADDRESS

    def _read(self, request: wire.ReadRequest) -> bytes:
        places = self._places(request.function)
        wanted = range(request.address, request.address + request.count)
        if request.function in wire.BIT_FUNCTIONS:
            return wire.pack_bits([bool(places.get(address)) for address in wanted])
        return b"".join(places.get(address, 0).to_bytes(2, "big") for address in wanted)

    def _places(self, function: int) -> dict[int, int]:
        """Address and content of all places; flags that share one are laid over each other."""
        places: dict[int, int] = {}
        for register in self._registers:
            if register.area != function:
                continue
            data = self._encoded(register)
            size = len(data) // register.width
            for index, address in enumerate(_addresses(register)):
                content = int.from_bytes(data[size * index : size * (index + 1)], "big")
                places[address] = places.get(address, 0) | content
        return places

    def _encoded(self, register: Register) -> bytes:
        value = self._value_of(register.name)
        if register.is_bit:
            number: float = (bool(value) != register.invert) << (register.bit or 0)
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

    def _write(self, request: wire.WriteRequest) -> int | None:
        """Take new values; the code of the refusal if it cannot."""
        area = _READS[request.function]
        end = request.address + request.count
        meant = [
            it
            for it in self._registers
            if it.writable and it.area == area and request.address <= it.address and it.end <= end
        ]
        if sum(it.width for it in meant) != request.count:
            return _ILLEGAL_ADDRESS
        data, size = request.data, 2
        if area == wire.READ_COILS:
            data, size = bytes(wire.unpack_bits(data, request.count)), 1
        try:
            taken = {
                it.name: it.read(data[size * (it.address - request.address) :][: size * it.width])
                for it in meant
            }
        except DecodeError:
            return _ILLEGAL_VALUE
        if not self.script.stuck:
            self.values |= taken
        return None


def _addresses(register: Register) -> range:
    return range(register.address, register.end)
