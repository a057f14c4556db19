"""Frames on a network: a head with a transaction id, then what is said. Raises only DecodeError.

Modbus Messaging on TCP/IP V1.0b (3.1.3). Words are big-endian, and there is no CRC:

    transaction:2  protocol:2 = 0  length:2  unit:1  what is said       length counts from the unit

A device repeats the transaction id of the request, so an answer that comes too late is known for
what it is and passed over. What was thrown away between two requests may have been the beginning of
such an answer, and its rest has no head: then the search goes on at the id that is waited for.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from drivers.modbus.wire import pdu
from gateway.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Hashable

LARGEST_TRANSACTION = 0xFFFF

_HEAD = struct.Struct(">HHHB")
_UNCOUNTED_BYTES = 6  # transaction, protocol, length
# A unit and at least a function; at most what the longest frame on a serial line says (256 bytes
# less its CRC).
_LENGTHS = range(2, 255)


class Answer:
    """Finds the answer to one request in the bytes that come back, however they are cut up."""

    sender: Hashable | None = None  # a late answer is nobody's: the bus need not wait for it

    def __init__(self, request: pdu.Request, transaction: int) -> None:
        self.longest = _HEAD.size + pdu.answer_size(request)
        self._request = request
        self._transaction = transaction
        self._mark = struct.pack(">HH", transaction, 0)
        self._bytes = bytearray()

    def feed(self, data: bytes) -> pdu.Answer | None:
        """The answer once it is whole, None before.

        Raises:
            DecodeError: what comes under this request's id is no Modbus, of another unit, or no
                answer to what was asked.
        """
        self._bytes += data
        while len(self._bytes) >= _HEAD.size:
            transaction, protocol, length, unit = _HEAD.unpack_from(self._bytes)
            if transaction == self._transaction:
                _check(protocol, length)
            elif protocol or length not in _LENGTHS:
                if not self._find_head():
                    return None
                continue
            end = _UNCOUNTED_BYTES + length
            if len(self._bytes) < end:
                return None
            said = bytes(self._bytes[_HEAD.size : end])
            del self._bytes[:end]
            if transaction == self._transaction:
                return self._answer(unit, said)
        return None

    def _answer(self, unit: int, said: bytes) -> pdu.Answer:
        if unit != self._request.unit:
            raise DecodeError(f"unit {unit} answers where {self._request.unit} was asked")
        return pdu.decode_answer(self._request, said)

    def _find_head(self) -> bool:
        """Throw away what comes before the head that is waited for; whether that is there."""
        start = self._bytes.find(self._mark, 1)
        keep = start if start >= 0 else len(self._bytes) - len(self._mark) + 1
        del self._bytes[:keep]
        return start >= 0


def encode(request: pdu.Request, transaction: int) -> bytes:
    """The bytes of a request; `transaction` is from 0 to LARGEST_TRANSACTION."""
    return frame(request.unit, pdu.encode_request(request), transaction)


def decode(data: bytes) -> tuple[int, pdu.Request]:
    """Transaction id and request, as the slave sees them.

    Raises:
        DecodeError: it is no request, or more or less than one.
    """
    if len(data) < _HEAD.size:
        raise DecodeError(f"{len(data)} bytes are no Modbus frame")
    transaction, protocol, length, unit = _HEAD.unpack_from(data)
    _check(protocol, length)
    if len(data) != _UNCOUNTED_BYTES + length:
        raise DecodeError(f"a frame of {len(data)} bytes says that {length} follow its length")
    return transaction, pdu.decode_request(unit, data[_HEAD.size :])


def frame(unit: int, said: bytes, transaction: int) -> bytes:
    """What a unit says or is told, framed."""
    return _HEAD.pack(transaction, 0, 1 + len(said), unit) + said


def _check(protocol: int, length: int) -> None:
    if protocol:
        raise DecodeError(f"protocol {protocol} is not Modbus")
    if length not in _LENGTHS:
        raise DecodeError(f"length {length} is none of a Modbus frame")
