"""Hostile until decoded: any bytes on any characteristic of any family, and what once went wrong."""

import struct
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.wristband.families.colmi import Colmi
from drivers.wristband.families.fff0 import Fff0
from drivers.wristband.families.moyoung import Moyoung
from drivers.wristband.families.standard import Standard
from drivers.wristband.wire import colmi, fff0, moyoung
from drivers.wristband.wire.current_time import decode_current_time, encode_current_time
from drivers.wristband.wire.frame import check_frame, encode_frame
from drivers.wristband.wire.uuids import uuid_of
from gateway.codec import decode_event, encode_event
from gateway.errors import DecodeError
from gateway.model import Event, Kind, Stamp, TimeQuality

FAMILIES = [Standard, Colmi, Fff0, Moyoung]
STAMP = Stamp(bytes(8), 0, 0, TimeQuality.UNKNOWN)
MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31))

# Whole frames with any content; packets that begin well; fields behind well-formed flags.
FRAMES = st.builds(encode_frame, st.integers(0, 255), st.binary(max_size=14))
STEPS = st.builds(
    lambda quarter, index, total, rest: encode_frame(
        0x43, b"\x26\x11\x25" + bytes([quarter, index, total]) + rest
    ),
    st.integers(0, 96),
    st.integers(0, 3),
    st.integers(0, 3),
    st.binary(max_size=8),
)
PACKETS = st.builds(
    moyoung.encode_packet, st.integers(0, 255), st.binary(max_size=15), v2=st.booleans()
)
LIVE = st.builds(lambda rest: b"\x09" + rest, st.binary(min_size=20, max_size=31))
ANYTHING = st.one_of(st.binary(max_size=64), FRAMES, STEPS, PACKETS, LIVE)


def take(family, uuid, data):
    """Decode; what comes out always makes an event that the codec takes."""
    try:
        reading = family.decode(uuid, data)
    except DecodeError:
        return
    event = Event(Kind.MEASUREMENT, "band", STAMP, reading.measurements, detail=reading.detail)
    assert decode_event(encode_event(event)) == event


@pytest.mark.parametrize("make", FAMILIES)
@given(data=st.data())
def test_any_bytes_decode_or_are_refused(make, data):
    family = make()
    uuids = st.sampled_from([*family.told_by, uuid_of(0x2A00)])
    for uuid, value in data.draw(st.lists(st.tuples(uuids, ANYTHING), max_size=6)):
        take(family, uuid, value)


@given(
    st.sampled_from([0x2ACD, 0x2AD2, 0x2ACE, 0x2A67, 0x2A53]),
    st.integers(0, 0xFFFF),
    st.binary(max_size=48),
)
def test_any_fields_behind_any_flags(short, flags, fields):
    take(Standard(), uuid_of(short), struct.pack("<H", flags) + fields)


@given(st.integers(0, 255), st.binary(max_size=14), st.integers(0, 15), st.integers(1, 255))
def test_frames_are_sound_and_a_changed_byte_is_seen(command, payload, at, change):
    frame = encode_frame(command, payload)
    check_frame(frame, "x")
    broken = bytearray(frame)
    broken[at] ^= change
    with pytest.raises(DecodeError):
        check_frame(bytes(broken), "x")


@given(st.integers(0, 255), st.booleans(), st.data())
def test_packets_survive_any_fragmentation(rate, v2, data):
    packet = moyoung.encode_packet(moyoung.HEART_RATE, bytes([rate]), v2=v2)
    cuts = sorted(data.draw(st.sets(st.integers(4, len(packet) - 1))))
    decoder = moyoung.MoyoungDecoder()
    edges = [0, *cuts, len(packet)]
    readings = [decoder.decode(packet[a:b]) for a, b in pairwise(edges)]
    told = [m.value for reading in readings for m in reading.measurements]
    assert told == ([rate] if rate not in {0, 255} else [])
    assert decoder.v2 is v2


@given(st.integers(0, 2**32 - 1), st.integers(0, 255), st.integers(0, 850), st.integers(0, 100))
def test_live_values_come_back(steps, rate, tenths, spo2):
    counts = struct.pack("<IIIII", steps, 0, 0, 0, 0)
    reading = fff0.decode_fff0(b"\x09" + counts + struct.pack("<BHB", rate, tenths, spo2))
    told = {m.name: m.value for m in reading.measurements}
    assert told["steps"] == steps
    assert told.get("heart_rate", 0) == rate
    assert told.get("body_temperature", 0) == tenths / 10
    assert told.get("spo2", 0) == spo2


@given(st.lists(st.tuples(*[st.integers(0, 0xFFFF)] * 3), min_size=1, max_size=96))
def test_every_day_is_added_up(quarters):
    decoder = colmi.ColmiDecoder()
    decoder.decode(encode_frame(0x43, bytes([0xF0, len(quarters), 1])))
    for index, numbers in enumerate(quarters):
        counts = struct.pack("<HHH", *numbers)
        head = b"\x26\x11\x25" + bytes([index, index, len(quarters)])
        reading = decoder.decode(encode_frame(0x43, head + counts))
        assert bool(reading.measurements) is (index == len(quarters) - 1)
    told = {m.name: m.value for m in reading.measurements}
    assert told["steps"] == sum(steps for _, steps, _ in quarters)
    assert told["distance"] == sum(metres for _, _, metres in quarters)


@given(MOMENTS)
def test_the_time_comes_back(moment):
    back = decode_current_time(encode_current_time(moment))
    assert timedelta(0) <= moment - back <= timedelta(microseconds=3907)  # 1/256 s, rounded twice


# Inputs that are worth another look whenever a decoder changes: (family, characteristic, hex).
CORPUS = [
    (Standard, uuid_of(0x2ACE), "0100"),  # flags of 24 bits cut short
    (Standard, uuid_of(0x2ACD), "01e0"),  # reserved bits and nothing behind
    (Standard, uuid_of(0x2ACD), "6120" + "00" * 3),  # both paces and a reserved bit
    (Standard, uuid_of(0x2AD2), "210000"),  # a resistance of one byte
    (Standard, uuid_of(0x2A67), "ffff" + "ff" * 26),
    (Standard, uuid_of(0x2A67), "c000" + "00" * 7),  # a UTC time of zeros
    (Standard, uuid_of(0x2A53), "03ffffff"),
    (Standard, uuid_of(0x2A37), "10"),
    (Colmi, colmi.NOTIFY, "43f000" + "00" * 12 + "33"),  # a day of no frames
    (Colmi, colmi.NOTIFY, "43f0ff01" + "00" * 11 + "33"),
    (Colmi, colmi.NOTIFY, "ff" * 16),
    (Colmi, colmi.NOTIFY, "80" + "00" * 14 + "80"),
    (Fff0, fff0.NOTIFY, "09" + "ff" * 24),
    (Fff0, fff0.NOTIFY, "09" + "00" * 14 + "09"),  # what acknowledges "live on"
    (Fff0, fff0.NOTIFY, "16"),
    (Moyoung, moyoung.NOTIFY, "feeafffffe"),
    (Moyoung, moyoung.NOTIFY, "feea1000"),
    (Moyoung, moyoung.NOTIFY, "feeafeea"),
    (Moyoung, moyoung.STEPS, "ff" * 9),
    (Moyoung, uuid_of(0x2A19), "ff"),
]


@pytest.mark.parametrize(("make", "uuid", "data"), CORPUS)
def test_what_was_looked_at_before(make, uuid, data):
    family = make()
    take(family, uuid, bytes.fromhex(data))
    take(family, uuid, bytes.fromhex(data))  # and again, with what it left behind
