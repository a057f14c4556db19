"""CJ/T 188, the protocol of Chinese water meters: a codec without I/O.

CJ/T 188 is the standard by which water, gas and heat meters in China are read over RS-485, M-Bus
and infrared. This reads water meters of its editions of 2004 and 2018. Bytes in, frames and values
out; nothing here knows a port or a clock, and bytes from outside raise nothing but DecodeError.

    frame.py        frames, checksum, finding them in noise
    address.py      14 digits, masks
    identifier.py   DI, in both orders of its bytes
    bcd.py          numbers and times
    data.py         the reading, units, the status word
    history.py      monthly totals, freezes
    commands.py     what is asked and told

What is sure and what is not is in each file's head, and together in docs/cjt188.md.
"""

from drivers.cjt188.wire.address import (
    EVERY_METER,
    WILDCARD,
    is_mask,
    matches,
    narrower,
    printed_address,
    wire_address,
)
from drivers.cjt188.wire.commands import (
    READ,
    READ_ADDRESS,
    VALVE_CLOSED,
    VALVE_OPEN,
    WRITE,
    address_request,
    decode_valve,
    encode_address,
    encode_refusal,
    encode_valve,
    read_request,
    valve_request,
)
from drivers.cjt188.wire.data import (
    Reading,
    Status,
    decode_reading,
    encode_reading,
    encode_short_reading,
)
from drivers.cjt188.wire.frame import (
    ANSWER_BIT,
    COLD_WATER,
    Frame,
    FrameAnswer,
    Refusal,
    decode_frame,
    encode,
    split_frames,
)
from drivers.cjt188.wire.history import (
    FREEZES,
    MONTHS,
    Freeze,
    Month,
    Trigger,
    decode_freeze,
    decode_month,
    encode_freeze,
    encode_month,
    freeze_request,
    month_request,
)
from drivers.cjt188.wire.identifier import (
    DI_ADDRESS,
    DI_FREEZES_AT_COMMAND,
    DI_MONTHS,
    DI_ORDERS,
    DI_READING,
    DI_TIMED_FREEZES,
    DI_VALVE,
    DiOrder,
    decode_di,
    other_order,
)

__all__ = [
    "ANSWER_BIT",
    "COLD_WATER",
    "DI_ADDRESS",
    "DI_FREEZES_AT_COMMAND",
    "DI_MONTHS",
    "DI_ORDERS",
    "DI_READING",
    "DI_TIMED_FREEZES",
    "DI_VALVE",
    "EVERY_METER",
    "FREEZES",
    "MONTHS",
    "READ",
    "READ_ADDRESS",
    "VALVE_CLOSED",
    "VALVE_OPEN",
    "WILDCARD",
    "WRITE",
    "DiOrder",
    "Frame",
    "FrameAnswer",
    "Freeze",
    "Month",
    "Reading",
    "Refusal",
    "Status",
    "Trigger",
    "address_request",
    "decode_di",
    "decode_frame",
    "decode_freeze",
    "decode_month",
    "decode_reading",
    "decode_valve",
    "encode",
    "encode_address",
    "encode_freeze",
    "encode_month",
    "encode_reading",
    "encode_refusal",
    "encode_short_reading",
    "encode_valve",
    "freeze_request",
    "is_mask",
    "matches",
    "month_request",
    "narrower",
    "other_order",
    "printed_address",
    "read_request",
    "split_frames",
    "valve_request",
    "wire_address",
]
