"""Sound in a RIFF file: mended where an engine could not know its length."""

from __future__ import annotations

import io
import wave
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.speaker.wav import silence, whole
from gateway.errors import DecodeError


def frames(data: bytes) -> bytes:
    with wave.open(io.BytesIO(data)) as sound:
        return sound.readframes(sound.getnframes())


def test_silence_is_a_sound():
    assert frames(silence(0.5, 8000)) == bytes(8000)
    assert whole(silence(0.1)) == silence(0.1)


def test_lengths_that_a_pipe_left_wrong_are_mended():
    sound = bytearray(silence(0.1))
    sound[4:8] = sound[40:44] = pack("<I", 0x7FFFF000)
    assert whole(bytes(sound)) == silence(0.1)


def test_other_chunks_stay():
    sound = silence(0.1)
    extra = b"LIST" + pack("<I", 3) + b"abc\0"
    mended = whole(sound[:36] + extra + sound[36:] + b"tail" + pack("<I", 0))
    assert frames(mended) == frames(sound)
    assert extra in mended


@pytest.mark.parametrize(
    "data", [b"", b"RIFF", b"RIFF\0\0\0\0WAVE", silence(0), b"ID3" + bytes(99)]
)
def test_what_is_no_sound(data):
    with pytest.raises(DecodeError):
        whole(data)


@given(st.binary(max_size=80) | st.binary(max_size=80).map(lambda tail: b"RIFF\0\0\0\0WAVE" + tail))
def test_whatever_it_is(data):
    try:
        mended = whole(data)
    except DecodeError:
        return
    assert int.from_bytes(mended[4:8], "little") == len(mended) - 8
    assert whole(mended) == mended
