"""The host end of a virtual adapter: what the gateway runs instead of BlueZ.

It connects to the HCI socket of a virtual adapter (`hci.py`), perhaps in another process, runs
Bumble's host on it, and offers the backends that bleak takes as `backend=`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bumble.device import Device
from bumble.hci import Address
from bumble.transport.common import StreamPacketSink, StreamPacketSource

from drivers.sim.bleak_backend import backends
from gateway.errors import LinkLost

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

CENTRAL_ADDRESS = "F0:0D:00:00:00:01"


class SimStack:
    """The host end of a virtual adapter."""

    def __init__(self, source: StreamPacketSource, sink: StreamPacketSink) -> None:
        self.central = Device.with_hci("hearth", Address(CENTRAL_ADDRESS), source, sink)
        self.scanner, self.client = backends(self.central)
        self._sink = sink

    @classmethod
    async def open(cls, path: str, on_lost: Callable[[str], None]) -> SimStack:
        """Connect and reset the controller; LinkLost if there is none, or it is taken.

        Args:
            path: Unix socket of the virtual adapter.
            on_lost: called once, with the reason, when the adapter goes.
        """
        gone = asyncio.Event()
        loop = asyncio.get_running_loop()
        where = f"sim:{path}"
        try:
            transport, source = await loop.create_unix_connection(lambda: _Source(gone), path)
        except OSError as error:
            hint = "is the virtual radio running?"
            raise LinkLost(error.strerror or str(error), where=where, hint=hint) from error
        stack = cls(source, StreamPacketSink(transport))
        if not await _first(stack.central.power_on(), gone):
            hint = "one client at a time: is another one connected?"
            raise LinkLost("the virtual adapter hung up", where=where, hint=hint)
        source.on_gone = lambda: on_lost("the virtual adapter is gone")
        return stack

    async def release(self, address: str) -> None:
        """Nothing: when a host goes, its virtual controller goes, and its connections with it."""

    async def power_on(self) -> None:
        """It is on for as long as somebody is connected."""

    async def forget(self, address: str) -> None:
        """Nothing is kept."""

    async def power_cycle(self) -> None:
        """Hang up: the next client finds a fresh controller."""
        self._sink.close()

    async def close(self) -> None:
        """Hang up; the far side switches the controller off."""
        self._sink.close()


class _Source(StreamPacketSource):
    """HCI packets from a socket, and word of its end."""

    def __init__(self, gone: asyncio.Event) -> None:
        super().__init__()
        self._gone = gone
        self.on_gone: Callable[[], None] | None = None

    def connection_lost(self, _error: Exception | None) -> None:
        """The socket closed, from whichever side. The cause is told before its consequences."""
        self._gone.set()
        if self.on_gone:
            self.on_gone()
        self.on_transport_lost()


async def _first(work: Awaitable[None], gone: asyncio.Event) -> bool:
    """Whether the work was done before the other side was gone."""
    working = asyncio.ensure_future(work)
    waiting = asyncio.ensure_future(gone.wait())
    try:
        await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
        return working.done() and not working.cancelled() and working.exception() is None
    finally:
        working.cancel()
        waiting.cancel()
        await asyncio.gather(working, waiting, return_exceptions=True)
