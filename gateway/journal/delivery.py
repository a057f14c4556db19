"""Who waits to hear that an event of a lane is stored at the far side. The log's lock is held."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING

from gateway.errors import JournalError

if TYPE_CHECKING:
    from gateway.journal.entry import Entry


class Delivery(Future[None]):
    """Done when the far side has committed one event."""

    def __init__(self) -> None:
        super().__init__()
        self.set_running_or_notify_cancel()  # a caller that stops waiting cancels nobody else


class Deliveries:
    """Few are waited for: calls, and whom they alarm."""

    def __init__(self) -> None:
        self._waiting: dict[Entry, Delivery] = {}
        self._given_up = 0

    def of(self, entry: Entry, acknowledged: int) -> Delivery:
        """What becomes of an entry; one that had to go is never called delivered."""
        if entry in self._waiting:
            return self._waiting[entry]
        delivery = self._waiting[entry] = Delivery()
        if entry.stored:
            self.stored(entry)
        elif not entry.claimed and entry.seq <= self._given_up:
            self.give_up(self._given_up)
        elif not entry.claimed and entry.seq <= acknowledged:
            self.acknowledge(acknowledged)
        return delivery

    def acknowledge(self, through: int) -> None:
        """What the lane holds up to here is stored over there."""
        for entry in self._in_lane(through):
            self._waiting.pop(entry).set_result(None)

    def give_up(self, through: int) -> None:
        """What the lane holds up to here had to go."""
        self._given_up = max(self._given_up, through)
        for entry in self._in_lane(through):
            self._waiting.pop(entry).set_exception(
                JournalError("the event had to go before it was delivered")
            )

    def stored(self, entry: Entry) -> None:
        """One that travelled from memory is stored over there."""
        entry.stored = True
        if entry in self._waiting:
            self._waiting.pop(entry).set_result(None)

    def _in_lane(self, through: int) -> list[Entry]:
        return [entry for entry in self._waiting if not entry.claimed and entry.seq <= through]
