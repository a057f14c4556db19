"""What a meter kept: the totals of the last twelve months, and freezes. Pure.

D120 + n, n = 0 to 11: the total on the settlement day n + 1 months ago, in both editions. 8 bytes:

    DI0 DI1 SER
    total         4 bytes, XXXXXX.XX, and its unit

Sources agree (ng-gateway, `codec/di_schema.rs`; KingDa, `CJT_188_HistoryData_Struct`; the parser of
a hand-held reader: "8 bytes: DI, SER, the total of the last month's settlement day"). What none of
them settles is whether a meter whose settlement day is the 20th has, on the 26th, this month's or
last month's total in D120. It is taken for last month's, as its name says.

D300 + n and D400 + n, n = 0 to 255, edition of 2018 only: the freeze n + 1 times ago, by the
meter's timer or at a command. 26 bytes:

    DI0 DI1 SER
    time          7 bytes, ss mm hh DD MM YY CC
    total         4 bytes, XXXXXX.XX, and its unit
    flow          4 bytes, XXXX.XXXX, and its unit
    temperature   3 bytes
    pressure      3 bytes

One source only (ng-gateway, `codec/di_schema.rs`), and it gives temperature and pressure no unit:
those two are not read.
"""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - msgspec reads the annotations
from typing import TYPE_CHECKING, Literal

import msgspec

from drivers.cjt188.wire.bcd import encode_bcd, encode_time
from drivers.cjt188.wire.commands import read_request
from drivers.cjt188.wire.data import (
    HEAD_BYTES,
    VOLUME_BYTES,
    answer,
    decode_clock,
    decode_flow,
    decode_volume,
    encode_volume,
)
from drivers.cjt188.wire.identifier import (
    DI_FREEZES_AT_COMMAND,
    DI_MONTHS,
    DI_TIMED_FREEZES,
    DiOrder,
)
from gateway.errors import DecodeError

if TYPE_CHECKING:
    from drivers.cjt188.wire.frame import Frame

MONTHS = 12
FREEZES = 256

Trigger = Literal["timer", "command"]

_FIRST_FREEZE: dict[Trigger, int] = {"timer": DI_TIMED_FREEZES, "command": DI_FREEZES_AT_COMMAND}
_FREEZE_BYTES = 26
_LITRES_PER_HOUR = 0x32
_FLOW_STEPS = 10_000


class Month(msgspec.Struct, frozen=True):
    """The total on a settlement day; None if it is absurd, as of a month before the meter was."""

    volume_m3: float | None
    absurd: dict[str, str] = {}


class Freeze(msgspec.Struct, frozen=True):
    """What a meter froze; None where that is absurd."""

    time: datetime | None  # the meter's own time, without a zone
    volume_m3: float | None
    flow_m3_s: float | None
    absurd: dict[str, str] = {}


def month_request(address: bytes, meter_type: int, order: DiOrder, back: int) -> Frame:
    """The request for the total `back` months ago, 1 to 12; DecodeError beyond."""
    if not 1 <= back <= MONTHS:
        raise DecodeError(f"{back} months ago; a meter keeps 1 to {MONTHS}")
    return read_request(address, meter_type, order, DI_MONTHS + back - 1)


def freeze_request(
    address: bytes, meter_type: int, order: DiOrder, trigger: Trigger, back: int
) -> Frame:
    """The request for the freeze `back` times ago, 1 to 256; DecodeError beyond."""
    if not 1 <= back <= FREEZES:
        raise DecodeError(f"{back} freezes ago; a meter keeps 1 to {FREEZES}")
    return read_request(address, meter_type, order, _FIRST_FREEZE[trigger] + back - 1)


def decode_month(frame: Frame) -> Month:
    """The total in the answer to a month request; DecodeError if it has not the known layout."""
    data = frame.data
    if len(data) != HEAD_BYTES + VOLUME_BYTES:
        raise DecodeError(f"a monthly total of {len(data)} bytes; 8 are known")
    absurd: dict[str, str] = {}
    return Month(decode_volume("volume_month", data[HEAD_BYTES:], absurd), absurd)


def decode_freeze(frame: Frame) -> Freeze:
    """What is in the answer to a freeze request; DecodeError if it has not the known layout."""
    data = frame.data
    if len(data) != _FREEZE_BYTES:
        raise DecodeError(f"a freeze of {len(data)} bytes; {_FREEZE_BYTES} are known")
    absurd: dict[str, str] = {}
    time = decode_clock(data[3:10], absurd)
    volume = decode_volume("volume", data[10:15], absurd)
    return Freeze(time, volume, decode_flow("flow", data[15:20], absurd), absurd)


def encode_month(request: Frame, address: bytes, litres: int) -> Frame:
    """The answer to a month request."""
    return answer(request, address, encode_volume(litres))


def encode_freeze(
    request: Frame, address: bytes, time: datetime, litres: int, litres_per_hour: int
) -> Frame:
    """The answer to a freeze request, without temperature and pressure."""
    flow = encode_bcd(litres_per_hour * _FLOW_STEPS, 4) + bytes([_LITRES_PER_HOUR])
    body = encode_time(time) + encode_volume(litres) + flow
    return answer(request, address, body.ljust(_FREEZE_BYTES - HEAD_BYTES, b"\0"))
