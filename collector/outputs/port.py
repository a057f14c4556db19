"""What a Teller asks of an output, and what an output answers."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from collector.outputs.alarm import Alarm


class Outcome(Enum):
    """What became of one try to tell an alarm."""

    TOLD = "told"
    REFUSED = "refused"  # this alarm was understood, and not taken
    FAILED = "failed"  # the far end failed, and might fail with any alarm
    ENDED = "ended"  # nobody can be told any more while this process runs


class Verdict(msgspec.Struct, frozen=True):
    """The outcome, why, and how long the far end asks to be left alone."""

    outcome: Outcome
    reason: str = ""
    pause_s: float = 0.0


TOLD = Verdict(Outcome.TOLD)


class Output(Protocol):
    """Where alarms go. One process has one of each name."""

    # In the store, in metrics, on the command line: never renamed.
    name: str
    # How many alarms are claimed at once.
    width: int
    # Whether they are told one after the other, in order of arrival; or else gateway by gateway.
    in_order: bool

    async def tell(self, alarm: Alarm) -> Verdict:
        """Tell one alarm, in a bounded time that is well below how long the store keeps a claim."""
        ...

    async def close(self) -> None:
        """Release what it holds."""
        ...
