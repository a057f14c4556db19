"""Records: every kind of number, time, quantity and extension, and what is withheld."""

from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mbus_telegrams import record, telegram

from drivers.mbus import wire
from gateway.errors import DecodeError

INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 6: 6, 7: 8}
BCD = {9: 2, 0xA: 4, 0xB: 6, 0xC: 8, 0xE: 12}


# --- numbers ------------------------------------------------------------------------------------


@given(st.data())
def test_integers_round_trip(data):
    code, size = data.draw(st.sampled_from(sorted(INTEGERS.items())))
    most = (1 << 8 * size - 1) - 1
    value = data.draw(st.integers(-most, most))
    told = record((bytes([code, 0x16]) + wire.encode_number(code, value)).hex())
    assert told.value == float(value)


@given(st.data())
def test_bcd_round_trips(data):
    code, size = data.draw(st.sampled_from(sorted(BCD.items())))
    value = data.draw(st.integers(-(10 ** (size - 1)) + 1, 10**size - 1))
    told = record((bytes([code, 0x16]) + wire.encode_number(code, value)).hex())
    assert told.value == value


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_reals_round_trip(value):
    told = record((b"\x05\x16" + wire.encode_number(5, value)).hex())
    assert told.value == pytest.approx(value, rel=1e-7)


@pytest.mark.parametrize(
    ("code", "value"), [(1, 128), (4, 2**31), (9, 100), (0xC, -(10**7)), (9, -10)]
)
def test_numbers_that_do_not_fit(code, value):
    with pytest.raises(DecodeError, match="does not fit"):
        wire.encode_number(code, value)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        ("0b13 563412", 123.456),
        ("0b62 0200f0", -0.2),
        ("0913 07", 0.007),
        ("0a13 00f0", 0.0),
        ("0513 cdcc4441", 0.0123),
        ("0113 ff", -0.001),
        ("0d13 c2 3412", 1.234),
        ("0d13 d2 3412", -1.234),
        ("0d13 e3 010000", 0.001),
        ("0d13 f0 01000000000000000000000000000000", 0.001),
    ],
)
def test_numbers(data, value):
    told = record(data)
    assert (told.value, told.fault) == (value, "")


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        ("0c13 a0000000", "000000a0 is no BCD"),
        ("0c13 0000000a", "0a000000 is no BCD"),
        ("0c13 ffffffff", "0fffffff is no BCD"),
        ("0c13 00f00000", "0000f000 is no BCD"),
        ("0413 00000080", "80000000 means that there is no value"),
        ("0113 80", "80 means that there is no value"),
        ("0513 0000c07f", "nan is no measurement"),
        ("0513 0000807f", "inf is no measurement"),
        ("0d13 c1 0a", "0a is no BCD"),
        ("0d13 e0", "a number of no bytes"),
        ("0d13 c0", "nothing is no BCD"),
        ("0d13 02 6161", "the text 'aa' instead of a number"),
        ("0dfd17 02 0161", "0161 is no text"),
    ],
)
def test_what_is_no_number_is_withheld_and_the_next_is_not(data, fault):
    spoilt, sound = wire.decode_records(bytes.fromhex(data + "0b3b 000000")).records
    assert (spoilt.value, spoilt.fault) == (None, fault)
    assert (sound.name, sound.value) == ("flow", 0.0)


@pytest.mark.parametrize("data", ["0013", "0813"])
def test_no_data_is_no_fault(data):
    assert (record(data).name, record(data).value, record(data).fault) == ("volume", None, "")


def test_texts_come_last_character_first():
    told = record("0dfd11" + wire.encode_text("flat 3").hex())
    assert (told.name, told.value, told.is_identity) == ("customer", "flat 3", True)


# --- times --------------------------------------------------------------------------------------


@given(st.datetimes(datetime(1981, 1, 1), datetime(2080, 12, 31, 23, 59)))
def test_times_round_trip(when):
    minute = when.replace(second=0, microsecond=0)
    assert record(f"046d{wire.encode_time(minute).hex()}").value == minute
    assert record(f"426c{wire.encode_date(when.date()).hex()}").value == when.date()


