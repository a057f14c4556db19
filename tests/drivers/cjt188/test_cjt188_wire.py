"""CJ/T 188 frames: vectors from the field, round trips, and bytes that are no frames."""

from datetime import datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.cjt188.wire import (
    Frame,
    FrameAnswer,
    Reading,
    Refusal,
    Status,
    address_request,
    decode_frame,
    decode_reading,
    encode,
    encode_address,
    encode_reading,
    encode_short_reading,
    printed_address,
    read_request,
    split_frames,
    wire_address,
)
from gateway.errors import DecodeError

# From meter makers' protocol notes as published with worked examples: meter 78330011223344, read at
# 2015-05-11 22:01:31. The notes print 08 for the sum of the answer, which is not the sum of its
# bytes (users of the notes remarked on it); here it is 13, what the bytes add up to.
READ = "fefefefe 68 10 44332211003378 01 03 1f9000 80 16"
ANSWER = (
    "fefefefe 68 10 44332211003378 81 16 1f9000 00776655 2c 00776655 2c 31012211051520 2184 13 16"
)
# Address request and answer from public notes on meters that want the high byte first.
ASK_ADDRESS = "68 aa aaaaaaaaaaaaaa 03 03 810a00 49 16"
ADDRESS = "68 10 12000000000000 83 03 810a00 9b 16"
# Short answer and refusal, from a public parser's golden vectors.
SHORT = "fefefe 68 10 77665544332211 81 09 901f01 78563412 00 ff a1 16"
REFUSAL = "68 30 77665544332211 c1 04 901f01 02 eb 16"

addresses = st.binary(min_size=7, max_size=7)
orders = st.sampled_from(["low-first", "high-first"])
cuts = st.lists(st.integers(0, 60), max_size=6)


def raw(text):
    return bytes.fromhex(text)


def frame_of(text):
    return decode_frame(raw(text).lstrip(b"\xfe"))


def request(address="78330011223344", order="low-first", meter_type=0x10):
    return read_request(wire_address(address), meter_type, order)


def test_read_request_vector():
    assert encode(request()) == raw(READ)


def test_reading_vector():
    answer = FrameAnswer(request()).feed(raw(ANSWER))
    assert decode_reading(answer) == Reading(
        volume_m3=556677.0,
        settled_m3=556677.0,
        clock=datetime(2015, 5, 11, 22, 1, 31),
        status=Status(raw("2184")),
    )


def test_address_vectors():
    asked = address_request("high-first")
    assert encode(asked) == b"\xfe" * 4 + raw(ASK_ADDRESS)
    answer = FrameAnswer(asked).feed(raw(ADDRESS))
    assert printed_address(answer.address) == "00000000000012"


def test_short_reading_vector():
    asked = request("11223344556677", "high-first")
    reading = decode_reading(FrameAnswer(asked).feed(raw(SHORT)))
    assert reading.volume_m3 == 123456.78
    assert (reading.settled_m3, reading.clock) == (None, None)
    assert reading.status == Status(raw("00ff"))


def test_refusal_vector():
    asked = request("11223344556677", "high-first", meter_type=0x30)
    assert FrameAnswer(asked).feed(raw(REFUSAL)) == Refusal(raw("901f0102"))


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (request("78330011223345"), "another meter"),
        (request(order="high-first"), "the other byte order"),
        (request(meter_type=0x11), "another type of meter"),
        (Frame(0x10, wire_address("78330011223344"), 3, b"\x0a\x81\0"), "another function"),
    ],
)
def test_an_answer_to_another_request_is_never_taken(other, why):
    assert FrameAnswer(other).feed(raw(ANSWER)) is None, why


@pytest.mark.parametrize(
    ("unit", "m3"), [(0x29, 0.012_34), (0x2A, 0.1234), (0x2B, 1.234), (0x2C, 12.34), (0x2D, 123.4)]
)
def test_units(unit, m3):
    data = raw("1f9000 34120000") + bytes([unit]) + raw("00000000 2c 31012211051520 0000")
    assert decode_reading(Frame(0x10, bytes(7), 0x81, data)).volume_m3 == m3


@pytest.mark.parametrize(
    ("data", "names"),
    [
        ("1f9000 ffffffff 2c 00776655 2c 31012211051520 0000", {"volume"}),
        ("1f9000 00776655 35 00776655 2c 31012211051520 0000", {"volume"}),
        ("1f9000 00776655 2c ffffffff ff ffffffffffffff 0000", {"volume_settled", "clock"}),
        ("1f9000 00776655 2c 00776655 2c 31012211130520 0000", {"clock"}),  # month 13
        ("1f9000 00776655 2c 00776655 2c 61012211051520 0000", {"clock"}),  # second 61
    ],
)
def test_absurd_fields_are_named_and_the_others_kept(data, names):
    reading = decode_reading(Frame(0x10, bytes(7), 0x81, raw(data)))
    assert reading.absurd.keys() == names
    assert (reading.volume_m3 is None) == ("volume" in names)
    assert (reading.clock is None) == ("clock" in names)


@pytest.mark.parametrize(
    ("status", "flags"),
    [
        (0, (False,) * 3),
        (1, (True, False, False)),
        (3, (True, True, False)),
        (4, (False, False, True)),
    ],
)
def test_status(status, flags):
    data = raw("1f9000 00776655 2c 00776655 2c 31012211051520") + bytes([status, 0])
    said = decode_reading(Frame(0x10, bytes(7), 0x81, data)).status
    assert (said.valve_closed, said.valve_fault, said.battery_low) == flags


