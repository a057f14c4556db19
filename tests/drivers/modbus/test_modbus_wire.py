"""Modbus RTU frames, against the specification's own example, pymodbus and random bytes."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.framer import FramerRTU
from pymodbus.pdu import DecodePDU

from drivers.modbus.wire import (
    ReadAnswer,
    ReadRequest,
    Refusal,
    Registers,
    crc16,
    decode_request,
    encode_answer,
    encode_refusal,
    encode_request,
)
from gateway.errors import DecodeError

requests = st.builds(
    ReadRequest,
    unit=st.integers(1, 247),
    function=st.sampled_from([3, 4]),
    address=st.integers(0, 0xFF00),
    count=st.integers(1, 125),
)
cuts = st.lists(st.integers(0, 300), max_size=6)


def pieces(data, at):
    edges = sorted({0, len(data), *(c for c in at if c < len(data))})
    return [data[a:b] for a, b in pairwise(edges)]


def feed_all(answer, chunks):
    found = None
    for chunk in chunks:
        found = answer.feed(chunk) or found
    return found


def test_bove_request_vector():
    # Public firmware for BOVE meters asks unit 1 for 0026 registers from 0001.
    request = ReadRequest(1, 3, 1, 0x26)
    assert encode_request(request)[:6] == bytes.fromhex("010300010026")


def test_crc_check_value():
    assert crc16(b"123456789") == 0x4B37  # CRC-16/MODBUS in the catalogue of parametrised CRCs


@given(requests, st.data())
def test_an_independent_slave_reads_our_requests_and_we_its_answers(request, data):
    framer = FramerRTU(DecodePDU(is_server=True))
    used, pdu = framer.handleFrame(encode_request(request), 0, 0)
    assert used == 8
    assert pdu is not None
    assert (pdu.dev_id, pdu.function_code, pdu.address, pdu.count) == (
        request.unit,
        request.function,
        request.address,
        request.count,
    )
    values = data.draw(st.binary(min_size=2 * request.count, max_size=2 * request.count))
    theirs = framer.encode(
        bytes([request.function, len(values)]) + values, device_id=request.unit, _tid=0
    )
    assert theirs == encode_answer(request, values)
    assert ReadAnswer(request).feed(theirs) == Registers(values)


@given(requests, st.data(), cuts)
def test_round_trip_however_it_is_cut(request, data, at):
    values = data.draw(st.binary(min_size=2 * request.count, max_size=2 * request.count))
    chunks = pieces(encode_answer(request, values), at)
    assert feed_all(ReadAnswer(request), chunks) == Registers(values)
    assert decode_request(encode_request(request)) == request


@given(requests, st.integers(1, 255), cuts)
def test_refusal(request, code, at):
    chunks = pieces(encode_refusal(request, code), at)
    assert feed_all(ReadAnswer(request), chunks) == Refusal(code)


def test_refusals_have_names():
    assert str(Refusal(2)) == "illegal data address"
    assert str(Refusal(77)) == "exception 77"


@given(requests, requests, st.data())
def test_an_answer_to_another_request_is_never_taken(request, other, data):
    values = data.draw(st.binary(min_size=2 * other.count, max_size=2 * other.count))
    same = (request.unit, request.function, request.count) == (
        other.unit,
        other.function,
        other.count,
    )
    if not same:
        assert ReadAnswer(request).feed(encode_answer(other, values)) is None


@given(requests, st.binary(max_size=40))
def test_noise_before_the_answer_is_passed_over(request, noise):
    frame = encode_answer(request, bytes(2 * request.count))
    assert ReadAnswer(request).feed(noise + frame) == Registers(bytes(2 * request.count))


@given(requests, st.data())
def test_a_flipped_bit_is_no_answer(request, data):
    values = data.draw(st.binary(min_size=2 * request.count, max_size=2 * request.count))
    frame = bytearray(encode_answer(request, values))
    bit = data.draw(st.integers(0, 8 * len(frame) - 1))
    frame[bit // 8] ^= 1 << bit % 8
    assert ReadAnswer(request).feed(bytes(frame)) is None


def test_two_answers_at_once_are_refused():
    request = ReadRequest(7, 3, 10, 1)
    both = encode_answer(request, b"\0\x6e") + encode_answer(request, b"\0\x78")
    with pytest.raises(DecodeError, match="2 answers"):
        ReadAnswer(request).feed(both)


@given(requests, st.lists(st.binary(max_size=300), max_size=5))
def test_fuzz_answers(request, chunks):
    answer = ReadAnswer(request)
    for chunk in chunks:
        try:
            answer.feed(chunk)
        except DecodeError:
            return


@given(st.binary(max_size=300))
def test_fuzz_requests(data):
    try:
        request = decode_request(data)
    except DecodeError:
        return
    assert encode_request(request) == data


@pytest.mark.parametrize(("address", "count"), [(0, 0), (0, 126), (0xFFFF, 2), (-1, 1)])
def test_requests_no_slave_could_answer(address, count):
    with pytest.raises(DecodeError):
        ReadRequest(1, 3, address, count)
