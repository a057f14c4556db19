"""A virtual GPIO board on a Unix socket: buttons to press, and lights to look at.

    async with VirtualBoard("/tmp/x/line.sock") as board:
        button = board.button(17, light=27)      # chip = "sim:/tmp/x/line.sock", offset = 17
        await button.press()
        await button.wait_light(on=True)

The board plays the kernel: it holds the level of every wire whether anybody watches or not, gives a
line to one client at a time, numbers and stamps its edges, and turns levels into active or not as
the client asked. It does not debounce, like a chip that cannot, so every bounce reaches the driver.

The conversation is one JSON object a line: the client says Request, then Light whenever it wants;
the board answers Granted or Refused, then sends Pulse for every edge.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from drivers.button.wire import Edge
from gateway.errors import LinkLost

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from drivers.button.settings import ButtonSettings

# How long a press on a wall button lasts; anything a person can do is longer than its bouncing.
PRESS_S = 0.15
BOUNCE_S = 0.001  # one level of a chattering contact


class Request(msgspec.Struct, tag="request"):
    """Client: give me this line, and this light."""

    offset: int
    active_low: bool
    light: int | None = None


class Light(msgspec.Struct, tag="light"):
    """Client: light on or off."""

    on: bool


class Granted(msgspec.Struct, tag="granted"):
    """Board: the line is yours, and this is how it is now."""

    active: bool


class Refused(msgspec.Struct, tag="refused"):
    """Board: the line is not to be had."""

    reason: str


class Pulse(msgspec.Struct, tag="pulse"):
    """Board: one edge."""

    active: bool
    at_ns: int
    seqno: int


_to_board: msgspec.json.Decoder[Request | Light] = msgspec.json.Decoder(Request | Light)
_to_client: msgspec.json.Decoder[Granted | Refused | Pulse] = msgspec.json.Decoder(
    Granted | Refused | Pulse
)


# --- the board ---------------------------------------------------------------------------------


class VirtualButton:
    """A button between a wire and ground (or supply), with an optional light of its own."""

    def __init__(self, light: int | None, *, active_low: bool) -> None:
        self.light_offset = light
        self.light = False  # whether it shines
        self._active_low = active_low
        self._level = active_low  # of the wire: a released button leaves it to its pull resistor
        self._holder: _Client | None = None
        self._light_changed = asyncio.Condition()
        self._held = asyncio.Event()

    @property
    def pressed(self) -> bool:
        """Whether the contact is closed."""
        return self._level is not self._active_low

    def hold(self) -> None:
        """Press and stay."""
        self._set(pressed=True)

    def release(self) -> None:
        """Let go."""
        self._set(pressed=False)

    async def press(self, duration: float = PRESS_S) -> None:
        """Press, wait (s), let go."""
        self.hold()
        await asyncio.sleep(duration)
        self.release()

    async def bounce(self, count: int, interval: float = BOUNCE_S) -> None:
        """Close and open `count` times, `interval` s each; open at the end."""
        for _ in range(count):
            await self.press(interval)
            await asyncio.sleep(interval)

    async def watched(self) -> None:
        """Until somebody holds the line."""
        await self._held.wait()

    async def wait_light(self, *, on: bool) -> None:
        """Until the light is on, or off."""
        async with self._light_changed:
            await self._light_changed.wait_for(lambda: self.light is on)

    def _set(self, *, pressed: bool) -> None:
        level = pressed is not self._active_low
        if level is not self._level:
            self._level = level
            if self._holder:
                self._holder.send_edge(level=level)

    # What the board does to it.

    def take(self, client: _Client) -> bool:
        """Give the line to a client; False if another has it."""
        if self._holder:
            return False
        self._holder = client
        self._held.set()
        return True

    async def give_back(self) -> None:
        """The client is gone, and with it what it drove."""
        self._holder = None
        self._held.clear()
        await self.set_light(on=False)

    async def set_light(self, *, on: bool) -> None:
        """The client drives the light."""
        async with self._light_changed:
            self.light = on
            self._light_changed.notify_all()

    @property
    def level(self) -> bool:
        """Of the wire."""
        return self._level


class VirtualBoard:
    """Serves its buttons on a Unix socket; survives every client."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._buttons: dict[int, VirtualButton] = {}
        self._clients: set[_Client] = set()
        self._server: asyncio.Server | None = None

    def button(
        self, offset: int, *, light: int | None = None, active_low: bool = True
    ) -> VirtualButton:
        """The button on a line, wired to ground if `active_low`; made if there is none yet."""
        if offset not in self._buttons:
            self._buttons[offset] = VirtualButton(light, active_low=active_low)
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
        client = _Client(reader, writer)
        self._clients.add(client)
        try:
            await client.serve(self._buttons)
        finally:
            self._clients.discard(client)
            client.gone.set()


