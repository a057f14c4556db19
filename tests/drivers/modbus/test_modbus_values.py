"""Numbers in registers: makers' examples, pymodbus as the other opinion, round trips."""

import struct
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.client.mixin import ModbusClientMixin

from drivers.modbus.values import WIDTHS, decode_value, encode_value, raw_value, scaled
from gateway.errors import DecodeError

ORDERS = ["abcd", "dcba", "cdab", "badc"]
TYPES = ModbusClientMixin.DATATYPE
LIMITS = {
    "u16": (0, 2**16 - 1),
    "s16": (-(2**15), 2**15 - 1),
    "u32": (0, 2**32 - 1),
    "s32": (-(2**31), 2**31 - 1),
    "u64": (0, 2**64 - 1),
    "bcd": (0, 99_999_999),
}


def test_xintai_example():
    # "Water Meter MODBUS 485 protocol V1" gives 1E 85 0B 3F for 0.545 m3/h.
    assert (
        decode_value(bytes.fromhex("1e850b3f"), "f32", "dcba") == 0.54499996
    )  # as a float32: the maker cuts digits off and does not round


def test_bove_example():
    # Public firmware: low word first; 12345 l is 12.345 m3.
    assert decode_value(bytes.fromhex("30390000"), "u32", "cdab") == 12345


@pytest.mark.parametrize(
    ("order", "data"),
    [("abcd", "01020304"), ("dcba", "04030201"), ("cdab", "03040102"), ("badc", "02010403")],
)
def test_orders(order, data):
    assert decode_value(bytes.fromhex(data), "u32", order) == 0x01020304


@given(st.sampled_from(sorted(LIMITS)), st.sampled_from(ORDERS), st.data())
def test_integers_round_trip(kind, order, data):
    value = data.draw(st.integers(*LIMITS[kind]))
    raw = encode_value(value, kind, order)
    assert len(raw) == 2 * WIDTHS[kind]
    assert decode_value(raw, kind, order) == value


@given(st.floats(width=32, allow_nan=False, allow_infinity=False), st.sampled_from(ORDERS))
def test_floats_round_trip_to_the_bit(value, order):
    raw = encode_value(value, "f32", order)
    assert struct.pack(">f", decode_value(raw, "f32", order)) == struct.pack(">f", value)


@given(st.decimals(0, 9999, places=2))
def test_a_float_reads_as_the_meter_shows_it(shown):
    raw = struct.pack(">f", float(shown))
    assert decode_value(raw, "f32") == float(shown)


@given(
    st.sampled_from(["u16", "s16", "u32", "s32", "f32", "u64"]), st.binary(min_size=8, max_size=8)
)
def test_pymodbus_reads_the_same(kind, data):
    theirs = {"u": "UINT", "s": "INT", "f": "FLOAT"}[kind[0]] + kind[1:]
    raw = data[: 2 * WIDTHS[kind]]
    words = [int.from_bytes(raw[i : i + 2], "big") for i in range(0, len(raw), 2)]
    expected = ModbusClientMixin.convert_from_registers(words, TYPES[theirs])
    try:
        value = decode_value(raw, kind)
    except DecodeError:
        assert kind == "f32"
        assert expected != expected or abs(expected) == float("inf")
    else:
        assert value == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("raw", ["7fc00000", "7f800000", "ff800000"])
def test_nan_and_infinity_are_no_measurements(raw):
    with pytest.raises(DecodeError):
        decode_value(bytes.fromhex(raw), "f32")


def test_bcd_above_nine_is_refused():
    with pytest.raises(DecodeError):
        decode_value(bytes.fromhex("1234567a"), "bcd")


@given(st.sampled_from(sorted(WIDTHS)), st.sampled_from(ORDERS), st.binary(max_size=12))
def test_fuzz_decode(kind, order, data):
    try:
        decode_value(data, kind, order)
    except DecodeError:
        return
    assert len(data) == (1 if kind == "bit" else 2 * WIDTHS[kind]) or kind == "bcd"


@given(st.sampled_from(sorted(WIDTHS)), st.floats() | st.integers())
def test_fuzz_encode(kind, value):
    try:
        raw = encode_value(value, kind)
    except DecodeError:
        return
    assert len(raw) == (1 if kind == "bit" else 2 * WIDTHS[kind])


def test_bits():
    assert [encode_value(bit, "bit") for bit in (False, True)] == [b"\0", b"\1"]
    assert [decode_value(data, "bit") for data in (b"\0", b"\1")] == [0, 1]
    with pytest.raises(DecodeError, match="02 is no bit"):
        decode_value(b"\2", "bit")


@pytest.mark.parametrize(("order", "raw"), [("abcd", 0x01020304), ("cdab", 0x03040102)])
def test_raw_values_are_read_in_their_order(order, raw):
    assert raw_value(bytes.fromhex("01020304"), order) == raw


@given(st.integers(-(2**63), 2**64) | st.floats(-1e12, 1e12), st.fractions(max_denominator=10**9))
def test_scaling_is_the_exact_product(value, scale):
    exact = Fraction(repr(value)) * scale
    expected = int(exact) if isinstance(value, int) and exact.denominator == 1 else float(exact)
    assert scaled(value, scale) == expected
    assert type(scaled(value, scale)) is type(expected)


@pytest.mark.parametrize(
    ("value", "scale", "expected"),
    [
        (12345, "0.001", 12.345),
        (69, "0.01", 0.69),
        (0.545, "1/3600", 0.545 / 3600),
        (3, 1, 3),
        (291, "1000", 291_000),
    ],
)
def test_scaling_rounds_once(value, scale, expected):
    assert scaled(value, Fraction(str(scale))) == expected
