"""Addresses and masks, identifiers in both orders, and the valve command."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.cjt188 import wire
from drivers.cjt188.wire import DI_ORDERS, EVERY_METER, Frame, FrameAnswer
from gateway.errors import DecodeError

# From a published walk through the valve of one maker's meter (biecuoliao.com/pa/3ON9QK0.html).
OPEN = "fefefefe 68 10 69059005153378 04 04 a01701 55 50 16"
CLOSE = "fefefefe 68 10 69059005153378 04 04 a01701 99 94 16"
DONE = "fefefefe 68 10 69059005153378 84 05 a01701 0000 7c 16"
METER = wire.wire_address("78331505900569")

addresses = st.binary(min_size=7, max_size=7)
plain = addresses.filter(lambda address: not wire.is_mask(address))
orders = st.sampled_from(DI_ORDERS)


def raw(text):
    return bytes.fromhex(text)


# --- the valve ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("opened", "vector"), [(True, OPEN), (False, CLOSE)])
def test_valve_vectors(opened, vector):
    asked = wire.valve_request(METER, 0x10, "high-first", opened=opened)
    assert wire.encode(asked) == raw(vector)
    assert wire.decode_valve(FrameAnswer(asked).feed(raw(DONE))) == wire.Status(b"\0\0")


@given(plain, orders, st.booleans(), st.binary(min_size=2, max_size=2))
def test_valve_answers_round_trip(address, order, opened, status):
    asked = wire.valve_request(address, 0x10, order, opened=opened)
    said = wire.encode(wire.encode_valve(asked, address, status))
    assert wire.decode_valve(FrameAnswer(asked).feed(said)) == wire.Status(status)


@pytest.mark.parametrize("at", range(7))
def test_no_valve_is_turned_by_a_mask(at):
    mask = METER[:at] + b"\xaa" + METER[at + 1 :]
    with pytest.raises(DecodeError, match="never by a mask"):
        wire.valve_request(mask, 0x10, "low-first", opened=False)


@given(st.binary(max_size=40))
def test_fuzz_valve_answers(data):
    try:
        wire.decode_valve(Frame(0x10, METER, 0x84, data))
    except DecodeError:
        assert len(data) != 5


@given(plain, orders, st.binary(max_size=4))
def test_refusals_round_trip(address, order, status):
    asked = wire.read_request(address, 0x10, order)
    said = wire.encode(wire.encode_refusal(asked, address, status))
    assert FrameAnswer(asked).feed(said) == wire.Refusal(asked.data + status)


# --- masks --------------------------------------------------------------------------------------


@given(addresses)
def test_seven_wildcards_are_everybody(address):
    assert wire.matches(EVERY_METER, address)
    assert wire.matches(address, address)


@given(plain, st.sets(st.integers(0, 6)), st.integers(0, 6))
def test_a_mask_means_those_who_agree_where_it_is_closed(address, opened, at):
    mask = bytes(0xAA if i in opened else byte for i, byte in enumerate(address))
    other = bytearray(address)
    other[at] ^= 0x01
    assert wire.matches(mask, address)
    assert wire.matches(mask, bytes(other)) == (at in opened)
    assert wire.is_mask(mask) == bool(opened)


def test_a_length_is_not_matched():
    assert not wire.matches(EVERY_METER, b"\x11" * 6)


@given(st.from_regex(r"\A[0-9]{14}\Z"), st.integers(0, 7))
def test_narrower_masks_divide_a_mask(digits, closed):
    address = wire.wire_address(digits)
    mask = address[:closed] + EVERY_METER[closed:]
    parts = wire.narrower(mask)
    assert len(parts) == len(set(parts)) == (100 if closed < 7 else 0)
    assert [wire.matches(part, address) for part in parts].count(True) == (closed < 7)


# --- both orders --------------------------------------------------------------------------------


@given(st.integers(0, 0xFFFF), orders)
def test_identifiers_round_trip(identifier, order):
    data = wire.read_request(METER, 0x10, order, identifier).data
    assert wire.decode_di(data, order) == identifier
    assert wire.decode_di(data[:2][::-1], wire.other_order(order)) == identifier


@pytest.mark.parametrize(("order", "data"), [("low-first", "1f9000"), ("high-first", "901f00")])
def test_orders(order, data):
    assert wire.read_request(METER, 0x10, order).data == raw(data)
