"""A virtual Bluetooth adapter on a Unix socket: the HCI of a controller in an Air, as H4 packets.

    async with VirtualAdapter(air, "/tmp/x/radio.sock"):     # adapter = "sim:/tmp/x/radio.sock"
        ...

One client at a time, as with a real adapter. When a client goes, however it goes, the controller is
switched off and its links die; the next client finds a fresh one. The air and the bands in it stay.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from bumble import core
from bumble.transport.common import PacketParser, StreamPacketSink

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from drivers.sim.air import Air


class VirtualAdapter:
    """Serves one client after the other."""

    def __init__(self, air: Air, path: str | Path) -> None:
        self.path = Path(path)
        self._air = air
        self._server: asyncio.Server | None = None
        self._client: _Client | None = None

    async def plug(self) -> None:
        """The adapter appears."""
        self.path.unlink(missing_ok=True)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: _Client(self), self.path)

    async def unplug(self) -> None:
        """The adapter is pulled out, from under a client if there is one."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        self.path.unlink(missing_ok=True)
        if self._client:
            self._client.hang_up()

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

    def take(self, client: _Client) -> bool:
        """A client comes; False if the adapter is taken."""
        if self._client:
            return False
        self._client = client
        return True

    def give_back(self, client: _Client) -> None:
        """A client went."""
        if self._client is client:
            self._client = None

    @property
    def air(self) -> Air:
        """Where the controllers are."""
        return self._air


class _Client(asyncio.Protocol):
    """The host end of one HCI conversation."""

    def __init__(self, adapter: VirtualAdapter) -> None:
        self._adapter = adapter
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A fresh controller for a fresh host; a second host is turned away."""
        if not isinstance(transport, asyncio.WriteTransport) or not self._adapter.take(self):
            transport.close()
            return
        self._transport = transport
        self._controller = self._adapter.air.controller("adapter")
        self._controller.set_packet_sink(StreamPacketSink(transport))
        self._parser = PacketParser(self._controller)

    def data_received(self, data: bytes) -> None:
        """Bytes of the host; a host that does not speak H4 is hung up on."""
        try:
            self._parser.feed_data(data)
        except core.InvalidPacketError:
            self.hang_up()

    def connection_lost(self, _error: Exception | None) -> None:
        """The host went, or was killed."""
        if self._transport is None:
            return
        self._transport = None
        self._adapter.air.remove(self._controller)
        self._adapter.give_back(self)

    def hang_up(self) -> None:
        """End the conversation at once."""
        if self._transport:
            self._transport.abort()
