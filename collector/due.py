"""Alarms in line for an output (webhook, command, standard output), and how long the line is."""

from __future__ import annotations

import msgspec

# A moment that has passed, also for a clock that was set back meanwhile: ms since 1970 UTC.
AT_ONCE_MS = 1


class Due(msgspec.Struct, frozen=True):
    """An urgent event that an output is to tell, with its place in the line."""

    id: int
    output: str
    tries: int  # how often it was put off
    gateway: str
    journal: str  # uuid, 32 hexadecimal digits
    lane: str
    seq: int
    device: str
    kind: str
    time_ms: int  # since 1970 UTC; how good it is says `time_quality`
    time_quality: str
    body: str  # JSON: measurements with SenML's labels, labels, detail
    waited_ms: int = 0  # how long it was put off because it failed, altogether


class Waiting(msgspec.Struct, frozen=True):
    """One output's line, those included that somebody is about to tell."""

    output: str
    count: int
    since_ms: int | None  # since 1970 UTC, when the oldest was stored; None if none waits
