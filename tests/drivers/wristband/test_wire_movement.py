"""Location, running, fitness machines and the clock: vectors, and every way to be wrong."""

import struct
from datetime import datetime

import pytest

from drivers.wristband.wire.current_time import decode_current_time, encode_current_time
from drivers.wristband.wire.fitness import decode_bike, decode_cross_trainer, decode_treadmill
from drivers.wristband.wire.location import decode_location
from drivers.wristband.wire.running import decode_running
from gateway.errors import DecodeError


def values(reading):
    return {m.name: (m.value, m.unit) for m in reading.measurements}


# --- location ------------------------------------------------------------------------------------

# A Garmin GLO 2, from the tests of an app that reads it, with its position called fixed (bit 7).
GLO = bytes.fromhex("9f00 0e06 000000 b037c01b 808eab04 823403 6946".replace(" ", ""))


def test_location():
    told = values(decode_location(GLO))
    assert told["speed"] == (15.5, "m/s")
    assert told["distance"] == (0, "m")
    assert told["latitude"] == (pytest.approx(46.5582, abs=1e-4), "lat")
    assert told["longitude"] == (pytest.approx(7.8352, abs=1e-4), "lon")
    assert told["elevation"] == (2100.5, "m")
    assert told["heading"] == (pytest.approx(3.14596, abs=1e-5), "rad")


@pytest.mark.parametrize(
    ("status", "detail"), [(1, {}), (2, {"position": "estimated"}), (3, {"position": "last known"})]
)
def test_location_says_how_it_is_known(status, detail):
    reading = decode_location(bytes([0x1F | (status & 1) << 7, status >> 1]) + GLO[2:])
    assert reading.detail == detail
    assert "latitude" in values(reading)


def test_no_position_is_no_location():
    assert set(values(decode_location(b"\x1f" + GLO[1:]))) == {"speed", "distance", "heading"}


def test_location_south_and_west_with_times():
    moment = struct.pack("<HBBBBB", 2026, 11, 25, 18, 42, 7)
    reading = decode_location(
        b"\xe4\x00" + struct.pack("<ii", -338_568_000, -700) + b"\x05" + moment
    )
    assert values(reading) == {"latitude": (-33.8568, "lat"), "longitude": (-0.00007, "lon")}
    assert reading.detail == {"device_time": "2026-11-25T18:42:07"}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80",
        GLO[:-1],
        GLO + b"\0",
        b"\x84\x00" + struct.pack("<ii", 900_000_001, 0),
        b"\x84\x00" + struct.pack("<ii", 0, -1_800_000_001),
        b"\x81\x00\xff\xff",
        b"\x90\x00" + struct.pack("<H", 36_001),
        b"\x88\x00" + b"\xff\xff\x7f",
    ],
)
def test_location_that_cannot_be(data):
    with pytest.raises(DecodeError):
        decode_location(data)


# --- running -------------------------------------------------------------------------------------


def test_running():
    """By Running Speed and Cadence Service 1.0, 3.1."""
    reading = decode_running(b"\x07" + struct.pack("<HBHI", 640, 160, 94, 12_345))
    assert values(reading) == {
        "speed": (2.5, "m/s"),
        "cadence": (160, "1/min"),
        "stride": (0.94, "m"),
        "distance": (1234.5, "m"),
    }
    assert reading.detail == {"gait": "running"}
    assert decode_running(b"\x00\x00\x01\x3c").detail == {"gait": "walking"}


@pytest.mark.parametrize("data", ["", "00", "000001", "0000013c00", "0100013c", "00ffff3c"])
def test_running_that_cannot_be(data):
    with pytest.raises(DecodeError):
        decode_running(bytes.fromhex(data))


# --- fitness machines ----------------------------------------------------------------------------


def test_bike_by_the_service_specification():
    """A message of 21 bytes as github.com/BostonLeeK/iconsole-plus-client tabulates it."""
    data = bytes.fromhex("740b 3c05 4800 210000 0100 1800 0200ffffff 56 1000".replace(" ", ""))
    assert values(decode_bike(data)) == {
        "speed": (pytest.approx(13.4 / 3.6, abs=1e-4), "m/s"),
        "cadence": (36, "1/min"),
        "distance": (33, "m"),
        "resistance": (1, ""),
        "power": (24, "W"),
        "energy": (2 * 4184, "J"),
        "heart_rate": (86, "beat/min"),
        "elapsed": (16, "s"),
    }


def test_bike_by_the_supplement():
    """The same with a resistance of one byte."""
    data = bytes.fromhex("740b 3c05 4800 210000 01 1800 0200ffffff 56 1000".replace(" ", ""))
    assert values(decode_bike(data))["resistance"] == (1, "")
    assert values(decode_bike(data))["elapsed"] == (16, "s")


