"""How one meter is asked for its telegrams: SND_NKE or a selection, FCB, and what follows what.

A meter that gets the same FCB twice says the same again. Within a reading that is the remedy for a
garbled answer. Over readings it would be a trap: a meter whose answer was lost an hour ago would
tell the values of then. So after anything that went wrong, and after a reading of several
telegrams, the next reading begins with SND_NKE. At FD every reading begins with the selection,
which does the same.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING

from drivers.mbus import wire
from gateway.errors import DecodeError, DeviceRefused, DeviceSilent

if TYPE_CHECKING:
    from drivers.bus.bus import Bus
    from drivers.mbus.selection import Selection


class Caller:
    """Asks one meter.

    Args:
        address: 0 to 250; SELECTED if the meter is known by who it is.
        meter: who it is, for SELECTED.
        selection: whose turn it is there.
        timeout_s: what the meter may take to begin its answer.
        most: telegrams of one reading.
    """

    def __init__(
        self,
        address: int,
        meter: wire.Identification | None,
        selection: Selection,
        timeout_s: float,
        most: int,
    ) -> None:
        self._address = address
        self._meter = meter
        self._selection = selection
        self._timeout_s = timeout_s
        self._most = most
        self._fcb = True
        self._in_step = (
            False  # whether the meter is known to expect this FCB, at its first telegram
        )

    async def read(self, bus: Bus) -> list[wire.Telegram]:
        """All telegrams of one reading, one at least.

        Raises:
            DeviceSilent: the meter does not answer.
            DeviceRefused: it will not, or another one answers instead.
            DecodeError: what it says cannot be read.
            LinkLost: the port is gone.
        """
        async with AsyncExitStack() as stack:
            if self._meter:
                await stack.enter_async_context(self._selection.turn)
            in_step, self._in_step = self._in_step, False
            await self._begin(bus, in_step=in_step)
            telegrams = [await self._telegram(bus)]
            while telegrams[-1].has_more and len(telegrams) < self._most:
                following = await self._telegram(bus)
                if following.body == telegrams[-1].body:
                    break  # it has no FCB, and would say its first telegram for ever
                if following.header.meter != telegrams[0].header.meter:
                    raise DecodeError("two meters have this address", where=self.where)
                telegrams.append(following)
            self._in_step = not telegrams[0].has_more
            return telegrams

    async def _begin(self, bus: Bus, *, in_step: bool) -> None:
        if self._meter:
            if not in_step:
                await self._deselect(bus)
            await self._told(bus, wire.select(self._meter), self._meter)
            self._fcb = True
        elif not in_step:
            await self._told(bus, wire.begin(self._address), None)
            self._fcb = True

    async def _deselect(self, bus: Bus) -> None:
        """A meter that missed the last selection may still feel selected. Most do not answer."""
        answer = wire.AckAnswer(wire.begin(wire.SELECTED), "deselect")
        with suppress(DeviceSilent, DecodeError):
            await bus.transact(wire.encode(wire.begin(wire.SELECTED)), answer, self._timeout_s)

    async def _told(self, bus: Bus, request: wire.Frame, meter: wire.Identification | None) -> None:
        try:
            await bus.transact(
                wire.encode(request), wire.AckAnswer(request, meter), self._timeout_s
            )
        except (DeviceSilent, DecodeError) as error:
            raise type(error)(error.what, where=self.where, hint=error.hint) from error

    async def _telegram(self, bus: Bus) -> wire.Telegram:
        """The next telegram; the FCB has changed once it is here."""
        request = wire.ask(self._address, fcb=self._fcb)
        try:
            frame = await self._asked(bus, request)
        except DecodeError:
            frame = await self._asked(bus, request)  # the same FCB: it says the same again
        self._fcb = not self._fcb
        try:
            found = wire.decode_telegram(frame)
        except DecodeError as error:
            raise DecodeError(error.what, where=self.where) from error
        if isinstance(found, wire.Refusal):
            raise DeviceRefused(f"it answers: {found.reason}", where=self.where)
        return found

    async def _asked(self, bus: Bus, request: wire.Frame) -> wire.Frame:
        answer = wire.DataAnswer(request, self._meter)
        try:
            return await bus.transact(wire.encode(request), answer, self._timeout_s)
        except DeviceSilent as error:
            raise DeviceSilent(error.what, where=self.where, hint=error.hint) from error
        except DecodeError as error:
            if answer.stranger is not None:
                raise self._swapped(answer.stranger) from error
            raise DecodeError(error.what, where=self.where, hint=error.hint) from error

    def _swapped(self, stranger: wire.Frame) -> DeviceRefused:
        who = wire.who_says(stranger)
        name = f"{who} at address {stranger.address}" if who else f"at address {stranger.address}"
        hint = "was the meter changed? hearth reads none but the one it was told of"
        return DeviceRefused(f"meter {name} answers instead", where=self.where, hint=hint)

    @property
    def where(self) -> str:
        """The meter, for messages."""
        return f"meter {self._meter}" if self._meter else f"meter at address {self._address}"
