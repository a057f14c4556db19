"""What a meter is asked and told: its reading, its address, its valve. Pure.

    01   read                  03   read the address          04   write, of which only the valve

Valve, C = 04, L = 4: DI (A017) SER and 55 for open, 99 for closed. The answer, L = 5: DI SER and
the status word, which may be that of before the valve has turned. Some meters know AA (move the
valve, so that it does not stick) and 77 (half open); only one source has them (KingDa,
`CJT-188-2004.h`), and they are not sent. Source of the exchange: biecuoliao.com/pa/3ON9QK0.html,
whose SER of 01 is kept, since no other is known to work.

A018 sets a meter's address. It is not here, on purpose: with a mask it would give every meter on
the line the same one. Nor are A015 (clock), A016 (total) and the keys: who may set those is the
water supplier, not the household.
"""

from __future__ import annotations

from drivers.cjt188.wire.address import EVERY_METER, WILDCARD, is_mask
from drivers.cjt188.wire.data import HEAD_BYTES, STATUS_BYTES, Status, answer
from drivers.cjt188.wire.frame import ANSWER_BIT, COLD_WATER, ERROR_BIT, Frame
from drivers.cjt188.wire.identifier import (
    DI_ADDRESS,
    DI_READING,
    DI_VALVE,
    DiOrder,
    encode_di,
)
from gateway.errors import DecodeError

READ = 0x01
READ_ADDRESS = 0x03
WRITE = 0x04
VALVE_OPEN, VALVE_CLOSED = 0x55, 0x99

_SER = b"\0"
_VALVE_SER = b"\x01"


def read_request(
    address: bytes, meter_type: int, order: DiOrder, identifier: int = DI_READING
) -> Frame:
    """The request for the reading of the meter with this wire address, or for other data of it."""
    return Frame(meter_type, address, READ, encode_di(identifier, order) + _SER)


def address_request(order: DiOrder, mask: bytes = EVERY_METER) -> Frame:
    """The request for the address of every meter that the mask means."""
    return Frame(WILDCARD, mask, READ_ADDRESS, encode_di(DI_ADDRESS, order) + _SER)


def valve_request(address: bytes, meter_type: int, order: DiOrder, *, opened: bool) -> Frame:
    """The command to open or close the valve of one meter; DecodeError if the address is a mask."""
    if is_mask(address):
        raise DecodeError("a valve is turned by its meter's address, never by a mask")
    state = bytes([VALVE_OPEN if opened else VALVE_CLOSED])
    return Frame(meter_type, address, WRITE, encode_di(DI_VALVE, order) + _VALVE_SER + state)


def decode_valve(frame: Frame) -> Status:
    """The status word in the answer to a valve command; DecodeError if it is not there."""
    if len(frame.data) != HEAD_BYTES + STATUS_BYTES:
        raise DecodeError(f"an answer of {len(frame.data)} bytes to a valve command; 5 are known")
    return Status(frame.data[HEAD_BYTES:])


def encode_address(request: Frame, address: bytes, meter_type: int = COLD_WATER) -> Frame:
    """The answer to an address request."""
    return Frame(meter_type, address, request.control | ANSWER_BIT, request.data[:HEAD_BYTES])


def encode_valve(request: Frame, address: bytes, status: bytes) -> Frame:
    """The answer to a valve command."""
    return answer(request, address, status)


def encode_refusal(request: Frame, address: bytes, status: bytes) -> Frame:
    """The answer to whatever a meter does not do."""
    refused = answer(request, address, status)
    return Frame(refused.meter_type, address, refused.control | ERROR_BIT, refused.data)