def test_bike_with_speed_cadence_and_power():
    """Frames of trainers, from the tests of two apps: 32.74 km/h, 80, 300 W; 30 km/h, 90, 250 W."""
    assert values(decode_bike(bytes([68, 0, 202, 12, 160, 0, 44, 1]))) == {
        "speed": (pytest.approx(32.74 / 3.6, abs=1e-4), "m/s"),
        "cadence": (80, "1/min"),
        "power": (300, "W"),
    }
    saris = values(decode_bike(bytes.fromhex("4600b80b0000b400fa00")))
    assert saris["speed"] == (pytest.approx(30 / 3.6, abs=1e-4), "m/s")
    assert saris["cadence"] == (90, "1/min")
    assert saris["power"] == (250, "W")


def test_treadmill_that_counts_steps_behind_a_reserved_bit():
    """A CITYSPORTS walking pad: github.com/hughesjs/FitnessMachine, protocol/README.md."""
    data = bytes.fromhex("8424 f401 d20400 2d00ffffff 5802 0a0000".replace(" ", ""))
    assert values(decode_treadmill(data)) == {
        "speed": (pytest.approx(5 / 3.6, abs=1e-4), "m/s"),
        "distance": (1234, "m"),
        "energy": (45 * 4184, "J"),
        "elapsed": (600, "s"),
    }


def test_bit_0_is_inverted():
    assert values(decode_treadmill(b"\x01\x00")) == {}
    assert "speed" in values(decode_treadmill(b"\x00\x00\xf4\x01"))
    with pytest.raises(DecodeError):
        decode_treadmill(b"\x00\x00")
    with pytest.raises(DecodeError):
        decode_treadmill(b"\x01\x00\xf4\x01")


@pytest.mark.parametrize("pace", [b"\x28", b"\x28\x00"])
def test_treadmill_with_everything(pace):
    fields = struct.pack("<HH", 360, 720) + b"\x10\x27\x00" + struct.pack("<hhHH", -15, 0, 25, 30)
    fields += pace + pace + struct.pack("<HHBBBHH", 12, 300, 5, 99, 45, 60, 90)
    fields += struct.pack("<hh", -7, 80)
    assert values(decode_treadmill(b"\xfe\x1f" + fields)) == {
        "speed": (1, "m/s"),
        "speed_average": (2, "m/s"),
        "distance": (10_000, "m"),
        "incline": (-1.5, "%"),
        "elevation_gain": (2.5, "m"),
        "elevation_loss": (3, "m"),
        "energy": (12 * 4184, "J"),
        "heart_rate": (99, "beat/min"),
        "metabolic_equivalent": (4.5, ""),
        "elapsed": (60, "s"),
        "remaining": (90, "s"),
        "force": (-7, "N"),
        "power": (80, "W"),
    }


def test_what_is_not_available_is_not_told():
    data = b"\x88\x01" + struct.pack("<HhhHHBB", 0xFFFF, 0x7FFF, 0x7FFF, 0xFFFF, 0xFFFF, 0xFF, 0xFF)
    assert values(decode_treadmill(data)) == {}
    assert values(decode_treadmill(b"\x01\x01\x00")) == {}  # a heart rate of 0


def test_cross_trainer_with_everything():
    fields = struct.pack("<HH", 360, 720) + b"\x10\x27\x00" + struct.pack("<HHH", 60, 55, 1234)
    fields += struct.pack("<HHhhhhh", 25, 30, 15, 0, 4, 80, 75)
    fields += struct.pack("<HHBBBHH", 12, 300, 5, 99, 45, 60, 90)
    assert values(decode_cross_trainer(b"\xfe\xff\x00" + fields)) == {
        "speed": (1, "m/s"),
        "speed_average": (2, "m/s"),
        "distance": (10_000, "m"),
        "cadence": (60, "1/min"),
        "cadence_average": (55, "1/min"),
        "strides": (123.4, "count"),
        "elevation_gain": (25, "m"),
        "elevation_loss": (30, "m"),
        "incline": (1.5, "%"),
        "resistance": (4, ""),
        "power": (80, "W"),
        "power_average": (75, "W"),
        "energy": (12 * 4184, "J"),
        "heart_rate": (99, "beat/min"),
        "metabolic_equivalent": (4.5, ""),
        "elapsed": (60, "s"),
        "remaining": (90, "s"),
    }
    with pytest.raises(DecodeError):  # backward is no field: nothing may follow
        decode_cross_trainer(b"\x01\x80\x00\x00")


# --- the clock -----------------------------------------------------------------------------------


def test_current_time():
    """By Current Time Service 1.1: a Wednesday, half a second past."""
    moment = datetime(2026, 11, 25, 18, 42, 7, 500_000)
    assert encode_current_time(moment).hex() == "ea070b19122a07038002"
    assert decode_current_time(bytes.fromhex("ea070b19122a07038002")) == moment


@pytest.mark.parametrize(
    "data",
    [
        "",
        "ea070b19122a070380",
        "ea070b19122a0703800200",
        "ea070d19122a07038002",
        "00000b19122a07038002",
        "ea070b19122a07088002",
        "ea070b19122a07038010",
    ],
)
def test_no_current_time(data):
    with pytest.raises(DecodeError):
        decode_current_time(bytes.fromhex(data))
