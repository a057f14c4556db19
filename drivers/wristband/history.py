"""The History contract: reading what a band stored while nobody listened. Pure; the session writes.

A conversation asks for one kind of stored values, page by page, until the band has no more. Which
of them are new is the session's to judge: it remembers, for each `name`, up to when values are
durable here. So a conversation may read the same value twice; what must not happen is that one is
skipped. Therefore values come in the order of their times, over all steps of a conversation: a band
that tells the newest first is heard to its end before anything is handed on. Otherwise a link lost
half-way would leave what is older behind the mark for ever.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime

    from drivers.wristband.command import Command
    from drivers.wristband.wire.reading import Reading


class Stored(NamedTuple):
    """One stored value: local time by the band's clock (naive), and what was measured then."""

    at: datetime
    reading: Reading


class Step(NamedTuple):
    """What one notification of a conversation brought, and what follows from it."""

    stored: tuple[Stored, ...] = ()
    write: tuple[Command, ...] = ()
    done: bool = False  # the band has no more


class History(ABC):
    """One conversation about one kind of stored values."""

    name: str  # under which the session remembers how far it got

    @abstractmethod
    def begin(self) -> tuple[Command, ...]:
        """What to write first."""

    @abstractmethod
    def take(self, uuid: str, data: bytes) -> Step | None:
        """What a notification brings; None if it is not of this conversation, or this is over.

        Raises:
            DecodeError: it is, and cannot be read. The session gives the conversation up.
        """

    def silent(self) -> Step | None:
        """What follows when nothing of this conversation came for a while.

        None: nothing, the session gives the conversation up. Some bands stop after a number of
        pages and wait to be asked for more, and do not say that they stopped.
        """
        return None

    def forget(self) -> tuple[Command, ...]:
        """What deletes on the band all that was read; to be asked once that is durable here.

        Nothing, if the band keeps a ring of its own, or may hold more than was read.
        """
        return ()
