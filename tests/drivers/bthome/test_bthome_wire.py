"""The codec against the specification's own examples, and against any bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.bthome.cipher import Cipher
from drivers.bthome.wire.frame import UUID, Sealed, decode_frame, encode_plain, encode_sealed
from drivers.bthome.wire.objects import NUMBERS, PRESSES, SIZES, TRUTHS
from drivers.bthome.wire.payload import MOST_VALUES, Press, Trouble, decode_payload
from drivers.sim.beacon import encode_objects
from gateway.codec import decode_event, encode_event
from gateway.errors import DecodeError, UnknownVersion
from gateway.model import Event, Kind, Measurement, Stamp, TimeQuality

STAMP = Stamp(bytes(8), 0, 0, TimeQuality.UNKNOWN)

# The example of bthome.io/encryption, and the same with another counter in the tests of bthome-ble
# (test_v2_encryption.py, test_parser_v2.py).
KEY = bytes.fromhex("231d39c1d7cc1ab1aee224cd096db932")
ADDRESS = "54:48:E6:8F:80:A5"
SPECIFIED = bytes.fromhex("41e445f3c9962b332211006c7c4519")
LIBRARY = bytes.fromhex("41a47266c95f730011223378237214")
OBJECTS = bytes.fromhex("02ca0903bf13")


def told(data):
    payload = decode_payload(data)
    assert payload.trouble is None
    return [(m.name, m.value, m.unit) for m in payload.measurements]


# --- the frame -----------------------------------------------------------------------------------


def test_the_uuid_is_of_bthome():
    assert UUID == "0000fcd2-0000-1000-8000-00805f9b34fb"


def test_the_example_of_the_format():
    """bthome.io/format: 25.00 degrees and 50.55 %."""
    objects = decode_frame(bytes.fromhex("4002c40903bf13"))
    assert told(objects) == [("temperature", 25.0, "Cel"), ("humidity", 50.55, "%RH")]


@pytest.mark.parametrize(("data", "counter"), [(SPECIFIED, 1122867), (LIBRARY, 0x33221100)])
def test_the_examples_of_the_encryption(data, counter):
    sealed = decode_frame(data)
    assert sealed.counter == counter
    cipher = Cipher(KEY, ADDRESS)
    assert cipher.open(sealed) == OBJECTS
    assert encode_sealed(cipher.seal(OBJECTS, counter, 0x41)) == data
    assert told(OBJECTS) == [("temperature", 25.06, "Cel"), ("humidity", 50.55, "%RH")]


def test_an_address_in_the_message_is_the_one_of_the_nonce():
    sealed = Cipher(KEY, ADDRESS).seal(OBJECTS, 7, 0x43)
    address = bytes.fromhex("a5808fe64854")
    data = b"\x43" + address + encode_sealed(sealed)[1:]
    assert Cipher(KEY, "00:00:00:00:00:00").open(decode_frame(data)) == OBJECTS
    assert encode_sealed(decode_frame(data)) == data


def test_an_address_in_plaintext_is_passed_over():
    assert decode_frame(bytes.fromhex("42a5808fe648543a01")) == b"\x3a\x01"


@pytest.mark.parametrize("data", ["", "42a5808fe648", "41", "41332211006c7c45"])
def test_too_short(data):
    with pytest.raises(DecodeError):
        decode_frame(bytes.fromhex(data))


@pytest.mark.parametrize("info", [0x00, 0x20, 0x60, 0xFF])
def test_of_another_version(info):
    with pytest.raises(UnknownVersion):
        decode_frame(bytes([info]) + OBJECTS)


@pytest.mark.parametrize("at", range(15))
def test_every_byte_of_an_encrypted_message_counts(at):
    broken = bytearray(SPECIFIED)
    broken[at] ^= 0x04
    with pytest.raises(DecodeError):
        Cipher(KEY, ADDRESS).open(decode_frame(bytes(broken)))


def test_another_key_and_another_address_do_not_open_it():
    for cipher in (Cipher(bytes(16), ADDRESS), Cipher(KEY, "54:48:E6:8F:80:A6")):
        with pytest.raises(DecodeError, match="the key is wrong"):
            cipher.open(decode_frame(SPECIFIED))


# --- objects: every example in the tables of bthome.io/format -------------------------------------

EXAMPLES = [
    ("0161", "battery", 97, "%EL"),
    ("02ca09", "temperature", 25.06, "Cel"),
    ("03bf13", "humidity", 50.55, "%RH"),
    ("04138a01", "pressure", 100883, "Pa"),
    ("05138a14", "illuminance", 13460.67, "lx"),
    ("065e1f", "mass", 80.3, "kg"),
    ("073e1d", "mass", pytest.approx(74.86 * 0.45359237), "kg"),
    ("08ca06", "dew_point", 17.38, "Cel"),
    ("0960", "count", 96, "count"),
    ("0a138a14", "energy", 1346067 * 3600, "J"),
    ("0b021b00", "power", 69.14, "W"),
    ("0c020c", "voltage", 3.074, "V"),
    ("0d120c", "pm2_5", 3.09e-6, "kg/m3"),
    ("0e021c", "pm10", 7.17e-6, "kg/m3"),
    ("12e204", "co2", 0.00125, "/"),
    ("133301", "tvoc", 3.07e-7, "kg/m3"),
    ("14020c", "moisture", 30.74, "%"),
    ("2e23", "humidity", 35, "%RH"),
    ("2f23", "moisture", 35, "%"),
    ("3d0960", "count", 24585, "count"),
    ("3e2a2c0960", "count", 1611213866, "count"),
    ("3f020c", "rotation", 307.4, "deg"),
    ("400c00", "distance", 0.012, "m"),
    ("414e00", "distance", 7.8, "m"),
    ("424e3400", "duration", 13.39, "s"),
    ("434e34", "current", 13.39, "A"),
    ("444e34", "speed", 133.9, "m/s"),
    ("451101", "temperature", 27.3, "Cel"),
    ("4632", "uv_index", 5, ""),
    ("478756", "volume", 2.2151, "m3"),
    ("48dc87", "volume", 0.03478, "m3"),
    ("49dc87", "volume_flow", pytest.approx(34.78 / 3600), "m3/s"),
    ("4a020c", "voltage", 307.4, "V"),
    ("4b138a14", "gas", 1346.067, "m3"),
    ("4c41018a01", "gas", 25821.505, "m3"),
    ("4d12138a14", "energy", 344593170 * 3600, "J"),
    ("4e87562a01", "volume", 19.551879, "m3"),
    ("4f87562a01", "water", 19.551879, "m3"),
    ("518756", "acceleration", 22.151, "m/s2"),
    ("5587562a01", "volume_stored", 19.551879, "m3"),
    ("56e803", "conductivity", 0.1, "S/m"),
    ("57ea", "temperature", -22, "Cel"),
    ("58ea", "temperature", -7.7, "Cel"),
    ("59ea", "count", -22, "count"),
    ("5aeaea", "count", -5398, "count"),
    ("5bea0234ea", "count", -365690134, "count"),
    ("5c02fbffff", "power", -12.78, "W"),
    ("5d02ea", "current", -5.63, "A"),
    ("5e9f8c", "direction", 359.99, "deg"),
    ("0f01", "generic", True, ""),
    ("1001", "power_on", True, ""),
    ("1100", "opening", False, ""),
    ("1501", "battery_low", True, ""),
    ("1601", "battery_charging", True, ""),
    ("1700", "carbon_monoxide", False, ""),
    ("1801", "cold", True, ""),
    ("1900", "connectivity", False, ""),
    ("1a00", "door", False, ""),
    ("1b01", "garage_door", True, ""),
    ("1c01", "gas_detected", True, ""),
    ("1d00", "heat", False, ""),
    ("1e01", "light", True, ""),
    ("1f01", "lock", True, ""),
    ("2001", "moisture_detected", True, ""),
    ("2100", "motion", False, ""),
    ("2201", "moving", True, ""),
    ("2301", "occupancy", True, ""),
    ("2400", "plug", False, ""),
    ("2500", "presence", False, ""),
    ("2601", "problem", True, ""),
    ("2701", "running", True, ""),
    ("2800", "safety", False, ""),
    ("2901", "smoke", True, ""),
    ("2a00", "sound", False, ""),
    ("2b00", "tamper", False, ""),
    ("2c01", "vibration", True, ""),
    ("2d01", "window", True, ""),
]


@pytest.mark.parametrize(("data", "name", "value", "unit"), EXAMPLES)
def test_an_object(data, name, value, unit):
    assert told(bytes.fromhex(data)) == [(name, value, unit)]


def test_every_object_of_the_specification_has_its_example():
    shown = {bytes.fromhex(data)[0] for data, *_ in EXAMPLES}
    assert {*NUMBERS, *TRUTHS} - shown == {0x62, 0x63, 0x64}  # in bthome-ble alone


@pytest.mark.parametrize(
    "data",
    [
        "505d396164",
        "528756",
        "530c48656c6c6f20576f726c6421",
        "540c48656c6c6f20576f726c6421",
        "5300",
        "5fa00f",
        "f00100",
        "f100010204",
        "f2000106",
    ],
)
def test_what_is_not_told_is_passed_over(data):
    assert told(bytes.fromhex(data)) == []
    payload = decode_payload(bytes.fromhex("3a01" + data))
    assert payload.presses == (Press("press"),)
    assert payload.trouble is None


@pytest.mark.parametrize(
    ("code", "kind"), [*PRESSES.items(), (0x07, "other"), (0x7F, "other"), (0xFF, "other")]
)
def test_presses(code, kind):
    assert decode_payload(bytes([0x3A, code])).presses == (Press(kind),)


def test_several_buttons():
    """bthome.io/format: 3A003A01 is a press of the second button."""
    assert decode_payload(bytes.fromhex("3a003a01")).presses == (Press("press", 2),)
    assert decode_payload(bytes.fromhex("3a003a00")).presses == ()


@pytest.mark.parametrize(("data", "steps"), [("3c0103", (-3,)), ("3c020a", (10,)), ("3c0000", ())])
def test_dimmers(data, steps):
    assert decode_payload(bytes.fromhex(data)).steps == steps


def test_several_of_a_name_are_numbered():
    names = [name for name, *_ in told(bytes.fromhex("02ca0902cb092d012d0057ea"))]
    assert names == ["temperature", "temperature_2", "window", "window_2", "temperature_3"]


def test_the_packet_id():
    assert decode_payload(bytes.fromhex("00093a01")).packet_id == 9
    assert decode_payload(bytes.fromhex("3a01")).packet_id is None


# --- what cannot be read -------------------------------------------------------------------------


def test_an_unknown_object_ends_it_and_what_came_before_counts():
    payload = decode_payload(bytes.fromhex("01613a01700102"))
    assert payload.presses == (Press("press"),)
    assert payload.measurements == (Measurement("battery", 97, "%EL"),)
    assert payload.trouble == Trouble("unknown_object", "object 70 is unknown, 3 bytes left out")


@pytest.mark.parametrize("data", ["3a0102", "3a0102ca", "3a0153", "3a015305414243"])
def test_an_object_that_is_cut_short_does_not_take_the_press_with_it(data):
    payload = decode_payload(bytes.fromhex(data))
    assert payload.presses == (Press("press"),)
    assert payload.trouble.fault == "malformed"


def test_ids_out_of_order_are_told_and_read():
    payload = decode_payload(bytes.fromhex("3a010161"))
    assert payload.presses == (Press("press"),)
    assert payload.measurements == (Measurement("battery", 97, "%EL"),)
    assert payload.trouble == Trouble("malformed", "object 01 comes after 3a")


def test_an_impossible_battery_is_not_told():
    payload = decode_payload(bytes.fromhex("01653a01"))
    assert payload.measurements == ()
    assert payload.presses == (Press("press"),)
    assert payload.trouble == Trouble("malformed", "battery of 101 is outside 0..100")


def test_no_more_values_than_an_event_has_room_for():
    payload = decode_payload(bytes.fromhex("2d01" * 120))
    assert len(payload.measurements) == MOST_VALUES
    assert payload.trouble.what == "more than 64 values"


# --- any bytes -----------------------------------------------------------------------------------


def check(data):
    """Only DecodeError comes out of it, and what is read makes an event."""
    try:
        frame = decode_frame(data)
        objects = Cipher(KEY, ADDRESS).open(frame) if isinstance(frame, Sealed) else frame
    except DecodeError:
        return
    payload = decode_payload(objects)
    event = Event(Kind.MEASUREMENT, "beacon", STAMP, payload.measurements)
    assert decode_event(encode_event(event)) == event


@given(st.binary(max_size=255))
def test_any_bytes(data):
    check(data)


@given(st.binary(max_size=254))
def test_any_objects(objects):
    check(b"\x40" + objects)


@given(st.lists(st.tuples(st.sampled_from(sorted(SIZES)), st.binary(min_size=4, max_size=4))))
def test_any_values_in_known_objects(objects):
    data = b"".join(bytes([kind]) + value[: SIZES[kind]] for kind, value in sorted(objects))
    check(b"\x40" + data[:254])


# --- the virtual beacon's encoder ----------------------------------------------------------------


@st.composite
def values(draw):
    """Objects as a beacon is told to send them, and the measurements that they are."""
    kinds = draw(st.lists(st.sampled_from(sorted({*NUMBERS, *TRUTHS})), unique=True, max_size=20))
    objects, measurements = [], []
    for kind in sorted(kinds):
        if kind in TRUTHS:
            value = draw(st.booleans())
            name, unit = TRUTHS[kind], ""
        else:
            name, size, unit, per, times, signed = NUMBERS[kind]
            most = 100 if kind == 1 else 2 ** (8 * size - signed) - 1
            raw = draw(st.integers(-most - 1 if signed else 0, most))
            value = raw * times if per == 1 else raw * times / per
        objects.append((kind, value))
        measurements.append((name, value, unit))
    return objects, measurements


@given(values(), st.integers(0, 255), st.sampled_from(sorted(PRESSES)))
def test_what_a_beacon_sends_comes_back(values, packet_id, code):
    objects, measurements = values
    data = encode_plain(encode_objects([(0x3A, code), (0x00, packet_id), *objects]))
    payload = decode_payload(decode_frame(data))
    assert payload.trouble is None
    assert payload.packet_id == packet_id
    assert payload.presses == (Press(PRESSES[code]),)
    read = [(m.value, m.unit) for m in payload.measurements]
    assert read == [(value, unit) for _, value, unit in measurements]


@given(st.binary(max_size=16), st.binary(max_size=40), st.integers(0, 2**32 - 1))
def test_what_a_beacon_encrypts_comes_back(key, objects, counter):
    cipher = Cipher(key.ljust(16, b"\0"), ADDRESS)
    data = encode_sealed(cipher.seal(objects, counter))
    assert cipher.open(decode_frame(data)) == objects