class _Client:
    """One process that holds a line of the board."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.gone = asyncio.Event()
        self._reader = reader
        self._writer = writer
        self._active_low = False
        self._seqno = 0

    async def serve(self, buttons: dict[int, VirtualButton]) -> None:
        """The whole conversation; a client that talks nonsense or vanishes ends it."""
        try:
            request = _to_board.decode(await self._reader.readline())
            if isinstance(request, Request):
                await self._serve_line(request, buttons.get(request.offset))
        except (msgspec.DecodeError, ConnectionError):
            return
        finally:
            self._writer.close()

    async def hang_up(self) -> None:
        """Close on the client and wait until it is gone."""
        self._writer.transport.abort()
        await self.gone.wait()

    def send_edge(self, *, level: bool) -> None:
        """Tell of an edge, numbered and stamped."""
        self._seqno += 1
        active = level is not self._active_low
        self._send(Pulse(active, time.monotonic_ns(), self._seqno))

    async def _serve_line(self, request: Request, button: VirtualButton | None) -> None:
        if button is None or request.light not in (None, button.light_offset):
            self._send(Refused("no such line"))
            return
        self._active_low = request.active_low
        if not button.take(self):
            self._send(Refused("line is busy"))
            return
        try:
            self._send(Granted(button.level is not request.active_low))
            while line := await self._reader.readline():
                message = _to_board.decode(line)
                if isinstance(message, Light):
                    await button.set_light(on=message.on)
        finally:
            await button.give_back()

    def _send(self, message: Granted | Refused | Pulse) -> None:
        self._writer.write(msgspec.json.encode(message) + b"\n")


# --- the client: a Line of drivers.button.link -------------------------------------------------


class SimLine:
    """A line of a virtual board, perhaps of another process."""

    def __init__(
        self, where: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.active = False
        self._where = where
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, path: str, settings: ButtonSettings) -> SimLine:
        """Connect and request the line; LinkLost if the board is not there or refuses."""
        where = f"sim:{path} line {settings.offset}"
        try:
            reader, writer = await asyncio.open_unix_connection(path)
        except OSError as error:
            hint = "is the virtual board running?"
            raise LinkLost(error.strerror or str(error), where=where, hint=hint) from error
        line = cls(where, reader, writer)
        line._send(Request(settings.offset, settings.active == "low", settings.light))
        answer = await line._receive()
        if not isinstance(answer, Granted):
            writer.close()
            reason = answer.reason if isinstance(answer, Refused) else "talks out of turn"
            raise LinkLost(reason, where=where, hint="another process may hold this virtual line")
        line.active = answer.active
        return line

    async def edges(self) -> list[Edge]:
        """The next edge; LinkLost when the board is gone. Cancelling loses none."""
        pulse = await self._receive()
        if not isinstance(pulse, Pulse):
            raise LinkLost("the virtual board talks out of turn", where=self._where)
        return [Edge(pulse.active, pulse.at_ns, pulse.seqno)]

    def set_light(self, *, on: bool) -> None:
        """Light on or off; LinkLost when the board is gone."""
        if self._writer.is_closing():
            raise LinkLost("the virtual board is gone", where=self._where)
        self._send(Light(on))

    async def close(self) -> None:
        """Give the line back; the board turns its light off."""
        self._writer.close()
        with suppress(OSError):  # a board that is already gone is as closed as it can be
            await self._writer.wait_closed()

    async def _receive(self) -> Granted | Refused | Pulse:
        try:
            line = await self._reader.readline()
            return _to_client.decode(line)
        except (msgspec.DecodeError, OSError) as error:
            raise LinkLost("the virtual board is gone", where=self._where) from error

    def _send(self, message: Request | Light) -> None:
        self._writer.write(msgspec.json.encode(message) + b"\n")
