"""Modbus on a network: heads, late answers, lies, pymodbus as the other opinion, random bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modbus_requests import cuts, data_of, feed_all, meaning, pieces, reads, requests
from pymodbus.framer import FramerSocket
from pymodbus.pdu import DecodePDU

from drivers.modbus import wire
from drivers.modbus.wire import ReadRequest, Refusal, Values, tcp
from gateway.errors import DecodeError

transactions = st.integers(0, tcp.LARGEST_TRANSACTION)


def answered(request, transaction, data=b""):
    return tcp.frame(request.unit, wire.encode_answer(request, data), transaction)


def test_the_example_of_the_specification():
    # Modbus Messaging on TCP/IP V1.0b, 4.4.2.1: transaction 1501, unit FF, register 5.
    request = ReadRequest(0xFF, 3, 4, 1)
    assert tcp.encode(request, 0x1501) == bytes.fromhex("1501 0000 0006 FF 03 0004 0001")
    said = bytes.fromhex("1501 0000 0005 FF 03 02 0005")
    assert tcp.Answer(request, 0x1501).feed(said) == Values(b"\0\5")


@given(requests, transactions, st.data(), cuts)
def test_round_trip_however_it_is_cut(request, transaction, data, at):
    values = data.draw(data_of(request))
    chunks = pieces(answered(request, transaction, values), at)
    answer = tcp.Answer(request, transaction)
    assert feed_all(answer, chunks) == meaning(request, values)
    assert answer.longest == sum(map(len, chunks))
    assert tcp.decode(tcp.encode(request, transaction)) == (transaction, request)


@given(reads, transactions, st.data())
def test_an_independent_server_reads_our_requests_and_we_its_answers(request, transaction, data):
    framer = FramerSocket(DecodePDU(is_server=True))
    encoded = tcp.encode(request, transaction)
    used, pdu = framer.handleFrame(encoded, 0, 0)
    assert used == len(encoded)
    assert (pdu.transaction_id, pdu.dev_id, pdu.function_code, pdu.address, pdu.count) == (
        transaction,
        request.unit,
        request.function,
        request.address,
        request.count,
    )
    values = data.draw(data_of(request))
    said = bytes([request.function, len(values)]) + values
    theirs = framer.encode(said, device_id=request.unit, tid=transaction)
    assert tcp.Answer(request, transaction).feed(theirs) == Values(values)


@given(requests, transactions, st.integers(0, 255))
def test_refusal(request, transaction, code):
    said = tcp.frame(request.unit, wire.encode_refusal(request, code), transaction)
    assert tcp.Answer(request, transaction).feed(said) == Refusal(code)


def test_a_late_answer_is_nobodys():
    assert tcp.Answer(ReadRequest(1, 3, 0, 1), 5).sender is None


@given(requests, st.lists(requests, min_size=1, max_size=3), st.data(), cuts)
def test_late_answers_are_passed_over(request, others, data, at):
    late = b"".join(
        answered(other, 100 + number, data.draw(data_of(other)))
        for number, other in enumerate(others)
    )
    values = data.draw(data_of(request))
    chunks = pieces(late + answered(request, 7, values), at)
    assert feed_all(tcp.Answer(request, 7), chunks) == meaning(request, values)


def test_the_rest_of_an_answer_whose_head_was_thrown_away():
    request = ReadRequest(1, 3, 0, 2)
    rest = answered(ReadRequest(1, 3, 50, 20), 6, b"\x12\x34" * 20)[9:]
    chunks = [rest[:17], rest[17:], answered(request, 7, b"\0\1\0\2")]
    assert feed_all(tcp.Answer(request, 7), chunks) == Values(b"\0\1\0\2")
    at_once = b"".join(chunks)
    assert tcp.Answer(request, 7).feed(at_once) == Values(b"\0\1\0\2")


READ = ReadRequest(1, 3, 10, 2)
RIGHT = bytes.fromhex("0007 0000 0007 01 03 04 0001 0002")


@pytest.mark.parametrize(
    ("said", "what"),
    [
        ("0007 0005 0007 01 03 04 0001 0002", "protocol 5 is not Modbus"),
        ("0007 0000 0001 01", "length 1 is none"),
        ("0007 0000 00FF 01 03 04 0001 0002", "length 255 is none"),
        ("0007 0000 0005 01 03 04 0001", "an answer of 4 bytes where 6"),
        ("0007 0000 0008 01 03 04 0001 0002 00", "an answer of 7 bytes where 6"),
        ("0007 0000 0007 02 03 04 0001 0002", "unit 2 answers where 1"),
        ("0007 0000 0007 01 04 04 0001 0002", "function 4 answers where 3"),
        ("0007 0000 0009 01 03 06 0001 0002 0003", "begins 03 06, not 03 04"),
        ("0007 0000 0002 01 83", "a refusal of 1 bytes"),
    ],
)
def test_lies_have_names(said, what):
    answer = tcp.Answer(READ, 7)
    with pytest.raises(DecodeError, match=what):
        answer.feed(bytes.fromhex(said) + b"\0")


def test_a_wrong_transaction_is_no_answer():
    assert tcp.Answer(READ, 8).feed(RIGHT) is None
    assert tcp.Answer(READ, 7).feed(RIGHT) == Values(b"\0\1\0\2")


def test_a_truncated_answer_is_none_yet():
    answer = tcp.Answer(READ, 7)
    for length in range(len(RIGHT)):
        assert tcp.Answer(READ, 7).feed(RIGHT[:length]) is None
    assert answer.feed(RIGHT[:-1]) is None
    assert answer.feed(RIGHT[-1:]) == Values(b"\0\1\0\2")


@pytest.mark.parametrize(
    ("asked", "what"),
    [
        ("", "0 bytes are no Modbus frame"),
        ("0001 0000 0006 01 03 0000", "says that 6 follow"),
        ("0001 0000 0006 01 03 0000 0001 00", "says that 6 follow"),
        ("0001 0001 0006 01 03 0000 0001", "protocol 1 is not Modbus"),
        ("0001 0000 0006 01 07 0000 0001", "Modbus function 7"),
    ],
)
def test_what_is_no_request(asked, what):
    with pytest.raises(DecodeError, match=what):
        tcp.decode(bytes.fromhex(asked))


@given(requests, transactions, st.lists(st.binary(max_size=300), max_size=5))
def test_fuzz_answers(request, transaction, chunks):
    answer = tcp.Answer(request, transaction)
    for chunk in chunks:
        try:
            answer.feed(chunk)
        except DecodeError:
            return


@given(requests, st.binary(max_size=60))
def test_fuzz_answers_with_a_head_that_is_right(request, rest):
    try:
        tcp.Answer(request, 7).feed(b"\x00\x07\x00\x00" + rest)
    except DecodeError:
        return


@given(st.binary(max_size=300))
def test_fuzz_requests(data):
    try:
        transaction, request = tcp.decode(data)
    except DecodeError:
        return
    assert tcp.encode(request, transaction) == data
