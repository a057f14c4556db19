"""What Modbus says: the specification's own examples, round trips, lies and random bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modbus_requests import data_of, meaning, reads, requests, writes

from drivers.modbus import wire
from drivers.modbus.wire import ReadRequest, Refusal, Values, WriteRequest, Written
from gateway.errors import DecodeError

# Modbus Application Protocol V1.1b3, 6.1 to 6.6, 6.11 and 6.12: the examples there.
EXAMPLES = [
    (ReadRequest(0, 1, 0x0013, 19), "01 00 13 00 13", "01 03 CD 6B 05", Values(b"\xcd\x6b\x05")),
    (ReadRequest(0, 2, 0x00C4, 22), "02 00 C4 00 16", "02 03 AC DB 35", Values(b"\xac\xdb\x35")),
    (
        ReadRequest(0, 3, 0x006B, 3),
        "03 00 6B 00 03",
        "03 06 02 2B 00 00 00 64",
        Values(bytes.fromhex("022b00000064")),
    ),
    (ReadRequest(0, 4, 0x0008, 1), "04 00 08 00 01", "04 02 00 0A", Values(b"\0\x0a")),
    (WriteRequest(0, 5, 0x00AC, 1, b"\1"), "05 00 AC FF 00", "05 00 AC FF 00", Written()),
    (WriteRequest(0, 6, 0x0001, 1, b"\0\3"), "06 00 01 00 03", "06 00 01 00 03", Written()),
    (
        WriteRequest(0, 15, 0x0013, 10, b"\xcd\x01"),
        "0F 00 13 00 0A 02 CD 01",
        "0F 00 13 00 0A",
        Written(),
    ),
    (
        WriteRequest(0, 16, 0x0001, 2, b"\x00\x0a\x01\x02"),
        "10 00 01 00 02 04 00 0A 01 02",
        "10 00 01 00 02",
        Written(),
    ),
]


@pytest.mark.parametrize(("request_", "asked", "said", "answer"), EXAMPLES)
def test_the_examples_of_the_specification(request_, asked, said, answer):
    assert wire.encode_request(request_) == bytes.fromhex(asked)
    assert wire.decode_request(0, bytes.fromhex(asked)) == request_
    assert wire.decode_answer(request_, bytes.fromhex(said)) == answer


def test_bits_of_the_specification():
    # Coils 20 to 38 are CD 6B 05: the first is the lowest bit of the first byte.
    bits = wire.unpack_bits(b"\xcd\x6b\x05", 19)
    assert bits[:8] == [True, False, True, True, False, False, True, True]
    assert bits[16:] == [True, False, True]
    assert wire.pack_bits(bits) == b"\xcd\x6b\x05"


@given(st.lists(st.booleans(), max_size=100))
def test_bits_round_trip(bits):
    data = wire.pack_bits(bits)
    assert len(data) == -(-len(bits) // 8)
    assert wire.unpack_bits(data, len(bits)) == bits


@given(requests, st.data())
def test_round_trip(request, data):
    assert wire.decode_request(request.unit, wire.encode_request(request)) == request
    values = data.draw(data_of(request))
    said = wire.encode_answer(request, values)
    assert wire.decode_answer(request, said) == meaning(request, values)


@given(requests, st.integers(0, 255))
def test_a_refusal(request, code):
    assert wire.decode_answer(request, wire.encode_refusal(request, code)) == Refusal(code)


def test_refusals_have_names():
    assert str(Refusal(2)) == "illegal data address"
    assert str(Refusal(11)) == "gateway target does not answer"
    assert str(Refusal(77)) == "exception 77"


READ = ReadRequest(7, 3, 10, 2)
WRITE = WriteRequest(7, 6, 10, 1, b"\0\5")


@pytest.mark.parametrize(
    ("request_", "said", "what"),
    [
        (READ, "", "an empty answer"),
        (READ, "03", "1 bytes where 6"),
        (READ, "03 04 00 01", "4 bytes where 6"),
        (READ, "03 04 00 01 00 02 00", "7 bytes where 6"),
        (READ, "03 06 00 01 00 02 00 03", "begins 03 06, not 03 04"),
        (READ, "04 04 00 01 00 02", "function 4 answers where 3"),
        (READ, "83", "a refusal of 1 bytes"),
        (READ, "83 02 00", "a refusal of 3 bytes"),
        (READ, "84 02", "function 132 answers where 3"),
        (WRITE, "06 00 0A 00 06", "begins 06 00 0a 00 06, not 06 00 0a 00 05"),
        (WRITE, "06 00 0B 00 05", "begins 06 00 0b"),
        (WRITE, "06 00 0A", "3 bytes where 5"),
        (WriteRequest(7, 16, 10, 2, b"\0\1\0\2"), "10 00 0A 00 01", "begins 10 00 0a 00 01"),
    ],
)
def test_what_is_no_answer(request_, said, what):
    with pytest.raises(DecodeError, match=what):
        wire.decode_answer(request_, bytes.fromhex(said))


@pytest.mark.parametrize(
    ("asked", "what"),
    [
        ("", "a request of 0 bytes"),
        ("03 00 00 00", "a request of 4 bytes"),
        ("07 00 00 00 01", "Modbus function 7"),
        ("17 00 00 00 01 00 00", "2 bytes after a request"),
        ("03 00 00 00 01 00", "1 bytes after a request"),
        ("03 00 00 00 00", "0 places in one request"),
        ("03 00 00 00 7E", "126 places"),
        ("01 00 00 07 D1", "2001 places"),
        ("04 FF FF 00 02", "places beyond 65535"),
        ("05 00 01 00 01", "a coil is told 00 01"),
        ("05 00 01 55 00", "a coil is told 55 00"),  # some relay modules toggle at this
        ("0F 00 00 00 0A 01 FF", "1 bytes to write to 10 places"),
        ("0F 00 00 00 0A 02 FF", "byte count"),
        ("10 00 00 00 01", "byte count"),
        ("10 00 00 00 01 03 00 00 00", "3 bytes to write to 1 places"),
        ("10 00 00 00 7C F8" + " 00" * 248, "124 places"),
    ],
)
def test_what_is_no_request(asked, what):
    with pytest.raises(DecodeError, match=what):
        wire.decode_request(1, bytes.fromhex(asked))


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: ReadRequest(1, 5, 0, 1), "Modbus function 5"),
        (lambda: ReadRequest(256, 3, 0, 1), "unit 256"),
        (lambda: ReadRequest(1, 3, -1, 1), "places beyond"),
        (lambda: WriteRequest(1, 3, 0, 1, b"\0\0"), "Modbus function 3"),
        (lambda: WriteRequest(1, 6, 0, 2, bytes(4)), "2 places"),
        (lambda: WriteRequest(1, 6, 0, 1, b"\0"), "1 bytes to write"),
        (lambda: WriteRequest(1, 5, 0, 1, b"\2"), "on or off"),
    ],
)
def test_requests_no_slave_could_answer(make, what):
    with pytest.raises(DecodeError, match=what):
        make()


@given(st.binary(max_size=260))
def test_fuzz_requests(data):
    try:
        request = wire.decode_request(1, data)
    except DecodeError:
        return
    assert wire.encode_request(request) == data


@given(reads | writes, st.binary(max_size=260))
def test_fuzz_answers(request, data):
    try:
        answer = wire.decode_answer(request, data)
    except DecodeError:
        return
    if isinstance(answer, Refusal):
        assert data == wire.encode_refusal(request, answer.code)
    else:
        values = answer.data if isinstance(answer, Values) else b""
        assert data == wire.encode_answer(request, values)
