"""Messages as octets, and answers from octets: pure."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.modem.wire.answer import MAX_LINE_BYTES, MAX_LINES, PROMPT, Answer, AnswerReader
from drivers.modem.wire.gsm7 import pack, septets_of, text_of, unpack
from drivers.modem.wire.parts import ELLIPSIS, GSM7, MAX_PARTS, UCS2, user_data_of
from drivers.modem.wire.state import card_trouble, network_trouble, registration, signal_dbm
from drivers.modem.wire.submit import Submit, decode_submit, encode_submit
from gateway.errors import DecodeError

CALL = "紧急呼叫：幸福路3号2栋301 王奶奶按下床头呼叫键，网络不通，请速联系。"


def submits(text, number="+8613800000000"):
    return [encode_submit(number, data) for data in user_data_of(text, 7)]


def joined(octets):
    return "".join(decode_submit(it).text for it in octets)


# --- known octets -------------------------------------------------------------------------------


def test_packed_septets_as_published():
    septets = [ord(letter) for letter in "hellohello"]
    assert pack(septets).hex().upper() == "E8329BFD4697D9EC37"
    assert unpack(bytes.fromhex("E8329BFD4697D9EC37"), 10) == septets


def test_a_message_as_published():
    """The example of many a modem's manual, here with a validity of a day (A7)."""
    (octets,) = submits("hellohello", "+46708251358")
    assert octets.hex().upper() == "0011000B916407281553F80000A70AE8329BFD4697D9EC37"


def test_chinese_is_ucs2():
    (octets,) = submits("老人呼叫", "10086")
    assert octets.hex().upper() == "0011000581" + "0180F6" + "0008A7" + "08" + "80014EBA547C53EB"


def test_the_alphabet_has_its_own_codes():
    assert septets_of("@") == (0,)
    assert septets_of("$") == (2,)
    assert septets_of("€") == (0x1B, 0x65)
    assert septets_of("à") == (0x7F,)
    assert septets_of("ç") is None
    with pytest.raises(DecodeError):
        text_of([0x1B, 0x7F])


@pytest.mark.parametrize(
    ("text", "coding", "parts"),
    [
        ("", GSM7, 1),
        ("a" * 160, GSM7, 1),
        ("a" * 161, GSM7, 2),
        ("€" * 80, GSM7, 1),
        ("€" * 81, GSM7, 2),
        ("叫" * 70, UCS2, 1),
        ("叫" * 71, UCS2, 2),
        ("叫" * 134, UCS2, 2),
        ("叫" * 135, UCS2, 3),
        (CALL, UCS2, 1),
    ],
)
def test_how_many_messages_a_text_needs(text, coding, parts):
    messages = user_data_of(text, 1)
    assert len(messages) == parts
    assert {message.coding for message in messages} == {coding}
    assert all(len(message.octets) <= 140 for message in messages)
    assert joined(submits(text)) == text


def test_what_is_far_too_long_ends_with_an_ellipsis():
    for letter in ("叫", "a", "😀", "€"):
        octets = submits(letter * 5000)
        assert len(octets) == MAX_PARTS
        assert joined(octets).endswith(letter + ELLIPSIS)


def test_a_surrogate_pair_is_not_torn():
    parts = [decode_submit(it).text for it in submits("叫" * 66 + "😀" + "叫" * 20)]
    assert parts[0] == "叫" * 66
    assert parts[1].startswith("😀")


# --- round trips --------------------------------------------------------------------------------

letters = st.characters(exclude_categories=["Cs"])
gsm_letters = st.sampled_from([chr(code) for code in range(0x2200) if septets_of(chr(code))])
numbers = st.from_regex(r"\A\+?[0-9]{3,20}\Z")


@given(
    st.one_of(st.text(letters, max_size=500), st.text(gsm_letters, max_size=1000)),
    numbers,
    st.integers(0, 255),
)
def test_every_text_comes_back_from_its_messages(text, number, reference):
    messages = user_data_of(text, reference)
    back = [decode_submit(encode_submit(number, data)) for data in messages]
    assert "".join(part.text for part in back) == text
    assert {part.number for part in back} == {number}
    if len(back) > 1:
        assert [part.part for part in back] == [*range(1, len(back) + 1)]
        assert {(part.reference, part.parts) for part in back} == {(reference, len(back))}


@given(st.lists(st.integers(0, 127), max_size=200), st.integers(0, 6))
def test_septets_come_back(septets, fill):
    assert unpack(pack(septets, fill), len(septets), fill) == septets


@given(st.binary(max_size=200))
def test_no_octets_upset_the_decoder(octets):
    with suppress(DecodeError):
        assert isinstance(decode_submit(octets), Submit)


# --- answers ------------------------------------------------------------------------------------


def read(data, prefix="", **more):
    return AnswerReader(prefix, **more).feed(data)


def test_an_answer_and_what_is_said_in_between():
    data = b'AT+CSQ\r\r\n+CMTI: "SM",1\r\n\r\n+CSQ: 20,99\r\n\r\nRING\r\n\r\nOK\r\n'
    assert read(data, "+CSQ:") == Answer("OK", ("20,99",))


@pytest.mark.parametrize("final", ["OK", "ERROR", "+CME ERROR: 10", "+CMS ERROR: 500"])
def test_how_answers_end(final):
    answer = read(f"\r\n{final}\r\n".encode())
    assert answer == Answer(final)
    assert answer.ok is (final == "OK")


def test_a_prompt_ends_an_answer_only_where_one_is_waited_for():
    assert read(b"\r\n> ", prompts=True) == Answer(PROMPT)
    assert read(b"\r\n> ") is None
    assert read(b"\r\nERROR\r\n> ", prompts=True) == Answer("ERROR")


def test_one_byte_at_a_time():
    reader = AnswerReader("+CREG:")
    answers = [reader.feed(bytes([octet])) for octet in b"\r\n+CREG: 0,1\r\n\r\nOK\r\n"]
    assert answers[-1] is None or answers[-1] == Answer("OK", ("0,1",))
    assert [it for it in answers if it] == [Answer("OK", ("0,1",))]


@pytest.mark.parametrize("data", [b"RING\r\n" * (MAX_LINES + 1), b"x" * (MAX_LINE_BYTES + 1)])
def test_a_modem_that_talks_without_an_end_is_left(data):
    with pytest.raises(DecodeError):
        read(data)


@given(st.lists(st.binary(max_size=300), max_size=30))
def test_no_bytes_upset_the_reader_and_it_keeps_little(chunks):
    reader = AnswerReader("+CSQ:", prompts=True)
    try:
        for chunk in chunks:
            reader.feed(chunk)
            assert len(reader._buffer) <= MAX_LINE_BYTES
            assert len(reader._lines) <= MAX_LINES
    except DecodeError:
        pass


# --- what it says of itself ---------------------------------------------------------------------


def test_registration_and_signal():
    assert registration("0,1") == 1
    assert registration('2,5,"00C3","0001A2B3",7') == 5
    assert registration("garbage") is None
    assert registration("0,12") is None
    assert signal_dbm("0,99") == -113
    assert signal_dbm("31,99") == -51
    assert signal_dbm("99,99") is None
    assert signal_dbm("") is None


def test_trouble_has_a_name_and_mostly_a_hint():
    assert card_trouble("SIM PIN")[1]
    assert card_trouble("+CME ERROR: 10")[0] == "no SIM card"
    assert "ready" in card_trouble("PH-NET PIN")[0]
    assert network_trouble(3)[0] == "the network refuses this SIM card"
    assert network_trouble(9)[0] == "it is in no network"
    assert network_trouble(None)[0]
