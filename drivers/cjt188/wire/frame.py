"""CJ/T 188 frames: bytes in, frames out. Pure; raises only DecodeError.

Line: 2400 baud 8E1 unless the maker says otherwise, half duplex, the meter only answers.

    FE FE FE FE   1 to 4 bytes to wake the receiver; no part of the frame
    68            start
    T             type: 10 cold water, 11 hot, 12 drinking, 13 reclaimed, 20-22 heat, 30 gas
    A0 .. A6      address, 7 bytes BCD, low byte first; see `address.py`
    C             control: b7 answer, b6 error, b5 more follows, b4-b0 function
    L             length of the data
    DATA          DI0 DI1 SER, then what the identifier calls for
    CS            sum of all bytes from 68 through DATA, modulo 256
    16            end

SER is chosen by the master and should come back; meters are known that do not care, so it is not
checked. A request is always the same, so an answer that comes late is old but never another's.

A refusal has b6 set and ends in a status of the maker's. Sources disagree whether DI stands before
SER in it (KingDa, `CJT8_188_ErrACK_Struct`: no; golden vectors of a public parser: yes), so its
data is shown and not read. "More follows" is in no answer that is asked for here; a frame that
claims it is no answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from drivers.cjt188.wire.address import WILDCARD, matches
from gateway.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Hashable

ANSWER_BIT, ERROR_BIT = 0x80, 0x40
COLD_WATER = 0x10

_PREAMBLE_BYTE = 0xFE
_PREAMBLE = bytes([_PREAMBLE_BYTE]) * 4
_START, _END = 0x68, 0x16
_HEAD_BYTES = 11  # 68 T A0..A6 C L
_TAIL_BYTES = 2  # CS 16
_MOST_DATA = 26  # of the answers that are asked for here: a freeze
_DI_BYTES = 2


class Frame(msgspec.Struct, frozen=True):
    """One frame. `address` as it is on the wire, low byte first."""

    meter_type: int
    address: bytes
    control: int
    data: bytes


class Refusal(msgspec.Struct, frozen=True):
    """The meter answered, and its answer was no; `status` in the maker's own code."""

    status: bytes


class FrameAnswer:
    """Finds the answer to one request in the bytes that come back, however they are cut up."""

    def __init__(self, request: Frame) -> None:
        self.sender: Hashable = ("cjt188", request.address)
        self.longest = len(_PREAMBLE) + _HEAD_BYTES + _MOST_DATA + _TAIL_BYTES
        self.stranger: Frame | None = None  # the right answer, but of another meter
        self._request = request
        self._bytes = bytearray()

    def feed(self, data: bytes) -> Frame | Refusal | None:
        """The answer once it is whole, None before; DecodeError if there is more than one."""
        self._bytes += data
        frames, _ = split_frames(bytes(self._bytes))
        found = [answer for answer in map(self._match, frames) if answer]
        if len(found) > 1:
            raise DecodeError(f"{len(found)} answers to one request")
        return found[0] if found else None

    def _match(self, frame: Frame) -> Frame | Refusal | None:
        asked = self._request
        answers = frame.control == asked.control | ANSWER_BIT
        answers = answers and frame.data[:_DI_BYTES] == asked.data[:_DI_BYTES]
        if not _means(asked, frame):
            self.stranger = frame if answers else self.stranger
            return None
        if frame.control == asked.control | ANSWER_BIT | ERROR_BIT:
            return Refusal(frame.data)
        return frame if answers else None


def encode(frame: Frame) -> bytes:
    """A frame with the bytes that wake the receiver."""
    head = bytes([_START, frame.meter_type, *frame.address, frame.control, len(frame.data)])
    body = head + frame.data
    return _PREAMBLE + body + bytes([sum(body) & 0xFF, _END])


def decode_frame(data: bytes) -> Frame:
    """One frame, whole and without preamble; DecodeError if it is damaged."""
    if len(data) < _HEAD_BYTES + _TAIL_BYTES or data[0] != _START or data[-1] != _END:
        raise DecodeError("not a CJ/T 188 frame")
    length = data[_HEAD_BYTES - 1]
    if len(data) != _HEAD_BYTES + length + _TAIL_BYTES:
        raise DecodeError(
            f"a CJ/T 188 frame of {len(data)} bytes that says it has {length} of data"
        )
    if sum(data[:-2]) & 0xFF != data[-2]:
        raise DecodeError("the checksum of a CJ/T 188 frame is wrong")
    return Frame(data[1], data[2:9], data[9], data[_HEAD_BYTES:-_TAIL_BYTES])


def split_frames(data: bytes) -> tuple[list[Frame], bytes]:
    """All whole frames in what was heard, and the bytes that belong to none, preambles left out.

    A 68 may be noise or lie within data. Where no whole frame begins with it, the search goes on at
    the next byte, so noise in front of a frame costs nothing but itself.
    """
    frames: list[Frame] = []
    rest = bytearray()
    at = 0
    while at < len(data):
        frame = _frame_at(data, at)
        if frame:
            frames.append(frame)
            at += _HEAD_BYTES + len(frame.data) + _TAIL_BYTES
            continue
        if data[at] != _PREAMBLE_BYTE:
            rest.append(data[at])
        at += 1
    return frames, bytes(rest)


def _frame_at(data: bytes, start: int) -> Frame | None:
    """The whole frame that begins here, if one does."""
    if data[start] != _START or len(data) < start + _HEAD_BYTES:
        return None
    end = start + _HEAD_BYTES + data[start + _HEAD_BYTES - 1] + _TAIL_BYTES
    if len(data) < end:
        return None
    try:
        return decode_frame(data[start:end])
    except DecodeError:
        return None


def _means(asked: Frame, frame: Frame) -> bool:
    """Whether a request was for the meter that sent this."""
    right_type = asked.meter_type in {WILDCARD, frame.meter_type}
    return right_type and matches(asked.address, frame.address)
