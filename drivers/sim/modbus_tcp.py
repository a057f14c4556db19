"""Virtual Modbus devices behind a network, as behind a gateway or with a plug of their own.

async with VirtualModbusTcp() as server:
    server.add(VirtualModbusMeter(1, "sdm120"))
    ...                                        # [[bus]] port = server.port
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from drivers.modbus import wire
from drivers.sim.loopback import HOST, free_port
from gateway.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from drivers.sim.meter_modbus import VirtualModbusMeter
    from drivers.sim.wires import Speech

_LENGTH_END = 6  # bytes of a frame up to and with its length


class VirtualModbusTcp:
    """A Modbus TCP server on the loopback, with devices behind it.

    `bend` makes it misbehave: it is given what is to be said, pieces with the pause before each in
    s, and returns what is said instead. A piece without a byte closes the connection.
    """

    def __init__(self) -> None:
        self.bend: Callable[[Speech], Speech] = lambda speech: speech
        self._meters: list[VirtualModbusMeter] = []
        self._server: asyncio.Server | None = None
        self._tcp_port = free_port()
        self._connections: set[asyncio.StreamWriter] = set()

    @property
    def port(self) -> str:
        """What goes into `port` of a `[[bus]]`; the same after the plug was pulled and put back."""
        return f"modbus-tcp://{HOST}:{self._tcp_port}"

    def add(self, meter: VirtualModbusMeter) -> None:
        """Put a device behind it."""
        self._meters.append(meter)

    async def plug_in(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, HOST, self._tcp_port)

    async def unplug(self) -> None:
        """Be gone, with all connections."""
        if self._server:
            self._server.close()
            for connection in self._connections:
                connection.transport.abort()
            await self._server.wait_closed()
            self._server = None

    async def __aenter__(self) -> Self:
        await self.plug_in()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.unplug()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError, DecodeError):
            while True:
                head = await reader.readexactly(_LENGTH_END)
                rest = await reader.readexactly(int.from_bytes(head[-2:], "big"))
                self._hear(head + rest, writer)
        self._connections.discard(writer)
        writer.close()

    def _hear(self, frame: bytes, writer: asyncio.StreamWriter) -> None:
        transaction, request = wire.tcp.decode(frame)
        for meter in self._meters:
            if said := meter.answer(request):
                answer = wire.tcp.frame(request.unit, said, transaction)
                self._say([(0.0, answer)], writer)

    def _say(self, speech: Speech, writer: asyncio.StreamWriter) -> None:
        at_s = 0.0
        for pause_s, piece in self.bend(speech):
            at_s += pause_s
            asyncio.get_running_loop().call_later(at_s, _say, writer, piece)


def _say(writer: asyncio.StreamWriter, piece: bytes) -> None:
    if piece:
        writer.write(piece)
    else:
        writer.close()
