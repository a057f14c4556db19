"""Monthly totals and freezes. No vector of them is published: the layouts are spelled out here."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.cjt188 import wire
from drivers.cjt188.wire import DI_ORDERS, Frame, FrameAnswer
from gateway.errors import DecodeError

METER = wire.wire_address("78330011223344")
orders = st.sampled_from(DI_ORDERS)
litres = st.integers(0, 999_999_990)


def raw(text):
    return bytes.fromhex(text)


def answer(text):
    return Frame(0x10, METER, 0x81, raw(text))


def test_a_month():
    assert wire.month_request(METER, 0x10, "low-first", 1).data == raw("20d100")
    assert wire.month_request(METER, 0x10, "high-first", 12).data == raw("d12b00")
    assert wire.decode_month(answer("20d100 78563412 2c")) == wire.Month(123456.78)


def test_a_month_before_the_meter_was():
    month = wire.decode_month(answer("20d100 ffffffff 2c"))
    assert month == wire.Month(None, {"volume_month": "ffffffff in unit 0x2c"})


def test_a_freeze():
    assert wire.freeze_request(METER, 0x10, "low-first", "timer", 1).data == raw("00d300")
    assert wire.freeze_request(METER, 0x10, "high-first", "command", 256).data == raw("d4ff00")
    text = "00d300 31012211051520 78563412 2c 00500100 35 501700 000300"
    assert wire.decode_freeze(answer(text)) == wire.Freeze(
        datetime(2015, 5, 11, 22, 1, 31), 123456.78, 1.5 / 3600
    )


def test_a_freeze_that_is_absurd():
    text = "00d300 ffffffffffffff ffffffff 2c 00500100 2c 501700 000300"
    freeze = wire.decode_freeze(answer(text))
    assert freeze.absurd.keys() == {"clock", "volume", "flow"}
    assert (freeze.time, freeze.volume_m3, freeze.flow_m3_s) == (None, None, None)


@pytest.mark.parametrize("back", [-1, 0, 13])
def test_months_there_are_not(back):
    with pytest.raises(DecodeError, match="1 to 12"):
        wire.month_request(METER, 0x10, "low-first", back)


@pytest.mark.parametrize("back", [0, 257])
def test_freezes_there_are_not(back):
    with pytest.raises(DecodeError, match="1 to 256"):
        wire.freeze_request(METER, 0x10, "low-first", "timer", back)


@given(orders, st.integers(1, 12), litres)
def test_months_round_trip(order, back, total):
    asked = wire.month_request(METER, 0x10, order, back)
    found = FrameAnswer(asked).feed(wire.encode(wire.encode_month(asked, METER, total)))
    assert wire.decode_month(found).volume_m3 == pytest.approx(total // 10 * 10 / 1000)


@given(orders, st.sampled_from(["timer", "command"]), st.integers(1, 256), litres, st.datetimes())
def test_freezes_round_trip(order, trigger, back, total, time):
    when = time.replace(microsecond=0)
    asked = wire.freeze_request(METER, 0x10, order, trigger, back)
    said = wire.encode(wire.encode_freeze(asked, METER, when, total, 360))
    found = wire.decode_freeze(FrameAnswer(asked).feed(said))
    assert found.time == when
    assert found.volume_m3 == pytest.approx(total // 10 * 10 / 1000)
    assert found.flow_m3_s == pytest.approx(1e-4)


@given(orders, st.integers(1, 12), st.integers(1, 12))
def test_the_answer_for_one_month_is_not_anothers(order, one, other):
    asked = wire.month_request(METER, 0x10, order, one)
    said = wire.encode(wire.encode_month(wire.month_request(METER, 0x10, order, other), METER, 10))
    assert (FrameAnswer(asked).feed(said) is not None) == (one == other)


@given(st.binary(max_size=40) | st.binary(min_size=8, max_size=8))
def test_fuzz_months(data):
    try:
        wire.decode_month(Frame(0x10, METER, 0x81, data))
    except DecodeError:
        assert len(data) != 8


@given(st.binary(max_size=40) | st.binary(min_size=26, max_size=26))
def test_fuzz_freezes(data):
    try:
        wire.decode_freeze(Frame(0x10, METER, 0x81, data))
    except DecodeError:
        assert len(data) != 26