@pytest.mark.parametrize(
    ("data", "value"),
    [
        ("046d 32378f16", datetime(2012, 6, 15, 23, 50)),  # century 1: as it is
        ("046d 32978f16", datetime(2012, 6, 15, 23, 50)),  # summer time
        ("046d 3257 8f16", datetime(2112, 6, 15, 23, 50)),  # century 2
        ("026c ffc1", None),  # year 127, "every year"
        ("026c bf2c", date(2021, 12, 31)),
        ("026c 5fcc", date(1998, 12, 31)),
        ("066d 1e b2 d7 8f 16 18", None),  # type I, invalid
        ("066d 1e 32 d7 8f 16 18", datetime(2012, 6, 15, 23, 50, 30)),
    ],
)
def test_times(data, value):
    told = record(data)
    assert told.value == value


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        ("046d b2178f16", "the meter says that its time is invalid"),
        ("046d 00000000", "00000000 is no time"),
        ("046d ffffffff", "the meter says that its time is invalid"),
        ("046d 3d178f16", "168f173d is no time"),  # minute 61
        ("046d 32188f16", "168f1832 is no time"),  # hour 24
        ("046d 32178f1d", "1d8f1732 is no time"),  # month 13
        ("026c 5e12", "125e is no time"),  # 30 February
        ("026c 0000", "0000 is no time"),
        ("026c ffff", "year 127 of a century"),
        ("036d 000000", "a time of code 3"),
        ("0c6d 00000000", "a time of code c"),
        ("056d 00000000", "a time of code 5"),
        ("0d6c 02 8f16", "a time of code d"),
    ],
)
def test_what_is_no_time_is_withheld(data, fault):
    assert (record(data).value, record(data).fault) == (None, fault)


# --- which value it is --------------------------------------------------------------------------


@given(
    st.sampled_from(wire.FUNCTIONS),
    st.integers(0, 2**41 - 1),
    st.integers(0, 2**20 - 1),
    st.integers(0, 2**10 - 1),
)
def test_data_information_round_trips(function, storage, tariff, subunit):
    dib = wire.Dib(4, function, storage, tariff, subunit)
    told = record((wire.encode_record(dib, b"\x13", bytes(4))).hex())
    assert (told.function, told.storage) == (function, storage)
    assert (told.tariff, told.subunit) == (tariff, subunit)


@pytest.mark.parametrize(
    ("vib", "name", "unit", "value"),
    [
        ("03", "energy", "J", 3_600_000.0),
        ("0e", "energy", "J", 1e9),
        ("10", "volume", "m3", 0.001),
        ("13", "volume", "m3", 1.0),
        ("17", "volume", "m3", 10_000.0),
        ("1b", "mass", "kg", 1000.0),
        ("22", "on_time", "s", 3_600_000.0),
        ("27", "operating_time", "s", 86_400_000.0),
        ("2b", "power", "W", 1000.0),
        ("36", "power", "W", 1e9 / 3600),
        ("3b", "flow", "m3/s", 1 / 3600),
        ("44", "flow", "m3/s", 1 / 60),
        ("4c", "flow", "m3/s", 0.01),
        ("53", "mass_flow", "kg/s", 1000 / 3600),
        ("5a", "temperature", "Cel", 100.0),
        ("5d", "temperature_return", "Cel", 10.0),
        ("61", "temperature_difference", "K", 10.0),
        ("65", "temperature_external", "Cel", 10.0),
        ("69", "pressure", "Pa", 1_000_000.0),
        ("6e", "heat_cost_units", "", 1000),
        ("70", "averaging_time", "s", 1000.0),
        ("75", "actuality_time", "s", 60_000.0),
        ("fb00", "energy", "J", 3.6e11),
        ("fb09", "energy", "J", 1e12),
        ("fb10", "volume", "m3", 100_000.0),
        ("fb19", "mass", "kg", 1e9),
        ("fb1a", "humidity", "%RH", 100.0),
        ("fb28", "power", "W", 1e8),
        ("fb2e", "frequency", "Hz", 100.0),
        ("fb30", "power", "W", 1e11 / 3600),
        ("fb75", "temperature_limit", "Cel", 10.0),
        ("fb7b", "power_max_cumulated", "W", 1000.0),
        ("fd17", "error_flags", "", 1000),
        ("fd1a", "digital_output", "", 1000),
        ("fd1b", "digital_input", "", 1000),
        ("fd48", "voltage", "V", 100.0),
        ("fd5b", "current", "A", 100.0),
        ("fd60", "resets", "", 1000),
        ("fd61", "cumulations", "", 1000),
        ("fd6d", "battery_time", "s", 86_400_000.0),
        ("fd74", "battery_left", "s", 86_400_000.0),
    ],
)
def test_quantities(vib, name, unit, value):
    told = record(f"04{vib}{wire.encode_number(4, 1000).hex()}")
    assert (told.name, told.unit, told.value) == (name, unit, value)


