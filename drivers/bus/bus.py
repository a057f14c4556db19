"""One owner of one serial port: transactions, silent gaps, time-outs and late answers.

The rules and their reasons are in the folder's `__init__.py`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol, TypeVar

from drivers.bus.link import SerialLink
from drivers.bus.timing import character_time_s, gap_time_s
from gateway.errors import DecodeError, DeviceSilent, DriverError, LinkLost

if TYPE_CHECKING:
    from collections.abc import Hashable

    from gateway.driver import Context
    from gateway.settings import BusSettings

F_co = TypeVar("F_co", covariant=True)

# A device that missed its time-out is not asked again for this many time-outs more: long enough for
# a meter that wakes up slowly, short enough that a retry still falls into the same poll.
LATE_TIMEOUTS = 2

# A line that finds no silent gap in this time has a second master or a device that jabbers. Ten of
# the longest Modbus frames at 9600 baud pass in three seconds; ours alone leave gaps between.
NEVER_SILENT_S = 3.0

# More than any answer with the noise around it; a line that brings more is not answering.
MOST_BYTES = 1024


class Answer(Protocol[F_co]):
    """Collects the bytes of one answer; knows no I/O and no time."""

    sender: Hashable  # protocol and address of the device that is asked
    longest: int  # bytes of the longest answer, for the time it takes on the wire

    def feed(self, data: bytes) -> F_co | None:
        """Take what came; the frame once it is whole, None before; DecodeError if it cannot be."""
        ...


class Bus:
    """The line. `transact` is all there is to do with it."""

    def __init__(self, settings: BusSettings) -> None:
        self.settings = settings
        self._turn = asyncio.Lock()  # asyncio's lock wakes its waiters in order of arrival
        self._link: SerialLink | None = None
        self._late_until: dict[Hashable, float] = {}
        self._closed = False

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
            LinkLost: the port is gone or does not open.
        """
        while True:
            async with self._turn:
                link = await self._opened()
                late_s = self._late_s(answer.sender)
                if not late_s:
                    return await self._exchange(link, request, answer, timeout_s)
            await link.rest(late_s)

    async def close(self) -> None:
        """Give the port back. Who waits for an answer gets LinkLost; so does who asks later."""
        self._closed = True
        if self._link:
            await self._link.close()

    async def _exchange(
        self, link: SerialLink, request: bytes, answer: Answer[F_co], timeout_s: float
    ) -> F_co:
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

    async def _collect(
        self, link: SerialLink, sent: int, answer: Answer[F_co], timeout_s: float
    ) -> F_co:
        received = bytearray()
        character_s = character_time_s(self.settings)
        try:
            async with asyncio.timeout(timeout_s + sent * character_s) as limit:
                while len(received) <= MOST_BYTES:
                    data = await link.read()
                    if not received:
                        limit.reschedule((limit.when() or 0) + answer.longest * character_s)
                    received += data
                    frame = answer.feed(data)
                    if frame is not None:
                        return frame
        except TimeoutError:
            pass
        raise self._nothing(received, timeout_s)

    def _nothing(self, received: bytearray, timeout_s: float) -> DeviceSilent | DecodeError:
        where = f"bus {self.settings.id}"
        if not received:
            return DeviceSilent(f"no answer within {timeout_s:g} s", where=where)
        start = received[:32].hex(" ")
        return DecodeError(
            f"{len(received)} bytes came and no answer among them: {start}",
            where=where,
            hint="two devices with one address, a wrong baud rate or parity, or a bad line",
        )

    async def _opened(self) -> SerialLink:
        if self._closed:
            raise LinkLost("the bus is closed", where=f"bus {self.settings.id}")
        if not self._link or not self._link.is_open:
            self._link = None
            self._link = await SerialLink.open(self.settings)
        return self._link

    async def _await_gap(self, link: SerialLink) -> None:
        """Wait for the line to be silent; DeviceSilent if it never is.

        The gap is waited even if the line has long been silent: meanwhile the loop fetches what the
        kernel still holds, so that the flush after it finds every byte of a late answer.
        """
        clock = asyncio.get_running_loop().time
        gap_s = gap_time_s(self.settings)
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

    def _late_s(self, sender: Hashable) -> float:
        """How long this device must still be left alone."""
        now = asyncio.get_running_loop().time()
        return max(0.0, self._late_until.get(sender, 0.0) - now)

    def _expect_late(self, sender: Hashable, timeout_s: float) -> None:
        now = asyncio.get_running_loop().time()
        self._late_until[sender] = now + LATE_TIMEOUTS * timeout_s


def shared_bus(context: Context) -> Bus:
    """The bus that this device and its neighbours share."""
    settings = context.bus
    if settings is None:
        raise DriverError("the device names no bus", where=context.device, hint='add bus = "..."')
    return context.shared(f"bus:{settings.id}", lambda: Bus(settings))
