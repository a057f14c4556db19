"""The port: a serial port of this machine, or one at the far end of a network.

The one module that imports serialx, because it refuses a second exclusive open, reports a lost
port, and raises on a write after the loss. What it raises becomes LinkLost here.
"""

from __future__ import annotations

import asyncio
import errno
from typing import TYPE_CHECKING

import serialx

from drivers.bus.line import line_of
from gateway.errors import LinkLost

if TYPE_CHECKING:
    from drivers.bus.line import Line
    from gateway.settings import BusSettings

# What is kept of a line that chatters while nobody reads; far above the longest answer (267 bytes).
_KEPT_BYTES = 4096

# A serial server in the same house answers at once; one that is off never does.
_CONNECT_S = 5.0

_PARITY = {"N": serialx.Parity.NONE, "E": serialx.Parity.EVEN, "O": serialx.Parity.ODD}
_STOPBITS = {1: serialx.StopBits.ONE, 2: serialx.StopBits.TWO}
_HINTS = {
    errno.ENOENT: "is the adapter plugged in? `ls /dev/serial/by-id` names those that are",
    errno.EACCES: "the user that runs hearth must be in the group that owns the port (dialout)",
    errno.EBUSY: "another process has the port; `fuser -v` with its path names it",
    errno.ENOTTY: "this is no serial port",
    errno.ECONNREFUSED: "the machine is there, and nothing listens at this port of it",
    errno.EHOSTUNREACH: "is the serial server on, and in this network?",
    errno.ETIMEDOUT: "is the serial server on, and in this network?",
}


class Link(asyncio.Protocol):
    """An open port: bytes out, bytes in, and the moment (loop time, s) the last byte passed."""

    def __init__(self, settings: BusSettings) -> None:
        self.line = line_of(settings)
        self.last_byte_at = asyncio.get_running_loop().time()
        self._where = f"bus {settings.id}, {settings.port}"
        self._lost: LinkLost | None = None
        self._transport: serialx.BaseSerialTransport | None = None
        self._received = bytearray()
        self._news = asyncio.Event()
        self._gone = asyncio.Event()

    @classmethod
    async def open(cls, settings: BusSettings) -> Link:
        """Open the port for this process alone.

        Raises:
            LinkLost: no such port, no right to it, or somebody else has it.
        """
        link = cls(settings)
        try:
            async with asyncio.timeout(_CONNECT_S):
                link._transport, _ = await serialx.create_serial_connection(
                    asyncio.get_running_loop(),
                    lambda: link,
                    url=settings.port.replace("modbus-tcp://", "socket://"),
                    baudrate=link.line.baudrate,
                    parity=_PARITY[link.line.parity],
                    stopbits=_STOPBITS[link.line.stopbits],
                    exclusive=True,
                )
        except TimeoutError as error:
            hint = _HINTS[errno.ETIMEDOUT]
            what = f"the port does not open within {_CONNECT_S:g} s"
            raise LinkLost(what, where=link._where, hint=hint) from error
        except OSError as error:
            hint = _HINTS.get(error.errno or 0, "")
            what = f"the port does not open: {error}"
            raise LinkLost(what, where=link._where, hint=hint) from error
        except (serialx.SerialException, ValueError) as error:
            raise LinkLost(f"the port does not open: {error}", where=link._where) from error
        return link

    @property
    def is_open(self) -> bool:
        """Whether bytes can still pass, as far as is known."""
        return self._transport is not None and not self._transport.is_closing()

    async def run_at(self, line: Line) -> None:
        """Run the line in another way from now on; LinkLost if the port will not or is gone."""
        if line == self.line:
            return
        if not self._transport or self._transport.is_closing():
            raise self._loss
        try:
            await self._transport.reconfigure_port(
                baudrate=line.baudrate,
                parity=_PARITY[line.parity],
                stopbits=_STOPBITS[line.stopbits],
            )
        except (OSError, ValueError, serialx.SerialException) as error:
            raise LinkLost(f"the port cannot run {line}: {error}", where=self._where) from error
        self.line = line

    def write(self, data: bytes) -> None:
        """Send; LinkLost if the port is gone. Returns before the bytes are on the wire."""
        if not self._transport or self._transport.is_closing():
            raise self._loss
        try:
            self._transport.write(data)
        except (OSError, serialx.SerialException) as error:
            raise LinkLost(f"the port does not take bytes: {error}", where=self._where) from error
        now = asyncio.get_running_loop().time()
        self.last_byte_at = now + len(data) * self.line.character_s

    async def read(self) -> bytes:
        """The bytes that came, as soon as there are any; LinkLost as soon as the port is gone."""
        while not self._received:
            if self._gone.is_set():
                raise self._loss
            self._news.clear()
            await self._news.wait()
        data = bytes(self._received)
        self._received.clear()
        return data

    async def rest(self, seconds: float) -> None:
        """Let time pass; LinkLost as soon as the port is gone."""
        try:
            async with asyncio.timeout(seconds):
                await self._gone.wait()
        except TimeoutError:
            return
        raise self._loss

    @property
    def _loss(self) -> LinkLost:
        return self._lost or LinkLost("the port is gone", where=self._where)

    def flush(self) -> None:
        """Throw away what came and was not read."""
        self._received.clear()

    async def close(self) -> None:
        """Give the port back; who waits for bytes gets LinkLost."""
        if self._transport:
            self._transport.abort()
            await self._transport.wait_closed()

    def data_received(self, data: bytes) -> None:
        """Asyncio: bytes came."""
        self.last_byte_at = asyncio.get_running_loop().time()
        self._received += data
        del self._received[:-_KEPT_BYTES]
        self._news.set()

    def connection_lost(self, error: Exception | None) -> None:
        """Asyncio: the port is gone, or was closed by us (no error)."""
        why = f"the port is gone: {error}" if error else "the port was closed"
        self._lost = LinkLost(why, where=self._where, hint="is the adapter still plugged in?")
        self._news.set()
        self._gone.set()
