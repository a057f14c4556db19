"""Bytes that nobody meant: whatever they are, nothing but DecodeError comes of them."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st
from mbus_telegrams import ALL, METER

from drivers.mbus import wire
from drivers.mbus.search import PrimarySearch, Search
from drivers.mbus.told import MOST_VALUES, clock_of, told
from gateway.codec import encode_event
from gateway.errors import DecodeError
from gateway.model import Event, Kind, Stamp, TimeQuality

PUBLISHED = [data for data in ALL.values() if data[0] == 0x68]
ADDRESS = 5


def read(frame: wire.Frame) -> None:
    """All that becomes of a telegram; what is told of it fits an event."""
    try:
        found = wire.decode_telegram(frame)
    except DecodeError:
        return
    if isinstance(found, wire.Refusal):
        return
    reading = told([found])
    clock_of([found])
    assert len(reading.measurements) <= MOST_VALUES
    assert len({it.name for it in reading.measurements}) == len(reading.measurements)
    assert all(math.isfinite(it.value) for it in reading.measurements if type(it.value) is float)
    stamp = Stamp(b"bootboot", 0, 0, TimeQuality.UNKNOWN)
    encode_event(Event(Kind.MEASUREMENT, "m", stamp, reading.measurements))


def hear(data: bytes) -> None:
    """All that becomes of bytes from the line."""
    for frame in wire.split_frames(data)[0]:
        read(frame)
    for answer in (
        wire.DataAnswer(wire.ask(ADDRESS, fcb=True)),
        wire.DataAnswer(wire.ask(wire.SELECTED, fcb=True), METER),
        wire.AckAnswer(wire.select(METER), METER),
    ):
        try:
            answer.feed(data)
        except DecodeError:
            continue


@st.composite
def mutated(draw):
    """A published telegram with bytes changed, cut out and put in, and its sum and lengths right."""
    body = bytearray(draw(st.sampled_from(PUBLISHED))[4:-2])
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(3, len(body) - 1))
        body[at : at + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
        if len(body) < 5:
            body += b"\0\0"
    body = body[:255]
    return bytes([0x68, len(body), len(body), 0x68, *body, sum(body) & 0xFF, 0x16])


@given(st.binary(max_size=300))
def test_noise(data):
    hear(data)


@given(mutated())
def test_mutated_telegrams(data):
    hear(data)


@given(st.binary(max_size=240))
def test_records(data):
    frame = wire.Frame(8, ADDRESS, 0x72, wire.encode_identification(METER) + bytes(4) + data)
    read(frame)


@given(st.integers(0, 255), st.binary(max_size=40))
def test_every_ci(ci, data):
    read(wire.Frame(8, ADDRESS, ci, data))


@given(st.lists(st.binary(max_size=60) | mutated(), max_size=40), st.booleans())
def test_searches(heard, primary):
    conversation = PrimarySearch() if primary else Search()
    for data in heard:
        if conversation.question:
            conversation.heard(data)
