"""Messages of one device as observations: presses, measurements, and faults as they come and go."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from drivers.bthome.memory import Values
from drivers.fault import Fault
from gateway.model import Kind, Measurement, Observation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drivers.bthome.wire.payload import Press, Trouble
    from gateway.driver import Context
    from gateway.model import Scalar


class Teller:
    """What was told, and what is to be told with that."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._values = Values()
        self._faults: dict[str, Fault] = {}

    def measured(self, measurements: Sequence[Measurement]) -> None:
        """Values, as far as they are new."""
        if due := self._values.due(measurements, self._loop.time()):
            self._context.emit(Observation(Kind.MEASUREMENT, due))

    def happened(self, presses: Sequence[Press], steps: Sequence[int]) -> None:
        """Presses that are no calls, and turns of a dimmer."""
        told = [
            Measurement(f"button_{it.button}" if it.button else "button", it.kind) for it in presses
        ]
        told += [Measurement("dimmer", count) for count in steps]
        for measurement in told:
            self._context.emit(Observation(Kind.MEASUREMENT, (measurement,)))

    def bad(self, trouble: Trouble) -> None:
        """A message is not as it should be; told if that was not known."""
        known = self._faults.setdefault(trouble.fault, Fault())
        if known.bad(self._loop.time()):
            self._fault(trouble.fault, {"active": True, "what": trouble.what})

    def good(self) -> None:
        """A message is as it should be; told of every fault that is over with that."""
        for fault, known in self._faults.items():
            if known.good(self._loop.time()):
                self._fault(fault, {"active": False, "count": known.count})

    def _fault(self, fault: str, more: dict[str, Scalar]) -> None:
        self._context.emit(Observation(Kind.FAULT, detail={"fault": fault, **more}))
