"""Requests, answers and refusals, whatever carries them. Pure; raises only DecodeError.

Modbus Application Protocol V1.1b3 (6.1 to 6.6, 6.11, 6.12, 7). All words are big-endian:

    read       01 coils, 02 inputs, 03 holding registers, 04 input registers
      request    function  address:2  count:2
      answer     function  bytes:1    values
    write one  05 coil, 06 holding register
      request    function  address:2  value:2       the value of a coil is FF00 or 0000
      answer     the same
    write many 0F coils, 10 holding registers
      request    function  address:2  count:2  bytes:1  values
      answer     function  address:2  count:2
    refusal    function | 80  code:1

Values are two bytes a register. Bits are eight to a byte, the lowest address in the lowest bit.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Literal

import msgspec

from gateway.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Sequence

ReadFunction = Literal[1, 2, 3, 4]
WriteFunction = Literal[5, 6, 15, 16]

READ_COILS: ReadFunction = 1
READ_INPUTS: ReadFunction = 2
READ_HOLDING: ReadFunction = 3
READ_INPUT_REGISTERS: ReadFunction = 4
WRITE_COIL: WriteFunction = 5
WRITE_REGISTER: WriteFunction = 6
WRITE_COILS: WriteFunction = 15
WRITE_REGISTERS: WriteFunction = 16

BIT_FUNCTIONS = frozenset({READ_COILS, READ_INPUTS, WRITE_COIL, WRITE_COILS})

LARGEST_ADDRESS = 0xFFFF

# How many bits or registers one request may be about: what the specification says of each.
MOST = {1: 2000, 2: 2000, 3: 125, 4: 125, 5: 1, 6: 1, 15: 1968, 16: 123}

_READ = frozenset({1, 2, 3, 4})
_REFUSAL_BIT = 0x80
_ON, _OFF = b"\xff\x00", b"\x00\x00"  # of a single coil
_COIL_WORDS = {_ON: b"\x01", _OFF: b"\x00"}
_HEAD_BYTES = 5  # function, address, and count or value

# Application protocol, 7. Others are named by number.
_REFUSALS = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "device failure",
    5: "acknowledge, still busy",
    6: "device busy",
    7: "negative acknowledge",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target does not answer",
}


class ReadRequest(msgspec.Struct, frozen=True):
    """`count` bits or registers from `address` of one unit; DecodeError if no unit could answer."""

    unit: int
    function: ReadFunction
    address: int
    count: int

    def __post_init__(self) -> None:
        _check(self, _READ)


class WriteRequest(msgspec.Struct, frozen=True):
    """New values of `count` coils or holding registers from `address` of one unit.

    `data` is as `Values` has it. DecodeError if there is no such request.
    """

    unit: int
    function: WriteFunction
    address: int
    count: int
    data: bytes

    def __post_init__(self) -> None:
        _check(self, MOST.keys() - _READ)
        if len(self.data) != _size(self):
            raise DecodeError(f"{len(self.data)} bytes to write to {self.count} places")
        if self.function == WRITE_COIL and self.data not in _COIL_WORDS.values():
            raise DecodeError("a coil is on or off")


Request = ReadRequest | WriteRequest


class Values(msgspec.Struct, frozen=True):
    """What was read: two bytes a register, high byte first, or bits as `pack_bits` makes them."""

    data: bytes


class Written(msgspec.Struct, frozen=True):
    """The unit says that it has done what it was told."""


class Refusal(msgspec.Struct, frozen=True):
    """The unit answered, and its answer was no."""

    code: int

    def __str__(self) -> str:
        return _REFUSALS.get(self.code, f"exception {self.code}")


Answer = Values | Written | Refusal


def pack_bits(bits: Sequence[bool]) -> bytes:
    """Bits as they are on the wire: eight to a byte, the first in the lowest bit."""
    number = sum(bit << index for index, bit in enumerate(bits))
    return number.to_bytes(-(-len(bits) // 8), "little")


def unpack_bits(data: bytes, count: int) -> list[bool]:
    """The first `count` bits of what `pack_bits` made; bits that are not there are off."""
    number = int.from_bytes(data, "little")
    return [bool(number >> index & 1) for index in range(count)]


def encode_request(request: Request) -> bytes:
    """What the unit is asked or told, from the function on."""
    if isinstance(request, ReadRequest):
        return struct.pack(">BHH", request.function, request.address, request.count)
    head = struct.pack(">BH", request.function, request.address)
    if request.function == WRITE_COIL:
        return head + (_ON if request.data[0] else _OFF)
    if request.function == WRITE_REGISTER:
        return head + request.data
    return head + struct.pack(">HB", request.count, len(request.data)) + request.data


def decode_request(unit: int, pdu: bytes) -> Request:
    """A request as the unit sees it; DecodeError if it is none."""
    if len(pdu) < _HEAD_BYTES:
        raise DecodeError(f"a request of {len(pdu)} bytes")
    function, address, word = struct.unpack_from(">BHH", pdu)
    rest = pdu[_HEAD_BYTES:]
    if function in {WRITE_COILS, WRITE_REGISTERS}:
        if not rest or rest[0] != len(rest) - 1:
            raise DecodeError("the byte count of a request is not that of its values")
        return WriteRequest(unit, function, address, word, rest[1:])
    if rest:
        raise DecodeError(f"{len(rest)} bytes after a request")
    if function == WRITE_COIL:
        return WriteRequest(unit, function, address, 1, _coil(pdu[3:]))
    if function == WRITE_REGISTER:
        return WriteRequest(unit, function, address, 1, pdu[3:])
    return ReadRequest(unit, function, address, word)


def answer_head(request: Request) -> bytes:
    """How the answer to a request begins, in so far as the request says it."""
    if isinstance(request, ReadRequest):
        return bytes((request.function, _size(request)))
    return encode_request(request)[:_HEAD_BYTES]


def answer_size(request: Request) -> int:
    """How many bytes the answer to a request has, from the function on."""
    return 2 + _size(request) if isinstance(request, ReadRequest) else _HEAD_BYTES


def refusal_head(request: Request) -> bytes:
    """How a refusal of a request begins; one byte follows, the code."""
    return bytes((request.function | _REFUSAL_BIT,))


def decode_answer(request: Request, pdu: bytes) -> Answer:
    """What a unit says to a request.

    Raises:
        DecodeError: it is no answer to this request: of another function, about other values, cut
            short, or longer than it says.
    """
    head, size = answer_head(request), answer_size(request)
    if pdu.startswith(head) and len(pdu) == size:
        return Values(pdu[2:]) if isinstance(request, ReadRequest) else Written()
    if not pdu:
        raise DecodeError("an empty answer")
    if pdu[:1] == refusal_head(request):
        if len(pdu) != 2:
            raise DecodeError(f"a refusal of {len(pdu)} bytes")
        return Refusal(pdu[1])
    if pdu[0] != request.function:
        raise DecodeError(f"function {pdu[0]} answers where {request.function} was asked")
    if not pdu.startswith(head[: len(pdu)]):
        raise DecodeError(f"the answer begins {pdu[: len(head)].hex(' ')}, not {head.hex(' ')}")
    raise DecodeError(f"an answer of {len(pdu)} bytes where {size} were asked for")


def encode_answer(request: Request, data: bytes = b"") -> bytes:
    """What a unit says to a request, from the function on; `data` is what was read."""
    return answer_head(request) + data


def encode_refusal(request: Request, code: int) -> bytes:
    """The refusal of a request, from the function on."""
    return refusal_head(request) + bytes((code,))


def _coil(word: bytes) -> bytes:
    if word not in _COIL_WORDS:
        raise DecodeError(f"a coil is told {word.hex(' ')}; it is on, FF00, or off, 0000")
    return _COIL_WORDS[word]


def _size(request: Request) -> int:
    """How many bytes the values have."""
    if request.function in BIT_FUNCTIONS:
        return -(-request.count // 8)
    return 2 * request.count


def _check(request: Request, functions: frozenset[int] | set[int]) -> None:
    if request.function not in functions:
        raise DecodeError(f"Modbus function {request.function}")
    if not 0 <= request.unit <= 0xFF:
        raise DecodeError(f"unit {request.unit}")
    if not 1 <= request.count <= MOST[request.function]:
        raise DecodeError(f"{request.count} places in one request")
    if not 0 <= request.address <= LARGEST_ADDRESS + 1 - request.count:
        raise DecodeError(f"places beyond {LARGEST_ADDRESS}")
