"""Modbus RTU frames: bytes in, registers out. Pure; raises only DecodeError.

Modbus Application Protocol V1.1b3 (6.3, 6.4, 7) and Modbus over serial line V1.02 (2.5):

    request    unit  function  address:2  count:2                 crc:2
    answer     unit  function  bytes:1    register values:2*count crc:2
    refusal    unit  function | 80        code:1                  crc:2

Words are big-endian, the CRC is little-endian. A frame has no start byte, no length of its own and
no transaction id; the line frames it by silence, which an operating system does not pass on. So an
answer is looked for by all that is known of it: unit, function, byte count and CRC. Noise before
it, an echo of the request, or a frame of another unit do not match and are passed over.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Literal

import msgspec

from gateway.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Hashable

Function = Literal[3, 4]  # read holding registers, read input registers

MOST_REGISTERS = 125  # of one request: the byte count of the answer must fit its byte
LARGEST_ADDRESS = 0xFFFF

_REFUSAL_BIT = 0x80
_REFUSAL_BYTES = 5
_REQUEST_BYTES = 8
# Application protocol, 7. The others (acknowledge, memory parity, gateway) are named by number.
_REFUSALS = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "device failure",
    5: "acknowledge, still busy",
    6: "device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target does not answer",
}


class ReadRequest(msgspec.Struct, frozen=True):
    """`count` registers from `address` of one unit."""

    unit: int
    function: Function
    address: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MOST_REGISTERS:
            raise DecodeError(f"{self.count} registers in one request")
        if not 0 <= self.address <= LARGEST_ADDRESS + 1 - self.count:
            raise DecodeError(f"registers beyond {LARGEST_ADDRESS}")


class Registers(msgspec.Struct, frozen=True):
    """Register values as they came: two bytes each, high byte first."""

    data: bytes


class Refusal(msgspec.Struct, frozen=True):
    """The unit answered, and its answer was no."""

    code: int

    def __str__(self) -> str:
        return _REFUSALS.get(self.code, f"exception {self.code}")


class ReadAnswer:
    """Finds the answer to one request in the bytes that come back, however they are cut up."""

    def __init__(self, request: ReadRequest) -> None:
        self.sender: Hashable = ("modbus", request.unit)
        self.longest = 3 + 2 * request.count + 2
        self._answer_head = bytes([request.unit, request.function, 2 * request.count])
        self._refusal_head = bytes([request.unit, request.function | _REFUSAL_BIT])
        self._bytes = bytearray()

    def feed(self, data: bytes) -> Registers | Refusal | None:
        """The answer once it is whole, None before; DecodeError if there is more than one."""
        self._bytes += data
        frames = [f for f in map(self._frame_at, range(len(self._bytes))) if f]
        if len(frames) > 1:
            raise DecodeError(f"{len(frames)} answers to one request")
        if not frames:
            return None
        body = frames[0][:-2]
        if body[1] & _REFUSAL_BIT:
            return Refusal(body[2])
        return Registers(body[3:])

    def _frame_at(self, start: int) -> bytes | None:
        """The whole frame that begins here, if one does."""
        for head, length in (
            (self._answer_head, self.longest),
            (self._refusal_head, _REFUSAL_BYTES),
        ):
            if self._bytes.startswith(head, start):
                frame = bytes(self._bytes[start : start + length])
                if len(frame) == length and crc16(frame) == 0:
                    return frame
        return None


def encode_request(request: ReadRequest) -> bytes:
    """The bytes of a read request."""
    head = (request.unit, request.function, request.address, request.count)
    return _with_crc(struct.pack(">BBHH", *head))


def decode_request(frame: bytes) -> ReadRequest:
    """A read request, as the slave sees it; DecodeError if it is none, or damaged."""
    if len(frame) != _REQUEST_BYTES or crc16(frame):
        raise DecodeError("not a Modbus read request")
    unit, function, address, count = struct.unpack(">BBHH", frame[:-2])
    if function not in {3, 4}:
        raise DecodeError(f"Modbus function {function}")
    return ReadRequest(unit, function, address, count)


def encode_answer(request: ReadRequest, data: bytes) -> bytes:
    """The bytes of an answer; `data` is two bytes a register, high byte first."""
    return _with_crc(bytes([request.unit, request.function, len(data)]) + data)


def encode_refusal(request: ReadRequest, code: int) -> bytes:
    """The bytes of a refusal."""
    return _with_crc(bytes([request.unit, request.function | _REFUSAL_BIT, code]))


def _crc_of(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0xA001 if byte & 1 else 0)
    return byte


_CRC_TABLE = tuple(_crc_of(byte) for byte in range(256))


def crc16(data: bytes) -> int:
    """CRC-16/MODBUS. Over a frame with its CRC at the end it is 0."""
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc


def _with_crc(body: bytes) -> bytes:
    return body + crc16(body).to_bytes(2, "little")
