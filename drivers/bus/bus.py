"""The bus, as one of its devices sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeVar

from drivers.bus.line import line_of
from drivers.bus.wires import Wires
from gateway.errors import DriverError

if TYPE_CHECKING:
    from drivers.bus.line import Line
    from drivers.bus.wires import Answer
    from gateway.driver import Context
    from gateway.settings import BusSettings

F_co = TypeVar("F_co", covariant=True)


class Bus:
    """The wires, and how they are run for this device. `transact` is all there is to do with it."""

    def __init__(
        self, settings: BusSettings, *, line: Line | None = None, wires: Wires | None = None
    ) -> None:
        self.settings = settings
        self.line = line or line_of(settings)  # a device's own may differ from the bus's
        self.wires = wires or Wires(settings)

    @property
    def framing(self) -> Literal["serial", "modbus-tcp"]:
        """What frames look like: as on a serial line, or with the head of Modbus TCP."""
        return "modbus-tcp" if self.wires.is_tcp else "serial"

    def at(self, line: Line) -> Bus:
        """The same wires for a device that wants another line.

        Raises:
            DriverError: the port cannot change how it runs.
        """
        if line != self.line and self.settings.port.startswith(("socket://", "modbus-tcp://")):
            hint = "reach it by rfc2217://, if it knows that, or give the device a bus of its own"
            where = f"bus {self.settings.id}"
            what = f"the serial server runs {self.line} and cannot be told {line}"
            raise DriverError(what, where=where, hint=hint)
        return Bus(self.settings, line=line, wires=self.wires)

    async def transact(self, request: bytes, answer: Answer[F_co], timeout_s: float) -> F_co:
        """Send a request when it is its turn, and return the answer.

        Args:
            request: the bytes to send.
            answer: what the bytes that come back are fed to.
            timeout_s: time for the answer to begin; once it has, it gets the time it takes on the
                wire at this baud rate.

        Raises:
            DeviceSilent: not one byte came, or the line has no silent moment to ask in.
            DecodeError: bytes came, and no answer was among them.
            LinkLost: the port is gone, does not open, or cannot run this line.
        """
        return await self.wires.transact(self.line, request, answer, timeout_s)

    async def close(self) -> None:
        """Give the port back. Who waits for an answer gets LinkLost; so does who asks later."""
        await self.wires.close()


def shared_bus(context: Context) -> Bus:
    """The bus that this device and its neighbours share."""
    settings = context.bus
    if settings is None:
        raise DriverError("the device names no bus", where=context.device, hint='add bus = "..."')
    return context.shared(f"bus:{settings.id}", lambda: Bus(settings))
