"""Readings and faults of one band as observations: each thing told once, when it changes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from drivers.fault import Fault
from gateway.model import Kind, Measurement, Observation

if TYPE_CHECKING:
    from drivers.wristband.wearer import Wearer
    from drivers.wristband.wire.reading import Reading
    from gateway.driver import Context
    from gateway.model import Scalar


class Teller:
    """What a session has to say."""

    def __init__(self, context: Context, wearer: Wearer) -> None:
        self._context = context
        self._wearer = wearer
        self._loop = asyncio.get_running_loop()

    def reading(self, reading: Reading) -> None:
        """What was measured, and whether the band is worn if that is new."""
        if reading.contact is not None and reading.contact is not self._wearer.contact:
            self._wearer.contact = reading.contact
            contact = Measurement("contact", reading.contact)
            self._context.emit(Observation(Kind.MEASUREMENT, (contact,)))
        if reading.measurements:
            self._context.emit(
                Observation(Kind.MEASUREMENT, reading.measurements, detail=reading.detail)
            )

    def bad(self, uuid: str, fault: str, what: str) -> None:
        """Something is wrong with a characteristic; told if it was not known."""
        known = self._wearer.faults.setdefault(f"{fault} {uuid}", Fault())
        if known.bad(self._loop.time()):
            self._fault(uuid, fault, {"active": True, "what": what})

    def good(self, uuid: str, fault: str) -> None:
        """It is right now; told if the fault is over with that."""
        known = self._wearer.faults.get(f"{fault} {uuid}")
        if known and known.good(self._loop.time()):
            self._fault(uuid, fault, {"active": False, "count": known.count})

    def _fault(self, uuid: str, fault: str, more: dict[str, Scalar]) -> None:
        detail: dict[str, Scalar] = {"fault": fault, "characteristic": uuid[4:8], **more}
        self._context.emit(Observation(Kind.FAULT, detail=detail))
