"""Lines of a virtual board, perhaps of another process: Lines as drivers.gpio.lines has them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from drivers.gpio.wire.edge import Edge
from drivers.sim.board_messages import (
    Drive,
    Granted,
    Line,
    Pulse,
    Refused,
    Request,
    encode,
    read_by_client,
)
from gateway.errors import LinkLost

if TYPE_CHECKING:
    from drivers.gpio.lines import Wanted


class SimLines(asyncio.Protocol):
    """The lines of one device on a virtual board."""

    def __init__(self, where: str) -> None:
        self.active: dict[int, bool] = {}
        self._where = where
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._news = asyncio.Event()
        self._gone = asyncio.Event()

    @classmethod
    async def open(cls, path: str, wanted: Wanted) -> SimLines:
        """Connect and request the lines; LinkLost if the board is not there or refuses."""
        lines = cls(str(wanted))
        loop = asyncio.get_running_loop()
        try:
            lines._transport, _ = await loop.create_unix_connection(lambda: lines, path)
        except OSError as error:
            hint = "is the virtual board running?"
            what = error.strerror or str(error)
            raise LinkLost(what, where=lines._where, hint=hint) from error
        try:
            await lines._request(wanted)
        except BaseException:
            lines._transport.abort()
            raise
        return lines

    async def readable(self) -> None:
        """Return when there are edges, or when the board is gone. Cancelling loses none."""
        await self._news.wait()

    def edges(self) -> list[Edge]:
        """What came until now, perhaps nothing; LinkLost when the board is gone."""
        edges = []
        while b"\n" in self._buffer:
            pulse = self._message()
            if not isinstance(pulse, Pulse):
                raise LinkLost("the virtual board talks out of turn", where=self._where)
            edges.append(Edge(pulse.offset, pulse.active, pulse.at_ns, pulse.seqno))
        if not edges and self._gone.is_set():
            raise LinkLost("the virtual board is gone", where=self._where)
        if not self._gone.is_set():
            self._news.clear()
        return edges

    def drive(self, offset: int, *, on: bool) -> None:
        """An output active or not; LinkLost when the board is gone."""
        if self._transport is None or self._transport.is_closing():
            raise LinkLost("the virtual board is gone", where=self._where)
        self._transport.write(encode(Drive(offset, on)))

    async def close(self) -> None:
        """Give the lines back; the board turns their outputs off."""
        if self._transport:
            self._transport.close()
            await self._gone.wait()

    async def _request(self, wanted: Wanted) -> None:
        inputs = [Line(wire.offset, wire.active_low) for wire in wanted.inputs]
        outputs = [Line(wire.offset, wire.active_low) for wire in wanted.outputs]
        if self._transport:
            self._transport.write(encode(Request(inputs, outputs)))
        while b"\n" not in self._buffer and not self._gone.is_set():
            self._news.clear()
            await self._news.wait()
        answer = self._message()
        if not isinstance(answer, Granted) or len(answer.active) != len(inputs):
            reason = answer.reason if isinstance(answer, Refused) else "talks out of turn"
            hint = "another process may hold this virtual line"
            raise LinkLost(reason, where=self._where, hint=hint)
        self.active = {
            line.offset: active for line, active in zip(inputs, answer.active, strict=True)
        }

    def _message(self) -> Granted | Refused | Pulse:
        line, _, self._buffer = self._buffer.partition(b"\n")
        try:
            return read_by_client(line)
        except msgspec.DecodeError as error:
            raise LinkLost("the virtual board is gone", where=self._where) from error

    def data_received(self, data: bytes) -> None:
        """Asyncio: bytes came."""
        self._buffer += data
        self._news.set()

    def connection_lost(self, error: Exception | None) -> None:
        """Asyncio: the board is gone, or we are."""
        del error
        self._gone.set()
        self._news.set()
