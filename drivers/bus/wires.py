"""One owner of one port: transactions, silent gaps, time-outs and late answers.

The rules and their reasons are in the folder's `__init__.py`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol, TypeVar

from drivers.bus.link import Link
from gateway.errors import DecodeError, DeviceSilent, LinkLost

if TYPE_CHECKING:
    from collections.abc import Hashable

    from drivers.bus.line import Line
    from gateway.settings import BusSettings

F_co = TypeVar("F_co", covariant=True)

# A device that missed its time-out is not asked again for this many time-outs more: long enough for
# a meter that wakes up slowly, short enough that a retry still falls into the same poll.
LATE_TIMEOUTS = 2

# A line that finds no silent gap in this time has a second master or a device that jabbers. Ten of
# the longest Modbus frames at 9600 baud pass in three seconds; ours alone leave gaps between.
NEVER_SILENT_S = 3.0

# A port of this machine opens, or does not, in a few ms; a connection that waits for a machine
# which is off takes seconds.
SLOW_OPEN_S = 0.1

# More than any answer with the noise around it; a line that brings more is not answering.
MOST_BYTES = 1024

# A serial server that lost its power does not say that it is gone, and TCP finds out after minutes.
# After so many questions without a byte in answer the connection is made anew: three are one poll
# of a single meter with its retries.
DEAF_QUESTIONS = 3


class Answer(Protocol[F_co]):
    """Collects the bytes of one answer; knows no I/O and no time."""

    # Protocol and address of the device that is asked. None where a late answer cannot be taken
    # for another's, because answers say what they answer.
    sender: Hashable | None
    longest: int  # bytes of the longest answer, for the time it takes on the wire

    def feed(self, data: bytes) -> F_co | None:
        """Take what came; the frame once it is whole, None before; DecodeError if it cannot be."""
        ...


class Wires:
    """What all devices of a bus share."""

    def __init__(self, settings: BusSettings) -> None:
        self.settings = settings
        self.is_tcp = settings.port.startswith("modbus-tcp://")
        self._is_remote = "://" in settings.port
        self._turn = asyncio.Lock()  # asyncio's lock wakes its waiters in order of arrival
        self._link: Link | None = None
        self._late_until: dict[Hashable, float] = {}
        self._unheard = 0
        self._failure: LinkLost | None = None  # why the port did not open ...
        self._failed_until = 0.0  # ... and how long that is believed, in loop time, s
        self._closed = False

    async def transact(
        self, line: Line, request: bytes, answer: Answer[F_co], timeout_s: float
    ) -> F_co:
        """As `Bus.transact`, with the line run this way."""
        while True:
            async with self._turn:
                link = await self._opened()
                late_s = self._late_s(answer.sender)
                if not late_s:
                    await link.run_at(line)
                    return await self._exchange(link, request, answer, timeout_s)
            await link.rest(late_s)

    async def close(self) -> None:
        """Give the port back. Who waits for an answer gets LinkLost; so does who asks later."""
        self._closed = True
        if self._link:
            await self._link.close()

    async def _exchange(
        self, link: Link, request: bytes, answer: Answer[F_co], timeout_s: float
    ) -> F_co:
        if not self.is_tcp:
            await self._await_gap(link)
        link.flush()
        answered = False
        try:
            link.write(request)
            frame = await self._collect(link, len(request), answer, timeout_s)
            answered = True
        finally:  # silent, garbled, port lost or caller cancelled: the answer may still come
            if not answered:
                self._expect_late(answer.sender, timeout_s)
        return frame

    async def _collect(self, link: Link, sent: int, answer: Answer[F_co], timeout_s: float) -> F_co:
        received = bytearray()
        character_s = 0.0 if self.is_tcp else link.line.character_s
        try:
            async with asyncio.timeout(timeout_s + sent * character_s) as limit:
                while len(received) <= MOST_BYTES:
                    data = await link.read()
                    if not received:
                        self._unheard = 0
                        limit.reschedule((limit.when() or 0) + answer.longest * character_s)
                    received += data
                    frame = answer.feed(data)
                    if frame is not None:
                        return frame
        except TimeoutError:
            pass
        if not received:
            await self._doubt(link)
        raise self._nothing(received, timeout_s)

    async def _doubt(self, link: Link) -> None:
        """Nothing came. Once too often, and the connection itself is what may be gone."""
        self._unheard += 1
        if self._is_remote and self._unheard >= DEAF_QUESTIONS:
            self._unheard = 0
            await link.close()

    def _nothing(self, received: bytearray, timeout_s: float) -> DeviceSilent | DecodeError:
        where = f"bus {self.settings.id}"
        if not received:
            return DeviceSilent(f"no answer within {timeout_s:g} s", where=where)
        start = received[:32].hex(" ")
        on_wires = "two devices with one address, a wrong baud rate or parity, or a bad line"
        return DecodeError(
            f"{len(received)} bytes came and no answer among them: {start}",
            where=where,
            hint="answers that come late, or no Modbus TCP" if self.is_tcp else on_wires,
        )

    async def _opened(self) -> Link:
        if self._closed:
            raise LinkLost("the bus is closed", where=f"bus {self.settings.id}")
        if not self._link or not self._link.is_open:
            self._link = None
            self._link = await self._open()
        return self._link

    async def _open(self) -> Link:
        """Open the port, unless that was just tried in vain.

        A serial server that is off keeps who asks waiting, and they wait for each other. So what
        was found is told to the others for as long as it took to find out.
        """
        clock = asyncio.get_running_loop().time
        began = clock()
        if self._failure and began < self._failed_until:
            raise LinkLost(self._failure.what, where=self._failure.where, hint=self._failure.hint)
        try:
            return await Link.open(self.settings)
        except LinkLost as error:
            took_s = clock() - began
            self._failure = error if took_s >= SLOW_OPEN_S else None
            self._failed_until = clock() + took_s
            raise

    async def _await_gap(self, link: Link) -> None:
        """Wait for the line to be silent; DeviceSilent if it never is.

        The gap is waited even if the line has long been silent: meanwhile the loop fetches what the
        kernel still holds, so that the flush after it finds every byte of a late answer.
        """
        clock = asyncio.get_running_loop().time
        gap_s = link.line.gap_s
        until = clock() + NEVER_SILENT_S
        while clock() < until:
            await asyncio.sleep(gap_s)
            if clock() - link.last_byte_at >= gap_s:
                return
        raise DeviceSilent(
            f"the line was never silent in {NEVER_SILENT_S:g} s",
            where=f"bus {self.settings.id}",
            hint="a second master on the line, or a device that jabbers",
        )

    def _late_s(self, sender: Hashable | None) -> float:
        """How long this device must still be left alone."""
        now = asyncio.get_running_loop().time()
        return max(0.0, self._late_until.get(sender, 0.0) - now)

    def _expect_late(self, sender: Hashable | None, timeout_s: float) -> None:
        if sender is not None:
            now = asyncio.get_running_loop().time()
            self._late_until[sender] = now + LATE_TIMEOUTS * timeout_s
