"""One address on a bus: it is asked, and what it answers is told from what it refuses."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, ClassVar

from drivers.modbus import wire
from gateway.errors import DecodeError, DeviceRefused, DeviceSilent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drivers.bus.bus import Bus

_BUSY = frozenset({5, 6})
# A gateway answers for a device that does not: there is an answer, and yet it is silence.
_FROM_GATEWAY = frozenset({10, 11})

_PLACES = {1: "coils", 2: "inputs", 3: "registers", 4: "registers"}
_PLACES |= {5: "to write coils", 6: "to write registers"}
_PLACES |= {15: "to write coils", 16: "to write registers"}


class Unit:
    """The conversation with one device; serial or TCP, as its bus is."""

    # One count for all devices of the process, because those behind one TCP connection share it: an
    # id that comes back within the time a late answer takes would undo what it is for.
    _transactions: ClassVar[Iterator[int]] = count(1)

    def __init__(self, number: int, timeout_s: float, factory_line: str = "") -> None:
        """What is known before it is asked.

        Args:
            number: its Modbus address.
            timeout_s: time for an answer to begin.
            factory_line: how it leaves the factory, for a hint while it is silent.
        """
        self.number = number
        self.where = f"unit {number}"
        self._timeout_s = timeout_s
        self._factory_line = factory_line

    async def ask(self, bus: Bus, request: wire.Request) -> wire.Answer:
        """One request, and what comes back, a refusal too.

        Raises:
            DeviceSilent: no answer, or a gateway says that there is none.
            DeviceRefused: it is busy; the same may be answered later.
            DecodeError: bytes came, and no answer was among them.
            LinkLost: the port is gone.
        """
        answer = await self._transact(bus, request)
        if isinstance(answer, wire.Refusal):
            if answer.code in _FROM_GATEWAY:
                raise DeviceSilent(f"the gateway says: {answer}", where=self.where)
            if answer.code in _BUSY:
                raise self.refused(request, answer)
        return answer

    def refused(
        self, request: wire.Request, refusal: wire.Refusal, hint: str = ""
    ) -> DeviceRefused:
        """The error that says what was refused, and how."""
        what = f"refuses {_PLACES[request.function]} {request.address}+{request.count}: {refusal}"
        return DeviceRefused(what, where=self.where, hint=hint)

    async def _transact(self, bus: Bus, request: wire.Request) -> wire.Answer:
        try:
            if bus.framing == "modbus-tcp":
                transaction = next(self._transactions) & wire.tcp.LARGEST_TRANSACTION
                framed = wire.tcp.encode(request, transaction)
                answer = wire.tcp.Answer(request, transaction)
                return await bus.transact(framed, answer, self._timeout_s)
            framed = wire.rtu.encode(request)
            return await bus.transact(framed, wire.rtu.Answer(request), self._timeout_s)
        except DeviceSilent as error:
            hint = error.hint or self._line_hint(bus)
            raise DeviceSilent(error.what, where=self.where, hint=hint) from error
        except DecodeError as error:
            where = error.where or self.where
            raise DecodeError(error.what, where=where, hint=error.hint) from error

    def _line_hint(self, bus: Bus) -> str:
        runs = str(bus.line)
        if bus.framing != "serial" or self._factory_line in {"", runs}:
            return ""
        return f"it leaves the factory with {self._factory_line}, this bus runs {runs}"
