"""M-Bus frames and answers: vectors, round trips, and bytes that are no frames."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mbus_telegrams import ALL, METER, published, telegram

from drivers.mbus import wire
from gateway.errors import DecodeError

bytes_ = st.integers(0, 255)
short = st.builds(wire.Frame, bytes_, bytes_)
long = st.builds(wire.Frame, bytes_, bytes_, bytes_, st.binary(max_size=252))
digits = st.text("0123456789", min_size=8, max_size=8)
makers = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=3, max_size=3)
meters = st.builds(wire.Identification, digits, makers, st.integers(0, 254), st.integers(0, 254))
noise = st.binary(max_size=12).filter(lambda it: not set(it) & {0x10, 0x68})


def raw(text):
    return bytes.fromhex(text)


# --- requests: as "The M-Bus: A Documentation" and libmbus send them ----------------------------


def test_short_requests():
    assert wire.encode(wire.begin(0xFD)) == raw("1040fd3d16")
    assert wire.encode(wire.begin(0xFE)) == raw("1040fe3e16")
    assert wire.encode(wire.ask(1, fcb=False)) == raw("105b015c16")
    assert wire.encode(wire.ask(1, fcb=True)) == raw("107b017c16")


def test_a_selection():
    meter = wire.parse_identification("12345678.PAD.01.07")
    assert wire.encode(wire.select(meter)) == raw("680b0b68 73fd52 78563412 2440 01 07 42 16")


def test_a_selection_of_everybody():
    assert wire.encode(wire.select(wire.EVERY_METER)) == raw(
        "680b0b68 73fd52 ffffffffffffffff ba16"
    )


def test_an_application_reset():
    assert wire.encode(wire.reset_application(1)) == raw("68030368 730150 c4 16")


# --- identifications ----------------------------------------------------------------------------


@given(meters)
def test_identifications_round_trip(meter):
    assert wire.decode_identification(wire.encode_identification(meter)) == meter
    assert wire.parse_identification(str(meter)) == meter


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("12345678.KAM.01.07", "785634122d2c0107"),
        ("12345678.KAM.01", "785634122d2c01ff"),
        ("12345678.KAM", "785634122d2cffff"),
        ("12345678", "78563412ffffffff"),
        ("0000ABC0.9234.0A.0b", "c0ab000034920a0b"),
    ],
)
def test_identifications_as_text(text, data):
    meter = wire.parse_identification(text)
    assert wire.encode_identification(meter) == raw(data)
    assert str(meter) == text.upper()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1234567",
        "123456789",
        "1234567F",
        "FFFFFFFF",
        "12345678.",
        "12345678.KA",
        "12345678.FFFF",
        "12345678.KAM.FF",
        "12345678.KAM.01.FF",
        "12345678.01.07",
        "12345678.kam",
        "12345678.KAM.1",
    ],
)
def test_what_is_no_secondary_address(text):
    with pytest.raises(DecodeError, match="write it like"):
        wire.parse_identification(text)


def test_masks():
    everybody = wire.EVERY_METER
    tens = wire.narrower(everybody)
    assert [it.number for it in tens] == [f"FFFFFFF{digit}" for digit in range(10)]
    assert [it.means(METER) for it in tens] == [digit == 8 for digit in range(10)]
    assert wire.narrower(METER) == []
    assert everybody.means(METER)
    assert wire.Identification("12345678").means(METER)
    assert not wire.Identification("12345678", "ELS").means(METER)
    assert not wire.Identification("12345678", "KAM", 2).means(METER)


def test_what_a_meter_does_not_say_is_not_compared():
    assert METER.means(wire.Identification("12345678"))
    assert not METER.means(wire.Identification("12345679"))


# --- frames -------------------------------------------------------------------------------------


@given(short | long)
def test_frames_round_trip(frame):
    assert wire.decode_frame(wire.encode(frame)) == frame


def test_a_frame_that_is_too_long():
    with pytest.raises(DecodeError, match="255 is the most"):
        wire.encode(wire.Frame(8, 1, 0x72, bytes(253)))


@pytest.mark.parametrize("name", ALL)
def test_published_telegrams_are_frames(name):
    frame = wire.decode_frame(published(name))
    assert wire.encode(frame) == published(name)


@pytest.mark.parametrize("at", range(len(ALL["manual-fixed"])))
def test_a_damaged_frame(at):
    data = bytearray(ALL["manual-fixed"])
    data[at] ^= 0x20
    with pytest.raises(DecodeError):
        wire.decode_frame(bytes(data))
    assert wire.split_frames(bytes(data))[0] == []


@given(st.lists(short | long, min_size=3, max_size=3), st.lists(noise, min_size=4, max_size=4))
def test_frames_are_found_in_noise(frames, between):
    heard = between[0]
    for frame, after in zip(frames, between[1:], strict=True):
        heard += wire.encode(frame) + after
    assert wire.split_frames(heard) == (frames, b"".join(between))


def test_a_start_in_the_noise_costs_nothing_but_itself():
    heard = raw("68 1f1f 10 68 10") + published("manual-fixed")
    frames, rest = wire.split_frames(heard)
    assert frames == [wire.decode_frame(published("manual-fixed"))]
    assert rest == raw("68 1f1f 10 68 10")


# --- answers ------------------------------------------------------------------------------------


def data_answer(address=5, meter=None):
    return wire.DataAnswer(wire.ask(address, fcb=True), meter)


@given(noise, st.lists(st.integers(0, 60), max_size=6))
def test_an_answer_is_found_however_it_is_cut(before, cuts):
    said = telegram()
    heard = before + wire.encode(said)
    answer, found = data_answer(), None
    for start, end in pairwise(sorted({0, len(heard), *(c for c in cuts if c < len(heard))})):
        found = answer.feed(heard[start:end]) or found
    assert found == said


@pytest.mark.parametrize("control", [0x08, 0x18, 0x28, 0x38])
def test_urgent_or_full_it_is_an_answer(control):
    said = telegram()
    frame = wire.Frame(control, said.address, said.ci, said.data)
    assert data_answer().feed(wire.encode(frame)) == frame


@pytest.mark.parametrize("heard", ["e5", "e5e5", "00e5", "e5107b058016"])
def test_e5_is_no_data(heard):
    assert data_answer().feed(raw(heard)) is None


def test_the_echo_of_a_request_is_no_answer():
    assert data_answer().feed(wire.encode(wire.ask(5, fcb=True))) is None
    selecting = wire.DataAnswer(wire.select(METER), METER)
    assert selecting.feed(wire.encode(wire.select(METER))) is None


def test_another_address_is_a_stranger():
    answer, said = data_answer(address=6), telegram()
    assert answer.feed(wire.encode(said)) is None
    assert answer.stranger == said


@pytest.mark.parametrize("address", [0, 5, 0xFD])
def test_who_was_selected_may_answer_from_any_address(address):
    said = telegram(address=address)
    assert data_answer(wire.SELECTED, METER).feed(wire.encode(said)) == said


@pytest.mark.parametrize(
    "other", ["12345679.KAM.01.07", "12345678.ELS.01.07", "12345678.KAM.01.16"]
)
def test_another_identification_is_a_stranger(other):
    answer = data_answer(wire.SELECTED, METER)
    said = telegram(meter=wire.parse_identification(other))
    assert answer.feed(wire.encode(said)) is None
    assert answer.stranger == said


def test_two_answers_at_once_are_refused():
    with pytest.raises(DecodeError, match="2 answers"):
        data_answer().feed(wire.encode(telegram()) * 2)


@pytest.mark.parametrize("before", ["", "00", "ff e5 7f", "1040053d16"])
def test_an_e5_is_an_acknowledgement(before):
    answer = wire.AckAnswer(wire.begin(5))
    assert answer.feed(raw(before) + b"\xe5")


def test_an_echo_is_none():
    meter = wire.parse_identification("123456E5")
    request = wire.encode(wire.select(meter))
    answer = wire.AckAnswer(wire.select(meter))
    assert [answer.feed(bytes([byte])) for byte in request] == [None] * len(request)
    assert answer.feed(b"\xe5")


@pytest.mark.parametrize("heard", ["", "00", "e500", "6813"])
def test_what_is_no_acknowledgement(heard):
    assert wire.AckAnswer(wire.begin(5)).feed(raw(heard)) is None