@pytest.mark.parametrize(
    "vib", ["6f", "7b", "7d", "7e", "7f", "fb21", "fb60", "fd00", "fd3a", "fd70"]
)
def test_what_no_table_names_is_kept_as_unknown(vib):
    told = record(f"04{vib}01000000")
    assert (told.name, told.value, told.fault) == ("", None, "")


# --- extensions ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vib", "direction", "value"),
    [
        ("933b", "forward", 1.0),
        ("933c", "reverse", 1.0),
        ("9370", "", 1e-6),
        ("9377", "", 10.0),
        ("937d", "", 1000.0),
        ("9300", "", 1.0),  # "no error"
        ("93bc7d", "reverse", 1000.0),
        ("93f43b", "forward", 0.01),
        ("fb903c", "reverse", 100_000.0),
    ],
)
def test_extensions_that_are_understood(vib, direction, value):
    told = record(f"04{vib}e8030000")
    assert (told.name, told.direction, told.value) == ("volume", direction, value)


@pytest.mark.parametrize("vife", range(0x20, 0x80))
def test_an_extension_that_is_not_understood_is_never_read_over(vife):
    if vife in {0x3B, 0x3C, 0x7D, *range(0x70, 0x78)}:
        return
    told = record(f"0493{vife:02x}e8030000")
    assert (told.name, told.value) == ("", None)


@pytest.mark.parametrize("vife", range(1, 0x20))
def test_an_error_of_the_record_is_withheld(vife):
    told = record(f"0493{vife:02x}e8030000")
    assert (told.name, told.value) == ("volume", None)
    assert told.fault.startswith("the meter says: ")


def test_errors_have_names():
    assert record("04931500000000").fault == "the meter says: no data available"
    assert record("04930800000000").fault == "the meter says: VIFE 08"


@pytest.mark.parametrize("vib", ["ec3c", "ed7d", "f870", "ee3b"])
def test_a_date_or_a_count_goes_neither_way(vib):
    assert record(f"04{vib}00000000").name == ""


@pytest.mark.parametrize("vib", ["933bbc", "93bb3c"])
def test_both_directions_are_none(vib):
    assert record(f"04{vib.replace('933bbc', '93bc3b')}00000000").name == ""


def test_units_in_words():
    first, second = wire.decode_records(bytes.fromhex("02fc03485225740100 0b3b000000")).records
    assert (first.name, second.name) == ("", "flow")
    first, second = wire.decode_records(bytes.fromhex("03fc2003434241153100 0b3b000000")).records
    assert (first.name, second.name) == ("", "flow")
    first, second = wire.decode_records(bytes.fromhex("047c0343424115310000 0b3b000000")).records
    assert (first.name, second.name) == ("", "flow")


# --- what is around the records -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "names", "has_more", "maker_data"),
    [
        ("", [], False, ""),
        ("2f2f2f", [], False, ""),
        ("2f 0113 01 2f 0113 01 2f", ["volume", "volume"], False, ""),
        ("0113 01 0f", ["volume"], False, ""),
        ("0113 01 0f 0113 01", ["volume"], False, "011301"),
        ("0113 01 1f", ["volume"], True, ""),
        ("0113 01 1f aa bb", ["volume"], True, "aabb"),
    ],
)
def test_special_functions(data, names, has_more, maker_data):
    found = wire.decode_records(bytes.fromhex(data))
    assert [it.name for it in found.records] == names
    assert (found.has_more, found.maker_data.hex()) == (has_more, maker_data)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("01", "ends within a record's head"),
        ("81", "ends within a record's head"),
        ("8180", "ends within a record's head"),
        ("0193", "ends within a record's head"),
        ("01ff", "ends within a record's head"),
        ("0113", "a value of 1 bytes, and 0 are there"),
        ("0413 000000", "a value of 4 bytes, and 3 are there"),
        ("0d13", "ends before the length of a value"),
        ("0d13 05 00", "a value of 5 bytes, and 1 are there"),
        ("0d13 f7 00", "which is reserved"),
        ("017c", "ends within the text of a unit"),
        ("017c 05 41", "ends within the text of a unit"),
        ("01fc", "ends within"),
        ("01fc 01 41", "ends within a record's head"),
        ("01fc 20", "ends within the text of a unit"),
        ("3f", "special function 3f, which is reserved"),
        ("7f", "special function 7f, which is reserved"),
        ("81" + "80" * 10 + "00 13 01", "more than 10 extensions"),
        ("01 93" + "80" * 10 + "00 01", "more than 10 extensions"),
    ],
)
def test_what_cannot_be_followed_is_refused_whole(data, why):
    with pytest.raises(DecodeError, match=why):
        wire.decode_records(bytes.fromhex(f"011301 {data}"))


