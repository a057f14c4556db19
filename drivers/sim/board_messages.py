"""What a virtual board and its clients say to each other: one JSON object a line.

The client says Request, then Drive whenever it wants; the board answers Granted or Refused, then
sends Pulse for every edge.
"""

from __future__ import annotations

import msgspec


class Line(msgspec.Struct):
    """One line, and which level of it the client calls active."""

    offset: int
    active_low: bool


class Request(msgspec.Struct, tag="request"):
    """Client: give me these lines, all or none."""

    inputs: list[Line]
    outputs: list[Line]


class Drive(msgspec.Struct, tag="drive"):
    """Client: an output active or not."""

    offset: int
    on: bool


class Granted(msgspec.Struct, tag="granted"):
    """Board: the lines are yours, and this is how each input is now, in your order."""

    active: list[bool]


class Refused(msgspec.Struct, tag="refused"):
    """Board: the lines are not to be had."""

    reason: str


class Pulse(msgspec.Struct, tag="pulse"):
    """Board: one edge."""

    offset: int
    active: bool
    at_ns: int
    seqno: int


_to_board: msgspec.json.Decoder[Request | Drive] = msgspec.json.Decoder(Request | Drive)
_to_client: msgspec.json.Decoder[Granted | Refused | Pulse] = msgspec.json.Decoder(
    Granted | Refused | Pulse
)


def encode(message: Request | Drive | Granted | Refused | Pulse) -> bytes:
    """One line."""
    return msgspec.json.encode(message) + b"\n"


def read_by_board(line: bytes) -> Request | Drive:
    """What a client said; msgspec.DecodeError if it is nothing."""
    return _to_board.decode(line)


def read_by_client(line: bytes) -> Granted | Refused | Pulse:
    """What the board said; msgspec.DecodeError if it is nothing."""
    return _to_client.decode(line)
