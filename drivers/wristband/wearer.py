"""What is known of a band and its wearer beyond one connection. Pure: time is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.call import SameCall

if TYPE_CHECKING:
    import asyncio

    from drivers.fault import Fault


class Wearer:
    """What was last told of a band, so that a reconnect does not tell the same thing twice."""

    def __init__(self) -> None:
        self.contact: bool | None = None
        self.faults: dict[str, Fault] = {}
        self.identity: dict[str, str] | None = None  # while the band is connected
        self.undelivered: set[asyncio.Task[bool]] = set()  # calls that it is to be told of
        self.polls = 0  # how often the band was asked, on whatever connection
        self._same_call = SameCall()

    def calls(self, now_s: float) -> bool:
        """The band signals an SOS: whether that is a new call."""
        return self._same_call.is_new(now_s)
