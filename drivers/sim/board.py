"""A virtual GPIO board on a Unix socket: buttons to press, and lights to look at.

    async with VirtualBoard("/tmp/x/board.sock") as board:
        button = board.button(17, light=27)      # chip = "sim:/tmp/x/board.sock", offset = 17
        await button.press()
        await button.wait_light(on=True)

The board plays the kernel: it holds the level of every wire whether anybody watches or not, gives a
line to one client at a time, numbers and stamps its edges, and turns levels into active or not as
the client asked. It does not debounce, like a chip that cannot, so every bounce reaches the driver.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from drivers.sim.board_messages import (
    Drive,
    Granted,
    Pulse,
    Refused,
    Request,
    encode,
    read_by_board,
)
from drivers.sim.board_wire import VirtualButton, VirtualWire

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self


class VirtualBoard:
    """Serves its wires on a Unix socket; survives every client."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._wires: dict[int, VirtualWire] = {}
        self._buttons: dict[int, VirtualButton] = {}
        self._clients: set[_Client] = set()
        self._server: asyncio.Server | None = None

    def wire(self, offset: int, *, level: bool = False) -> VirtualWire:
        """The wire of a line, such as of a lamp; made, at this level, if there is none yet."""
        return self._wires.setdefault(offset, VirtualWire(offset, level=level))

    def button(
        self,
        offset: int,
        *,
        light: int | None = None,
        nc: int | None = None,
        active_low: bool = True,
    ) -> VirtualButton:
        """The button on a line, wired to ground if `active_low`; made if there is none yet.

        Args:
            offset: line of its contact that closes when it is pressed.
            light: line of its light.
            nc: line of its contact that opens when it is pressed.
            active_low: whether it is wired to ground, or to supply.
        """
        if offset not in self._buttons:
            self._buttons[offset] = VirtualButton(
                self.wire(offset, level=active_low),
                None if nc is None else self.wire(nc, level=not active_low),
                None if light is None else self.wire(light),
                active_low=active_low,
            )
        return self._buttons[offset]

    async def plug(self) -> None:
        """The board appears, with its wires as they are."""
        self.path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, self.path)

    async def unplug(self) -> None:
        """The board disappears under its clients."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        self.path.unlink(missing_ok=True)
        serving = [client.hang_up() for client in self._clients]
        await asyncio.gather(*serving)

    async def __aenter__(self) -> Self:
        await self.plug()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.unplug()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = _Client(reader, writer, self._wires)
        self._clients.add(client)
        try:
            await client.serve()
        finally:
            self._clients.discard(client)
            client.gone.set()


class _Client:
    """One process that holds lines of the board."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        wires: dict[int, VirtualWire],
    ) -> None:
        self.gone = asyncio.Event()
        self._reader = reader
        self._writer = writer
        self._wires = wires
        self._outputs: dict[int, VirtualWire] = {}

    async def serve(self) -> None:
        """The whole conversation; a client that talks nonsense or vanishes ends it."""
        try:
            request = read_by_board(await self._reader.readline())
            if isinstance(request, Request):
                await self._serve_lines(request)
        except (msgspec.DecodeError, ConnectionError):
            return
        finally:
            self._writer.close()

    async def hang_up(self) -> None:
        """Close on the client and wait until it is gone."""
        self._writer.transport.abort()
        await self.gone.wait()

    async def _serve_lines(self, request: Request) -> None:
        wanted = [*request.inputs, *request.outputs]
        wires = [self._wires.get(line.offset) for line in wanted]
        held = [wire for wire in wires if wire is not None]
        if len(held) < len(wires):
            self._send(Refused("no such line"))
            return
        if not all(wire.free for wire in held):
            self._send(Refused("line is busy"))
            return
        try:
            for line, wire in zip(wanted, held, strict=True):
                send = self._send if line in request.inputs else None
                wire.take(send, active_low=line.active_low)
            self._outputs = {wire.offset: wire for wire in held[len(request.inputs) :]}
            self._all_off()
            self._send(Granted([wire.active for wire in held[: len(request.inputs)]]))
            await self._obey()
        finally:
            self._all_off()
            for wire in held:
                wire.give_back()

    async def _obey(self) -> None:
        while line := await self._reader.readline():
            message = read_by_board(line)
            if isinstance(message, Drive) and message.offset in self._outputs:
                self._outputs[message.offset].drive(on=message.on)

    def _all_off(self) -> None:
        for wire in self._outputs.values():
            wire.drive(on=False)

    def _send(self, message: Granted | Refused | Pulse) -> None:
        self._writer.write(encode(message))