def test_every_bit_of_the_status_can_be_asked_for():
    status = Status(raw("2184"))
    assert [bit for bit in range(8) if status.bit(0, bit)] == [0, 5]
    assert [bit for bit in range(8) if status.bit(1, bit)] == [2, 7]


@pytest.mark.parametrize("length", [0, 3, 8, 10, 21, 23])
def test_unknown_layouts_are_refused(length):
    with pytest.raises(DecodeError, match="9 and 22 are known"):
        decode_reading(Frame(0x10, bytes(7), 0x81, bytes(length)))


@given(st.integers(0, 255), addresses, st.integers(0, 255), st.binary(max_size=255))
def test_frames_round_trip(meter_type, address, control, data):
    frame = Frame(meter_type, address, control, data)
    assert decode_frame(encode(frame)[4:]) == frame


@given(addresses, orders, st.integers(0, 999_999_990), st.datetimes(), cuts, st.binary(max_size=20))
def test_readings_round_trip_however_they_are_cut(address, order, litres, clock, at, noise):
    asked = read_request(address, 0x10, order)
    when = clock.replace(microsecond=0)
    sent = noise + encode(encode_reading(asked, address, litres, when))
    answer, found = FrameAnswer(asked), None
    for a, b in pairwise(sorted({0, len(sent), *(c for c in at if c < len(sent))})):
        found = answer.feed(sent[a:b]) or found
    reading = decode_reading(found)
    assert reading.volume_m3 == pytest.approx(litres // 10 * 10 / 1000)
    assert reading.clock == when


@given(addresses, orders, st.integers(0, 999_999_990), st.binary(min_size=2, max_size=2))
def test_short_readings_round_trip(address, order, litres, status):
    asked = read_request(address, 0x10, order)
    said = encode(encode_short_reading(asked, address, litres, status))
    reading = decode_reading(FrameAnswer(asked).feed(said))
    assert reading.volume_m3 == pytest.approx(litres // 10 * 10 / 1000)
    assert (reading.clock, reading.status) == (None, Status(status))


@given(addresses, orders)
def test_addresses_round_trip(address, order):
    asked = address_request(order)
    answer = FrameAnswer(asked).feed(encode(encode_address(asked, address)))
    assert wire_address(printed_address(answer.address)) == address


@given(st.data())
def test_a_flipped_bit_is_no_answer(data):
    sent = bytearray(raw(ANSWER)[4:])
    bit = data.draw(st.integers(0, 8 * len(sent) - 1))
    sent[bit // 8] ^= 1 << bit % 8
    assert FrameAnswer(request()).feed(bytes(sent)) is None


def test_two_answers_at_once_are_refused():
    with pytest.raises(DecodeError, match="2 answers"):
        FrameAnswer(request()).feed(raw(ANSWER) * 2)


@pytest.mark.parametrize(
    ("other", "is_stranger"),
    [
        (request("78330011223345"), True),
        (request(meter_type=0x11), True),
        (request(), False),
        (request("78330011223345", "high-first"), False),
    ],
)
def test_who_answers_instead_is_known(other, is_stranger):
    answer = FrameAnswer(other)
    answer.feed(raw(ANSWER))
    assert answer.stranger == (frame_of(ANSWER) if is_stranger else None)


@given(
    st.lists(st.binary(max_size=3).filter(lambda b: b"\x68" not in b), min_size=4, max_size=4),
    st.lists(st.binary(max_size=20), min_size=3, max_size=3),
)
def test_frames_are_found_in_noise(noise, bodies):
    frames = [Frame(0x10, bytes([index]) * 7, 0x81, body) for index, body in enumerate(bodies)]
    heard = noise[0] + b"".join(encode(f) + n for f, n in zip(frames, noise[1:], strict=True))
    found, rest = split_frames(heard)
    assert found == frames
    assert rest == b"".join(noise).replace(b"\xfe", b"")


@given(st.binary(max_size=300) | st.lists(st.binary(max_size=9) | st.just(raw(READ))).map(b"".join))
def test_fuzz_split(data):
    frames, rest = split_frames(data)
    whole = sum(len(encode(frame)) - 4 for frame in frames)
    assert whole + len(rest) <= len(data)
    assert b"\xfe" not in rest


@given(st.lists(st.binary(max_size=100) | st.just(raw(ANSWER)[:20]), max_size=5))
def test_fuzz_answers(chunks):
    answer = FrameAnswer(request())
    for chunk in chunks:
        try:
            answer.feed(chunk)
        except DecodeError:
            return


@given(st.binary(max_size=300) | st.binary(max_size=40).map(lambda b: b"\x68" + b + b"\x16"))
def test_fuzz_frames(data):
    try:
        frame = decode_frame(data)
    except DecodeError:
        return
    assert encode(frame)[4:] == data


@given(st.binary(max_size=40) | st.binary(min_size=22, max_size=22))
def test_fuzz_readings(data):
    try:
        reading = decode_reading(Frame(0x10, bytes(7), 0x81, data))
    except DecodeError:
        assert len(data) not in {9, 22}
        return
    assert (reading.volume_m3 is None) == ("volume" in reading.absurd)
