"""Tells a device new values: by name, only those that the installer permits, and reads them back.

Every value is absolute, a coil is on and a register is 5, never "one more". So to say the same
twice does no harm, and a request whose answer is lost is sent again like a reading. A yes is not
believed: on an adapter that hears itself it may be the request. What counts is what is read back.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from drivers.modbus import wire
from drivers.modbus.block import Block, blocks
from gateway.errors import DecodeError, DeviceRefused, DeviceSilent, DriverError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from drivers.bus.bus import Bus
    from drivers.modbus.profile import Profile
    from drivers.modbus.unit import Unit
    from gateway.model import Scalar

# A device may say yes before it has done it: relays are moved by its next turn, and settings go to
# an EEPROM, which takes 5 ms a byte.
SETTLE_S = 1.0
LOOK_S = 0.1  # between two looks meanwhile

_MOST = {1: wire.MOST[wire.WRITE_COILS], 3: wire.MOST[wire.WRITE_REGISTERS]}


class Order(msgspec.Struct, frozen=True):
    """Neighbouring values, and the request that tells the device."""

    block: Block
    request: wire.WriteRequest


class Writer:
    """What may be written to one device, and how that is done."""

    def __init__(self, unit: Unit, profile: Profile, permitted: Iterable[str], tries: int) -> None:
        self._unit = unit
        self._profile = profile
        self._permitted = frozenset(permitted)
        self._tries = tries

    async def write(self, bus: Bus, values: Mapping[str, Scalar]) -> None:
        """As `ModbusDriver.write`."""
        for order in self._orders(values):
            lost = await self._send(bus, order)
            await self._await(bus, order, lost)

    def _orders(self, values: Mapping[str, Scalar]) -> list[Order]:
        """What is to be sent, in order of address; DriverError if any of it must not be."""
        encoded = {name: self._encode(name, value) for name, value in values.items()}
        registers = [it for it in self._profile.registers if it.name in values]
        most = dict.fromkeys(_MOST, 1) if self._profile.head.write == "single" else _MOST
        groups = blocks(registers, most=most)
        return [self._order(group, encoded) for group in groups]

    def _encode(self, name: str, value: Scalar) -> bytes:
        register = self._profile.writable().get(name)
        if register is None:
            hint = "writable = true in the profile marks what a device takes"
            raise DriverError(f"there is no {name} to write", where=self._unit.where, hint=hint)
        if name not in self._permitted:
            hint = f'writable = ["{name}"] in this [[device]] permits it'
            raise DriverError(f"{name} is not to be written", where=self._unit.where, hint=hint)
        try:
            return register.encode(value)
        except DecodeError as error:
            raise DriverError(f"{name}: {error}", where=self._unit.where) from error

    def _order(self, block: Block, encoded: Mapping[str, bytes]) -> Order:
        if sum(it.width for it in block.registers) != block.count:
            names = ", ".join(it.name for it in block.registers)
            raise DriverError(f"{names} lie over each other", where=self._unit.where)
        data = b"".join(encoded[it.name] for it in block.registers)
        if block.function == wire.READ_COILS:
            data = wire.pack_bits([bool(bit) for bit in data])
        function = self._function(block)
        request = wire.WriteRequest(self._unit.number, function, block.address, block.count, data)
        return Order(block, request)

    def _function(self, block: Block) -> wire.WriteFunction:
        is_one = block.count == 1 and self._profile.head.write != "multiple"
        if block.function == wire.READ_COILS:
            return wire.WRITE_COIL if is_one else wire.WRITE_COILS
        return wire.WRITE_REGISTER if is_one else wire.WRITE_REGISTERS

    async def _send(self, bus: Bus, order: Order) -> DecodeError | DriverError | None:
        """Tell the device; what is wrong if it gave no answer. DeviceRefused if that was no."""
        try:
            answer = await self._ask(bus, order.request)
        except (DeviceSilent, DeviceRefused, DecodeError) as error:
            return error  # a lost answer says nothing about the value; reading it back does
        if isinstance(answer, wire.Refusal):
            raise self._unit.refused(order.request, answer)
        return None

    async def _await(self, bus: Bus, order: Order, lost: DecodeError | DriverError | None) -> None:
        """Look until the values are what they should be; what is wrong if they do not get there."""
        clock = asyncio.get_running_loop().time
        until = clock() + SETTLE_S
        while True:
            seen = await self._look(bus, order)
            if _same(order, seen):
                return
            if clock() >= until:
                break
            await asyncio.sleep(LOOK_S)
        raise lost or self._unchanged(order, seen)

    async def _look(self, bus: Bus, order: Order) -> bytes:
        request = order.block.request(self._unit.number)
        answer = await self._ask(bus, request)
        if isinstance(answer, wire.Refusal):
            raise self._unit.refused(request, answer, "it cannot be read back")
        return answer.data if isinstance(answer, wire.Values) else b""

    async def _ask(self, bus: Bus, request: wire.Request) -> wire.Answer:
        for _ in range(self._tries - 1):
            try:
                return await self._unit.ask(bus, request)
            except (DeviceSilent, DeviceRefused, DecodeError):
                continue
        return await self._unit.ask(bus, request)

    def _unchanged(self, order: Order, seen: bytes) -> DeviceRefused:
        told, withheld = order.block.read(seen)
        words = [f"{it.name} is {it.value!r}" for it in told] + [
            f"{name} is not told: {why}" for name, why in withheld.items()
        ]
        what = f"said yes, and after {SETTLE_S:g} s {', '.join(words)}"
        return DeviceRefused(what, where=self._unit.where)


def _same(order: Order, seen: bytes) -> bool:
    count, told = order.request.count, order.request.data
    if order.block.function == wire.READ_COILS:  # the bits after the last one are anything
        return wire.unpack_bits(seen, count) == wire.unpack_bits(told, count)
    return seen == told
