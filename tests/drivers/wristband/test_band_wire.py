"""The decoders: known values, every rule of dropping, and fuzz."""

import contextlib
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.wristband.wire.battery import decode_battery
from drivers.wristband.wire.fields import Fields
from drivers.wristband.wire.heart_rate import decode_heart_rate
from drivers.wristband.wire.identity import decode_identity
from drivers.wristband.wire.oximeter import decode_oximeter_continuous, decode_oximeter_spot
from drivers.wristband.wire.profile import READINGS
from drivers.wristband.wire.reading import Reading
from drivers.wristband.wire.thermometer import decode_temperature
from gateway.codec import decode_event, encode_event
from gateway.errors import DecodeError
from gateway.model import Event, Kind, Measurement, Stamp, TimeQuality


def values(reading):
    return {m.name: (m.value, m.unit) for m in reading.measurements}


# --- IEEE 11073 numbers ------------------------------------------------------------------------


def sfloat(raw):
    return Fields(raw.to_bytes(2, "little"), "x").sfloat()


def float32(raw):
    return Fields(raw.to_bytes(4, "little"), "x").float32()


def test_known_numbers():
    assert sfloat(0xF3D5) == 98.1
    assert sfloat(0x0061) == 97
    assert sfloat(0x1010) == 160
    assert sfloat(0x0FFF) == -1
    assert float32(0xFF00016E) == 36.6
    assert float32(0xFE000E4C) == 36.6
    assert float32(0x01000004) == 40


@pytest.mark.parametrize("raw", [0x7FF, 0x800, 0x7FE, 0x802, 0x801])
def test_special_sfloats_are_no_numbers(raw):
    assert sfloat(raw) is None
    assert sfloat(raw | 0x1000) is not None  # only with exponent 0


@pytest.mark.parametrize("raw", [0x7FFFFF, 0x800000, 0x7FFFFE, 0x800002, 0x800001])
def test_special_floats_are_no_numbers(raw):
    assert float32(raw) is None
    assert float32(raw | 0x01000000) is not None


@given(st.integers(-2047, 2045), st.integers(-8, 7))
def test_every_sfloat(mantissa, exponent):
    raw = (exponent & 0xF) << 12 | mantissa & 0xFFF
    expected = float(f"{mantissa}e{exponent}")
    if exponent == 0 and mantissa & 0xFFF in (0x800, 0x801, 0x802):
        assert sfloat(raw) is None
    else:
        assert sfloat(raw) == expected


@given(st.integers(-(2**23) + 3, 2**23 - 3), st.integers(-128, 127))
def test_every_float(mantissa, exponent):
    raw = (exponent & 0xFF) << 24 | mantissa & 0xFFFFFF
    assert math.isclose(float32(raw), float(f"{mantissa}e{exponent}"), rel_tol=1e-15)


# --- heart rate --------------------------------------------------------------------------------


def test_heart_rate_plain():
    assert decode_heart_rate(b"\x00\x48") == Reading((Measurement("heart_rate", 72, "beat/min"),))


def test_heart_rate_with_everything():
    data = b"\x1f" + struct.pack("<HHHH", 300, 7, 1024, 512)
    reading = decode_heart_rate(data)
    assert reading.contact is True
    assert reading.measurements == (
        Measurement("heart_rate", 300, "beat/min"),
        Measurement("energy", 7000, "J"),
        Measurement("rr_interval", 1.0, "s"),
        Measurement("rr_interval", 0.5, "s"),
    )


def test_no_skin_contact_is_no_heart_rate():
    assert decode_heart_rate(b"\x04\x48") == Reading(contact=False)
    assert decode_heart_rate(b"\x06\x48").contact is True
    assert decode_heart_rate(b"\x02\x48").contact is None  # contact not supported


def test_a_heart_rate_of_zero_is_none():
    assert decode_heart_rate(b"\x06\x00") == Reading(contact=True)


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x01\x48", b"\x10\x48\x01", b"\x00\x48\x00"])
def test_heart_rate_of_the_wrong_length(data):
    with pytest.raises(DecodeError):
        decode_heart_rate(data)


def test_impossible_heart_rate():
    with pytest.raises(DecodeError, match="rate of 1000"):
        decode_heart_rate(b"\x01" + struct.pack("<H", 1000))


# --- oximeter ----------------------------------------------------------------------------------

PAIR = struct.pack("<HH", 97, 72)


def continuous(flags=0, rest=b""):
    return decode_oximeter_continuous(bytes([flags]) + PAIR + rest)


