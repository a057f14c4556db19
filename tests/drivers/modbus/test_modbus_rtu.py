"""Modbus on a serial line, against published exchanges, pymodbus and random bytes."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from modbus_requests import cuts, data_of, feed_all, meaning, pieces, reads, requests, writes
from pymodbus.framer import FramerRTU
from pymodbus.pdu import DecodePDU

from drivers.modbus import wire
from drivers.modbus.wire import ReadRequest, Refusal, Values, WriteRequest, Written, rtu
from gateway.errors import DecodeError


def answered(request, data=b""):
    return rtu.frame(request.unit, wire.encode_answer(request, data))


def refused(request, code):
    return rtu.frame(request.unit, wire.encode_refusal(request, code))


# Published exchanges: a novabo SQR-2 separator alarm, relay modules, an SDM120 and a DDSU666.
VECTORS = [
    (ReadRequest(255, 2, 0, 8), "FF 02 00 00 00 08 6C 12", "FF 02 01 01 51 A0", b"\1"),
    (ReadRequest(1, 2, 0, 8), "01 02 00 00 00 08 79 CC", "01 02 01 20 A0 50", b"\x20"),
    (ReadRequest(1, 1, 0, 8), "01 01 00 00 00 08 3D CC", "01 01 01 60 51 A0", b"\x60"),
    (
        ReadRequest(1, 4, 0, 2),
        "01 04 00 00 00 02 71 CB",
        "01 04 04 43 66 33 34 1B 38",
        b"\x43\x66\x33\x34",
    ),
    (
        ReadRequest(24, 3, 0x4000, 2),
        "18 03 40 00 00 02 D3 C2",
        "18 03 04 40 0D 70 A4 D2 8A",
        b"\x40\x0d\x70\xa4",
    ),
    (
        WriteRequest(1, 5, 5, 1, b"\1"),
        "01 05 00 05 FF 00 9C 3B",
        "01 05 00 05 FF 00 9C 3B",
        None,
    ),
    (
        WriteRequest(1, 5, 0, 1, b"\0"),
        "01 05 00 00 00 00 CD CA",
        "01 05 00 00 00 00 CD CA",
        None,
    ),
]


@pytest.mark.parametrize(("request_", "asked", "said", "data"), VECTORS)
def test_published_exchanges(request_, asked, said, data):
    assert rtu.encode(request_) == bytes.fromhex(asked)
    assert rtu.decode(bytes.fromhex(asked)) == request_
    answer = rtu.Answer(request_).feed(bytes.fromhex(said))
    assert answer == (Written() if data is None else Values(data))


def test_crc_check_value():
    assert rtu.crc16(b"123456789") == 0x4B37  # CRC-16/MODBUS in the catalogue of parametrised CRCs


def by_pymodbus(request):
    framer = FramerRTU(DecodePDU(is_server=True))
    encoded = rtu.encode(request)
    used, pdu = framer.handleFrame(encoded, 0, 0)
    assert used == len(encoded)
    return framer, pdu


@given(reads, st.data())
def test_an_independent_slave_reads_our_requests_and_we_its_answers(request, data):
    framer, pdu = by_pymodbus(request)
    assert (pdu.dev_id, pdu.function_code, pdu.address, pdu.count) == (
        request.unit,
        request.function,
        request.address,
        request.count,
    )
    values = data.draw(data_of(request))
    said = bytes([request.function, len(values)]) + values
    theirs = framer.encode(said, device_id=request.unit, _tid=0)
    assert theirs == answered(request, values)
    assert rtu.Answer(request).feed(theirs) == Values(values)


@given(writes)
def test_an_independent_slave_is_told_what_we_mean(request):
    _, pdu = by_pymodbus(request)
    assert (pdu.dev_id, pdu.function_code, pdu.address) == (
        request.unit,
        request.function,
        request.address,
    )
    if request.function in wire.BIT_FUNCTIONS:
        assert pdu.bits[: request.count] == wire.unpack_bits(request.data, request.count)
    else:
        assert b"".join(r.to_bytes(2, "big") for r in pdu.registers) == request.data


@given(requests, st.data(), cuts)
def test_round_trip_however_it_is_cut(request, data, at):
    values = data.draw(data_of(request))
    chunks = pieces(answered(request, values), at)
    assert feed_all(rtu.Answer(request), chunks) == meaning(request, values)
    assert rtu.decode(rtu.encode(request)) == request


@given(requests, st.integers(1, 255), cuts)
def test_refusal(request, code, at):
    assert feed_all(rtu.Answer(request), pieces(refused(request, code), at)) == Refusal(code)


@given(requests, requests, st.data())
def test_an_answer_to_another_request_is_never_taken(request, other, data):
    values = data.draw(data_of(other))
    said = wire.encode_answer(other, values)
    assume(not said.startswith(wire.encode_answer(request)) or request.unit != other.unit)
    assert rtu.Answer(request).feed(rtu.frame(other.unit, said)) is None


@given(requests, st.binary(max_size=40), st.data(), cuts)
def test_noise_before_the_answer_is_passed_over(request, noise, data, at):
    values = data.draw(data_of(request))
    chunks = pieces(noise + answered(request, values), at)
    assert feed_all(rtu.Answer(request), chunks) == meaning(request, values)


@given(requests, st.data())
def test_a_flipped_bit_is_no_answer(request, data):
    values = data.draw(data_of(request))
    frame = bytearray(answered(request, values))
    bit = data.draw(st.integers(0, 8 * len(frame) - 1))
    frame[bit // 8] ^= 1 << bit % 8
    assert rtu.Answer(request).feed(bytes(frame)) is None


def test_two_answers_at_once_are_refused():
    request = ReadRequest(7, 3, 10, 1)
    for second in (b"\0\x78", b"\0\x6e"):
        both = answered(request, b"\0\x6e") + answered(request, second)
        with pytest.raises(DecodeError, match="2 answers"):
            rtu.Answer(request).feed(both)


@pytest.mark.parametrize("function", [5, 6])
def test_the_echo_of_a_write_and_the_answer_to_it_are_the_same(function):
    request = WriteRequest(7, function, 10, 1, b"\1" if function == 5 else b"\0\1")
    assert answered(request) == rtu.encode(request)
    assert rtu.Answer(request).feed(rtu.encode(request) + answered(request)) == Written()
    with pytest.raises(DecodeError, match="2 answers"):
        rtu.Answer(request).feed(rtu.encode(request) + refused(request, 2))


@given(reads | writes, st.data())
def test_the_echo_of_other_requests_is_passed_over(request, data):
    assume(request.function not in {5, 6})
    values = data.draw(data_of(request))
    answer = rtu.Answer(request).feed(rtu.encode(request) + answered(request, values))
    assert answer == meaning(request, values)


def test_bytes_that_come_one_by_one_cost_no_more_crcs(monkeypatch):
    checked = []
    monkeypatch.setattr(rtu, "crc16", lambda frame: checked.append(frame) or 1)
    request = ReadRequest(1, 3, 0, 125)
    answer = rtu.Answer(request)
    noise = (b"\x01\x03\xfa" + b"\x55" * 97) * 10  # what looks like the beginning, ten times
    for byte in noise:
        answer.feed(bytes([byte]))
    assert 0 < len(checked) <= 10


@given(requests, st.lists(st.binary(max_size=300), max_size=5))
def test_fuzz_answers(request, chunks):
    answer = rtu.Answer(request)
    for chunk in chunks:
        try:
            answer.feed(chunk)
        except DecodeError:
            return


@given(st.binary(max_size=300))
def test_fuzz_requests(data):
    try:
        request = rtu.decode(data)
    except DecodeError:
        return
    assert rtu.encode(request) == data
