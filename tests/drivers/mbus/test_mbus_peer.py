"""pyMeterBus, an independent decoder, on telegrams that are made here.

Where it is known to differ, which is where hearth keeps to the standard:

- it has no rows for humidity (FB 1B), frequency, and what is left of a battery, calls GJ/h joules,
  and misprints one factor (FB 79): those are not compared;
- its `load` takes a telegram whose L is 44 for a wireless one: here it is told what it gets;
- it multiplies floats, so its last digits are not exact: compared to nine digits;
- BCD digits above 9 are numbers to it, and dates that do not exist are texts: see the last tests.
"""

from datetime import datetime

import meterbus
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from mbus_telegrams import ALL, telegram

from drivers.mbus import wire
from gateway.errors import DecodeError

UNITS = {  # of pyMeterBus: in SenML's
    "MeasureUnit.WH": ("J", 3600),
    "MeasureUnit.J": ("J", 1),
    "MeasureUnit.M3": ("m3", 1),
    "MeasureUnit.KG": ("kg", 1),
    "MeasureUnit.SECONDS": ("s", 1),
    "MeasureUnit.W": ("W", 1),
    "MeasureUnit.J_H": ("W", 1 / 3600),
    "MeasureUnit.M3_H": ("m3/s", 1 / 3600),
    "MeasureUnit.M3_MIN": ("m3/s", 1 / 60),
    "MeasureUnit.M3_S": ("m3/s", 1),
    "MeasureUnit.KG_H": ("kg/s", 1 / 3600),
    "MeasureUnit.C": ("Cel", 1),
    "MeasureUnit.K": ("K", 1),
    "MeasureUnit.BAR": ("Pa", 100_000),
    "MeasureUnit.V": ("V", 1),
    "MeasureUnit.A": ("A", 1),
    "MeasureUnit.HCA": ("", 1),
    "MeasureUnit.NONE": ("", 1),
    "MeasureUnit.PERCENT": ("%RH", 1),
    "Reserved": ("J", 1),  # FB 08 and 09, of which it knows the factor
}
FUNCTIONS = {
    "now": "FunctionType.INSTANTANEOUS_VALUE",
    "max": "FunctionType.MAXIMUM_VALUE",
    "min": "FunctionType.MINIMUM_VALUE",
    "error": "FunctionType.ERROR_STATE_VALUE",
}
VIBS = [bytes([vif]) for vif in (*range(0x6C), 0x6E, *range(0x70, 0x78))]
VIBS += [bytes([0xFB, code]) for code in (0, 1, 8, 9, 0x10, 0x11, 0x18, 0x19, 0x1A, 0x28, 0x29)]
VIBS += [bytes([0xFB, code]) for code in (*range(0x74, 0x79), *range(0x7A, 0x80))]
VIBS += [bytes([0xFD, code]) for code in (0x17, 0x1A, 0x1B, *range(0x40, 0x62), 0x6C, 0x6D)]
CODES = {1: 127, 2: 2**15 - 1, 3: 2**23 - 1, 4: 2**31 - 1, 6: 2**47 - 1, 7: 2**53}
CODES |= {9: 9, 0xA: 999, 0xB: 99_999, 0xC: 9_999_999, 0xE: 10**11 - 1}


def both(*records):
    """What hearth and what pyMeterBus make of the records of one telegram."""
    frame = telegram(*records)
    theirs = meterbus.TelegramLong.parse(list(wire.encode(frame))).records
    return wire.decode_telegram(frame).records, [it.interpreted for it in theirs]


def agree(ours, theirs):
    unit, factor = UNITS[theirs["unit"]]
    assert ours.unit == unit
    assert ours.value == pytest.approx(float(theirs["value"]) * factor, rel=1e-9, abs=1e-30)
    assert FUNCTIONS[ours.function] == theirs["function"]
    assert ours.storage == theirs["storage_number"]
    assert (ours.tariff, ours.subunit) == (theirs.get("tariff") or 0, theirs.get("device") or 0)


