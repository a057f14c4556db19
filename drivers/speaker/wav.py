"""What engine and player hand on: PCM in a RIFF file. Pure.

An engine that writes to a pipe does not know the length before it is done, and leaves nonsense in
the two lengths of the header. Players do not mind; a file should not keep it.
"""

from __future__ import annotations

from struct import pack, unpack_from

from gateway.errors import DecodeError

_RIFF_HEADER = 12
_CHUNK_HEADER = 8


def whole(data: bytes) -> bytes:
    """The same sound with the lengths that it has.

    Raises:
        DecodeError: it is no WAV, or there is no sound in it.
    """
    if len(data) < _RIFF_HEADER or data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise DecodeError("it is no WAV")
    at = _RIFF_HEADER
    while at + _CHUNK_HEADER <= len(data):
        name, (length,) = data[at : at + 4], unpack_from("<I", data, at + 4)
        begin = at + _CHUNK_HEADER
        if name == b"data":
            sound = data[begin : begin + length]
            if not sound:
                break
            head = data[_RIFF_HEADER:at] + b"data" + pack("<I", len(sound))
            return b"RIFF" + pack("<I", 4 + len(head) + len(sound)) + b"WAVE" + head + sound
        at = begin + length + length % 2
    raise DecodeError("there is no sound in it")


def silence(seconds: float, rate_hz: int = 22_050) -> bytes:
    """A WAV of nothing, 16 bits, one channel."""
    sound = bytes(2 * round(rate_hz * seconds))
    head = b"fmt " + pack("<IHHIIHH", 16, 1, 1, rate_hz, 2 * rate_hz, 2, 16)
    head += b"data" + pack("<I", len(sound))
    return b"RIFF" + pack("<I", 4 + len(head) + len(sound)) + b"WAVE" + head + sound
