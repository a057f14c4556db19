"""Modbus, as meters, detectors and relays speak it: a codec without I/O.

    pdu.py    what is said: requests, answers, refusals
    rtu.py    how it is framed on a serial line
    tcp.py    how it is framed on a network

A request is made once and framed by either: `rtu.encode(request)` with `rtu.Answer(request)`, or
`tcp.encode(request, transaction)` with `tcp.Answer(request, transaction)`. Bytes in, values out;
nothing here knows a port or a clock, and bytes from outside raise nothing but DecodeError.
"""

from drivers.modbus.wire import rtu, tcp
from drivers.modbus.wire.pdu import (
    BIT_FUNCTIONS,
    LARGEST_ADDRESS,
    MOST,
    READ_COILS,
    READ_HOLDING,
    READ_INPUT_REGISTERS,
    READ_INPUTS,
    WRITE_COIL,
    WRITE_COILS,
    WRITE_REGISTER,
    WRITE_REGISTERS,
    Answer,
    ReadFunction,
    ReadRequest,
    Refusal,
    Request,
    Values,
    WriteFunction,
    WriteRequest,
    Written,
    decode_answer,
    decode_request,
    encode_answer,
    encode_refusal,
    encode_request,
    pack_bits,
    unpack_bits,
)

__all__ = [
    "BIT_FUNCTIONS",
    "LARGEST_ADDRESS",
    "MOST",
    "READ_COILS",
    "READ_HOLDING",
    "READ_INPUTS",
    "READ_INPUT_REGISTERS",
    "WRITE_COIL",
    "WRITE_COILS",
    "WRITE_REGISTER",
    "WRITE_REGISTERS",
    "Answer",
    "ReadFunction",
    "ReadRequest",
    "Refusal",
    "Request",
    "Values",
    "WriteFunction",
    "WriteRequest",
    "Written",
    "decode_answer",
    "decode_request",
    "encode_answer",
    "encode_refusal",
    "encode_request",
    "pack_bits",
    "rtu",
    "tcp",
    "unpack_bits",
]
