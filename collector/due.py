"""Alarms in line for an output (webhook, command, standard output), and how long the line is."""

from __future__ import annotations

import msgspec


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


class Waiting(msgspec.Struct, frozen=True):
    """One output's line, those included that somebody is about to tell."""

    output: str
    count: int
    since_ms: int | None  # since 1970 UTC, when the oldest was stored; None if none waits