@st.composite
def records(draw):
    code, most = draw(st.sampled_from(sorted(CODES.items())))
    dib = wire.Dib(
        code,
        draw(st.sampled_from(wire.FUNCTIONS)),
        draw(st.integers(0, 2**9)),
        draw(st.integers(0, 3)),
        draw(st.integers(0, 1)),
    )
    value = draw(st.integers(-most, most))
    return wire.encode_record(dib, draw(st.sampled_from(VIBS)), wire.encode_number(code, value))


@given(st.lists(records(), min_size=1, max_size=8))
def test_numbers_and_units(made):
    for ours, theirs in zip(*both(*made), strict=True):
        agree(ours, theirs)


@pytest.mark.parametrize("vib", VIBS, ids=bytes.hex)
def test_every_quantity(vib):
    (ours,), (theirs,) = both(
        wire.encode_record(wire.Dib(4), vib, wire.encode_number(4, 1_234_567))
    )
    agree(ours, theirs)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False), st.sampled_from(VIBS))
def test_reals(value, vib):
    assume(value == 0 or abs(value) > 1e-30)
    (ours,), (theirs,) = both(wire.encode_record(wire.Dib(5), vib, wire.encode_number(5, value)))
    _, factor = UNITS[theirs["unit"]]
    # Ours is the shortest decimal that means this real, theirs what a real is in a double.
    assert ours.value == pytest.approx(float(theirs["value"]) * factor, rel=1e-6)


@given(st.datetimes(datetime(2000, 1, 1), datetime(2080, 12, 31, 23, 59)))
def test_times(when):
    minute = when.replace(second=0, microsecond=0)
    clock = bytearray(wire.encode_time(minute))
    clock[1] &= 0x1F  # it does not know the century
    date = wire.encode_date(minute.date())
    ours, theirs = both(
        wire.encode_record(wire.Dib(4), b"\x6d", bytes(clock)),
        wire.encode_record(wire.Dib(2), b"\x6c", date),
    )
    assert theirs[0]["value"] == ours[0].value.strftime("%Y-%m-%dT%H:%M")
    assert theirs[1]["value"] == ours[1].value.isoformat()


@pytest.mark.parametrize(
    "name", [it for it in ALL if "fixed" not in it and it not in {"premature-end", "too-many-vife"}]
)
def test_published_telegrams(name):
    """Every value hearth tells; what it keeps as unknown, pyMeterBus often reads as the plain one."""
    frame = meterbus.load(ALL[name])
    try:
        ours = wire.decode_telegram(wire.decode_frame(ALL[name])).records
    except DecodeError:
        assert name == "real-and-signature"
        return
    for mine, record in zip(ours, frame.records, strict=False):
        if isinstance(mine.value, float):
            other = record.interpreted
            assert mine.value == pytest.approx(
                float(other["value"]) * UNITS[other["unit"]][1], rel=1e-6
            )


# --- where it would have misled -----------------------------------------------------------------


def test_a_digit_above_9_is_a_number_to_it():
    (ours,), (theirs,) = both(bytes.fromhex("0c13 0a000000"))
    assert (ours.value, ours.fault) == (None, "0000000a is no BCD")
    assert float(theirs["value"]) == pytest.approx(0.010)


def test_a_date_that_does_not_exist_is_one_to_it():
    (ours,), (theirs,) = both(bytes.fromhex("026c 0000"))
    assert (ours.value, ours.fault) == (None, "0000 is no time")
    assert theirs["value"] == "2000-00-00"


def test_what_went_backward_is_the_volume_to_it():
    (ours,), (theirs,) = both(bytes.fromhex("04933c e8030000"))
    assert (ours.direction, ours.value) == ("reverse", 1.0)
    assert (theirs["type"], float(theirs["value"])) == ("VIFUnit.VOLUME", 1.0)


def test_it_raises_what_nobody_expects():
    with pytest.raises(IndexError):
        meterbus.load(wire.encode(telegram(bytes.fromhex("0d13"))))
    with pytest.raises(DecodeError):
        wire.decode_telegram(telegram(bytes.fromhex("0d13")))