def test_oximeter_continuous_with_everything():
    rest = PAIR + PAIR + struct.pack("<H", 1 << 7) + bytes(3) + struct.pack("<H", 0xF019)
    assert values(continuous(0x1F, rest)) == {
        "spo2": (97, "%"),
        "pulse_rate": (72, "beat/min"),
        "spo2_fast": (97, "%"),
        "pulse_rate_fast": (72, "beat/min"),
        "spo2_slow": (97, "%"),
        "pulse_rate_slow": (72, "beat/min"),
        "pulse_amplitude": (2.5, "%"),
    }


def test_oximeter_not_a_number_is_left_out():
    reading = decode_oximeter_continuous(b"\x00" + struct.pack("<HH", 0x7FF, 72))
    assert values(reading) == {"pulse_rate": (72, "beat/min")}


@pytest.mark.parametrize("bit", range(16))
def test_measurement_status_decides(bit):
    reading = continuous(0x04, (1 << bit).to_bytes(2, "little"))
    assert bool(reading.measurements) is (bit not in {10, 11, 13, 14, 15})
    spot = decode_oximeter_spot(b"\x02" + PAIR + (1 << bit).to_bytes(2, "little"))
    assert bool(spot.measurements) is (bit not in {10, 11, 13, 14, 15})
    assert spot.detail == ({"stored": True} if bit == 9 else {})


@pytest.mark.parametrize("bit", range(24))
def test_device_status_decides(bit):
    reading = continuous(0x08, (1 << bit).to_bytes(3, "little"))
    assert bool(reading.measurements) is (bit not in {11, 13, 15})
    assert reading.contact is (bit != 11)


def test_oximeter_spot_with_everything():
    moment = struct.pack("<HBBBBB", 2026, 2, 28, 7, 30, 5)
    rest = moment + struct.pack("<H", 1 << 8) + bytes(3) + struct.pack("<H", 3)
    reading = decode_oximeter_spot(b"\x0f" + PAIR + rest)
    assert values(reading)["pulse_amplitude"] == (3, "%")
    assert reading.detail == {"device_time": "2026-02-28T07:30:05"}
    unset = decode_oximeter_spot(b"\x1f" + PAIR + rest)
    assert unset.detail == {}


def test_impossible_saturation_and_date():
    with pytest.raises(DecodeError, match="SpO2 of 101"):
        decode_oximeter_continuous(b"\x00" + struct.pack("<HH", 101, 72))
    with pytest.raises(DecodeError, match="no date"):
        decode_oximeter_spot(b"\x01" + PAIR + struct.pack("<HBBBBB", 2026, 2, 30, 0, 0, 0))


# --- thermometer, battery, identity ------------------------------------------------------------


def test_temperature():
    assert decode_temperature(b"\x00\x6e\x01\x00\xff") == Reading(
        (Measurement("body_temperature", 36.6, "Cel"),)
    )
    fahrenheit = decode_temperature(b"\x05" + struct.pack("<I", 0xFF0003DC) + b"\x01")
    assert values(fahrenheit) == {"body_temperature": (37.11, "Cel")}
    assert fahrenheit.detail == {"site": "armpit"}
    assert decode_temperature(b"\x00\xff\xff\x7f\x00") == Reading()


def test_temperature_with_a_date_that_is_unknown():
    data = b"\x02\x6e\x01\x00\xff" + bytes(7)
    assert decode_temperature(data).detail == {}


def test_impossible_temperature():
    with pytest.raises(DecodeError):
        decode_temperature(b"\x00" + struct.pack("<I", 0x7F000001))


def test_battery():
    assert decode_battery(b"\x57") == Reading((Measurement("battery", 87, "%EL"),))
    for data in (b"", b"\x65", b"\x57\x00"):
        with pytest.raises(DecodeError):
            decode_battery(data)


def test_identity():
    assert decode_identity("手环 2\0\0".encode()) == "手环 2"
    for data in (b"\xff", b"a\x1bb"):
        with pytest.raises(DecodeError):
            decode_identity(data)


# --- fuzz --------------------------------------------------------------------------------------


@given(st.sampled_from(sorted(READINGS)), st.binary(max_size=40))
def test_any_bytes_decode_or_are_refused(uuid, data):
    """What comes out always makes an event that the codec takes."""
    try:
        reading = READINGS[uuid](data)
    except DecodeError:
        return
    stamp = Stamp(bytes(8), 0, 0, TimeQuality.UNKNOWN)
    event = Event(Kind.MEASUREMENT, "band", stamp, reading.measurements, detail=reading.detail)
    assert decode_event(encode_event(event)) == event


@given(st.binary(max_size=600))
def test_any_identity_decodes_or_is_refused(data):
    with contextlib.suppress(DecodeError):
        assert len(decode_identity(data)) <= 64
