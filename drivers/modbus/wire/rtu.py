"""Frames on a serial line: unit, what is said, CRC. Pure; raises only DecodeError.

Modbus over serial line V1.02 (2.5.1):

    unit:1  what is said  crc:2

The CRC has its low byte first. A frame has no start byte, no length of its own and no transaction
id; the line frames it by silence, which an operating system does not pass on. So an answer is
looked for by all that is known of it: unit, function, byte count or the address and value it
echoes, length and CRC. Noise before it, an echo of the request, or a frame of another unit do not
match and are passed over. One echo does match: the answer to writing one coil or register *is* the
request. So a yes to a write is a hint, and reading back is the proof; `drivers/modbus/writer.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.modbus.wire import pdu
from gateway.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Hashable

_REFUSAL_BYTES = 5
_CRC_BYTES = 2


class Answer:
    """Finds the answer to one request in the bytes that come back, however they are cut up."""

    def __init__(self, request: pdu.Request) -> None:
        unit = bytes((request.unit,))
        self.sender: Hashable | None = ("modbus", request.unit)
        self.longest = 1 + pdu.answer_size(request) + _CRC_BYTES
        self._request = request
        self._bytes = bytearray()
        self._answers = _Scan(unit + pdu.answer_head(request), self.longest)
        self._refusals = _Scan(unit + pdu.refusal_head(request), _REFUSAL_BYTES)

    def feed(self, data: bytes) -> pdu.Answer | None:
        """The answer once it is whole, None before; DecodeError if there are several."""
        self._bytes += data
        said = [*self._answers.more(self._bytes), *self._refusals.more(self._bytes)]
        if not said:
            return None
        # Two yeses to a write are one and the echo of the request; two readings are two devices.
        is_read = isinstance(self._request, pdu.ReadRequest)
        if len(said if is_read else set(said)) > 1:
            raise DecodeError(f"{len(said)} answers to one request")
        return pdu.decode_answer(self._request, said[0])


class _Scan:
    """Looks for frames of one head and one length, and looks at no byte twice."""

    def __init__(self, head: bytes, length: int) -> None:
        self._head = head
        self._length = length
        self._from = 0  # before this no frame begins, or it was told

    def more(self, data: bytearray) -> list[bytes]:
        """What is said in the frames that are whole now and were not before."""
        said: list[bytes] = []
        while (start := data.find(self._head, self._from)) >= 0:
            end = start + self._length
            if end > len(data):
                self._from = start
                return said
            frame = bytes(data[start:end])
            if crc16(frame) == 0:
                said.append(frame[1:-_CRC_BYTES])
            self._from = start + 1
        # The last bytes may be the beginning of a head.
        self._from = max(self._from, len(data) - len(self._head) + 1)
        return said


def encode(request: pdu.Request) -> bytes:
    """The bytes of a request."""
    return frame(request.unit, pdu.encode_request(request))


def decode(data: bytes) -> pdu.Request:
    """A request, as the slave sees it; DecodeError if it is none, or damaged."""
    if len(data) <= 1 + _CRC_BYTES or crc16(data):
        raise DecodeError("not a Modbus frame")
    return pdu.decode_request(data[0], data[1:-_CRC_BYTES])


def frame(unit: int, said: bytes) -> bytes:
    """What a unit says or is told, framed."""
    body = bytes((unit,)) + said
    return body + crc16(body).to_bytes(_CRC_BYTES, "little")


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
