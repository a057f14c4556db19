"""Hearing everybody out: a question that several devices may answer, each when it is awake."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from gateway.errors import DecodeError, DeviceSilent

if TYPE_CHECKING:
    from collections.abc import Hashable

    from drivers.bus.bus import Bus


async def hear_out(
    bus: Bus, request: bytes, timeout_s: float, *, sender: Hashable, longest: int
) -> bytes:
    """Ask, and return all that came within the time; nothing if nobody answered.

    Args:
        bus: the wires.
        request: what is sent.
        timeout_s: what a device needs to begin its answer.
        sender: who is asked, for the rule of late answers (Answer.sender).
        longest: bytes of all the answers, for the time they take.

    Raises:
        LinkLost: the port is gone.
    """
    ear = _Ear(sender, longest)
    with suppress(DeviceSilent, DecodeError):
        await bus.transact(request, ear, timeout_s)
    return bytes(ear.heard)


class _Ear:
    """An answer that is never complete."""

    def __init__(self, sender: Hashable, longest: int) -> None:
        self.sender: Hashable | None = sender
        self.longest = longest
        self.heard = bytearray()

    def feed(self, data: bytes) -> None:
        self.heard += data
