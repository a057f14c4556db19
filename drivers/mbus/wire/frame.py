"""M-Bus frames: bytes in, frames out. Pure; raises only DecodeError.

Line: 2400 baud 8E1 unless the meter was told otherwise, half duplex, the meter only answers.

    E5                                           one byte: understood
    10  C A           CS 16                      short: a question without data
    68  L L 68  C A CI DATA  CS 16               long: L counts C through DATA, 3 to 255

    C    what is asked or answered; see `requests.py`, and `answer.py` for what comes back
    A    the meter's address, in both directions: 0 to 250, FD the selected one, FE and FF all
    CI   what DATA is
    CS   sum of all bytes from C through DATA, modulo 256

Source: "The M-Bus: A Documentation", chapter 5 (m-bus.com/documentation-wired).
"""

from __future__ import annotations

import msgspec

from gateway.errors import DecodeError

ACK = 0xE5
LONGEST_FRAME = 255 + 6  # L at its most, and 68 L L 68, CS 16

_SHORT_START, _LONG_START, _END = 0x10, 0x68, 0x16
_SHORT_BYTES = 5
_HEAD_BYTES = 4  # 68 L L 68
_TAIL_BYTES = 2  # CS 16
_LEAST_L, _MOST_L = 3, 255


class Frame(msgspec.Struct, frozen=True):
    """One frame; `ci` is None in a short one."""

    control: int
    address: int
    ci: int | None = None
    data: bytes = b""


def encode(frame: Frame) -> bytes:
    """A frame as bytes; DecodeError if its data is longer than a frame can be."""
    if frame.ci is None:
        body = bytes([frame.control, frame.address])
        return bytes([_SHORT_START]) + body + bytes([sum(body) & 0xFF, _END])
    body = bytes([frame.control, frame.address, frame.ci]) + frame.data
    if len(body) > _MOST_L:
        raise DecodeError(f"{len(body)} bytes for an M-Bus frame; {_MOST_L} is the most")
    head = bytes([_LONG_START, len(body), len(body), _LONG_START])
    return head + body + bytes([sum(body) & 0xFF, _END])


def decode_frame(data: bytes) -> Frame:
    """One frame, whole and with nothing around it; DecodeError if it is damaged."""
    if _length_at(data, 0) != len(data):
        raise DecodeError("not an M-Bus frame")
    start = 1 if data[0] == _SHORT_START else _HEAD_BYTES
    body = data[start:-_TAIL_BYTES]
    if data[-1] != _END:
        raise DecodeError("an M-Bus frame without its end")
    if sum(body) & 0xFF != data[-_TAIL_BYTES]:
        raise DecodeError("the checksum of an M-Bus frame is wrong")
    if data[0] == _SHORT_START:
        return Frame(body[0], body[1])
    return Frame(body[0], body[1], body[2], body[_LEAST_L:])


def split_frames(data: bytes) -> tuple[list[Frame], bytes]:
    """All whole frames in what was heard, and the bytes that belong to none.

    A 10 or 68 may be noise or lie within data. Where no whole frame begins with it, the search goes
    on at the next byte, so noise in front of a frame costs nothing but itself. An E5 is no frame
    here: within noise it means nothing, and who expects one looks at the rest.
    """
    frames: list[Frame] = []
    rest = bytearray()
    at = 0
    while at < len(data):
        length = _length_at(data, at)
        frame = _whole(data[at : at + length]) if length else None
        if frame:
            frames.append(frame)
            at += length
        else:
            rest.append(data[at])
            at += 1
    return frames, bytes(rest)


def _length_at(data: bytes, at: int) -> int:
    """How many bytes a frame that begins here has, by its head; 0 if none does."""
    head = data[at : at + _HEAD_BYTES]
    if head[:1] == bytes([_SHORT_START]):
        return _SHORT_BYTES
    if len(head) < _HEAD_BYTES or head[0] != _LONG_START or head[3] != _LONG_START:
        return 0
    if head[1] != head[2] or head[1] < _LEAST_L:
        return 0
    return _HEAD_BYTES + head[1] + _TAIL_BYTES


def _whole(data: bytes) -> Frame | None:
    try:
        return decode_frame(data)
    except DecodeError:
        return None