def test_ten_extensions_are_followed():
    assert record("81" + "80" * 9 + "00 13 01").value == 0.001


# --- the head -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "bits"),
    [
        (0x00, ""),
        (0x01, ""),  # busy, which is no fault
        (0x02, "application_error"),
        (0x03, "alarm"),
        (0x04, "battery_low"),
        (0x08, "permanent_error"),
        (0x10, "temporary_error"),
        (0xE0, ""),  # the maker's
    ],
)
def test_status(status, bits):
    told = wire.decode_telegram(telegram(status=status)).header.status
    names = ("application_error", "alarm", "battery_low", "permanent_error", "temporary_error")
    assert [name for name in names if getattr(told, name)] == bits.split()


def test_what_is_encrypted_is_refused_by_name():
    with pytest.raises(DecodeError, match="encrypted or signed \\(0510\\)"):
        wire.decode_telegram(telegram(signature=0x0510))


@pytest.mark.parametrize(
    ("ci", "why"),
    [
        (0x76, "mode 2, high byte first"),
        (0x77, "mode 2, high byte first"),
        (0x7A, "CI 7a does not say who it is from"),
        (0x78, "CI 78 does not say who it is from"),
    ],
)
def test_structures_that_are_refused_by_name(ci, why):
    with pytest.raises(DecodeError, match=why):
        wire.decode_telegram(wire.Frame(8, 5, ci, bytes(20)))


@pytest.mark.parametrize("ci", [0x72, 0x73])
@pytest.mark.parametrize("length", [0, 7, 11])
def test_a_head_that_is_not_whole(ci, length):
    frame = wire.Frame(8, 5, ci, bytes(length))
    with pytest.raises(DecodeError, match="are needed"):
        wire.decode_telegram(frame)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("08", "it is too busy to be read"),
        ("00", "an error it does not name"),
        ("", "an error it"),
        ("63", "application error 99"),
    ],
)
def test_an_error_instead_of_data(data, reason):
    found = wire.decode_telegram(wire.Frame(8, 5, 0x70, bytes.fromhex(data)))
    assert found.reason.startswith(reason)


# --- the fixed structure ------------------------------------------------------------------------


def fixed(units, counters="0100000035010000", status="00"):
    data = bytes.fromhex(f"785634120a{status}{units}{counters}")
    return wire.decode_telegram(wire.Frame(8, 5, 0x73, data)).records


@pytest.mark.parametrize(
    ("unit", "name", "value"),
    [
        ("02", "energy", 3600.0),
        ("05", "energy", 3.6e6),
        ("0d", "energy", 100_000.0),
        ("0e", "energy", 1e6),
        ("14", "power", 1.0),
        ("1d", "power", 1000 / 3600),
        ("26", "volume", 1e-6),
        ("2c", "volume", 1.0),
        ("2f", "flow", 1e-6 / 3600),
        ("35", "flow", 1 / 3600),
        ("38", "temperature", 0.001),
        ("00", "", None),
        ("39", "", None),
        ("3f", "", None),
    ],
)
def test_units_of_the_fixed_structure(unit, name, value):
    told = fixed(f"{unit}3f")[0]
    assert (told.name, told.value) == (name, value)


def test_a_counter_that_was_kept():
    now, kept = fixed("e97e")
    assert (now.storage, now.value) == (0, 0.001)
    assert (kept.name, kept.storage, kept.value) == ("volume", 1, 0.135)


@pytest.mark.parametrize("status", ["01", "02", "40", "80"])
def test_where_sources_disagree_counters_are_withheld(status):
    assert [(it.value, it.fault) for it in fixed("e97e", status=status)] == [
        (None, f"status {status}")
    ] * 2


def test_bcd_above_9_is_withheld_here_too():
    now, kept = fixed("e97e", "0a00000035010000")
    assert (now.value, now.fault) == (None, "0000000a is no BCD")
    assert kept.value == 0.135
