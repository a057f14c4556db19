"""Published telegrams, read as their meters mean them."""

from datetime import date, datetime

import pytest
from mbus_telegrams import ALL, FOLDER, telegram_of

from drivers.mbus import wire
from drivers.mbus.told import MOST_VALUES, told
from gateway.errors import DecodeError


def values(name):
    return {it.name: it.value for it in told([telegram_of(name)]).measurements}


def test_the_worked_example():
    telegram = telegram_of("manual-variable")
    assert str(telegram.header.meter) == "12345678.PAD.01.07"
    assert (telegram.header.access, telegram.header.status) == (0x55, wire.Status(0))
    assert values("manual-variable") == {
        "volume": 12.565,
        "flow_max_s5": 0.113 / 3600,
        "energy_u1_t2": 218_370 * 3600.0,
        "battery_low": False,
        "status": 0,
    }


def test_the_worked_example_of_the_fixed_structure():
    assert str(telegram_of("manual-fixed").header.meter) == "12345678"
    assert values("manual-fixed") == {
        "volume": 0.001,
        "volume_s1": 0.135,
        "battery_low": False,
        "status": 0,
    }


def test_a_cold_water_meter():
    """Its fourth record has the maker's own VIFE, and is not a second volume."""
    assert values("itron-cyble-cold-water") == {
        "clock": "2011-10-25T15:39:00",
        "volume": 453.5,
        "volume_s1": 453.5,
        "battery_low": False,
        "status": 0,
    }


def test_a_water_meter_with_a_low_battery():
    seen = values("engelmann-waterstar")
    assert seen == {
        "clock": "2014-03-13T12:10:00",
        "volume": 0.332,
        "volume_s1": 0.331,
        "volume_s2": 0.332,
        "date_s1": "2013-12-31",
        "date": "2014-12-31",
        "flow": 0.0,
        "flow_max": 2.07 / 3600,
        "on_time": 1191 * 86_400.0,
        "error_flags": 0,
        "battery_low": True,
        "status": 0x27,
    }


def test_another_water_meter():
    telegram = telegram_of("siemens-water")
    assert telegram.maker_data == bytes.fromhex("37fd17000000000000000002 7a0d00 02780d00")
    reading = told([telegram])
    assert reading.withheld == {"date_error": "0000 is no time"}
    assert reading.volume_m3 == 0.101


def test_what_goes_forward_and_what_goes_back():
    seen = values("edc-heat-and-cold")
    assert (seen["energy_forward"], seen["energy_reverse"]) == (35_000 * 3600.0, 465_000 * 3600.0)
    assert (seen["energy_forward_u1"], seen["energy_reverse_u1"]) == (0.0, 0.0)
    assert "energy" not in seen


def test_a_negative_bcd():
    assert values("landis-gyr-t230")["temperature_difference"] == -0.2


def test_a_year_that_is_every_year_is_withheld():
    assert told([telegram_of("landis-gyr-t230")]).withheld == {
        "clock_s510": "year 127 of a century"
    }


def test_a_telegram_that_others_follow():
    assert telegram_of("svm-f22-first-of-several").has_more
    assert values("svm-f22-first-of-several")["volume"] == 640.581
    assert values("svm-f22-first-of-several")["volume_u1"] == 640.581


def test_a_heat_meter_with_everything():
    telegram = telegram_of("kamstrup-multical-601")
    assert len(telegram.records) == 27
    seen = values("kamstrup-multical-601")
    assert seen["volume"] == 561.08
    assert seen["volume_u2_s1"] == 0.0
    assert seen["power_max_s1"] == 55_000.0
    assert seen["date_s1"] == "2010-12-31"
    assert seen["temperature_difference"] == 55.53


@pytest.mark.parametrize(
    ("name", "volume_m3"),
    [
        ("gwf-mtkcoder", 269.0),
        ("elster-falcon", 1234.567),
        ("oms-gas", 28_504.27),
        ("oms-heat", 703.476),
        ("engelmann-sensostar", 12.9),
        ("minol-minocal-wr3", 0.01),
    ],
)
def test_volumes(name, volume_m3):
    assert told([telegram_of(name)]).volume_m3 == volume_m3


def test_clocks():
    clocks = {
        "itron-cyble-cold-water": datetime(2011, 10, 25, 15, 39),
        "elster-falcon": datetime(2007, 2, 6, 13, 58),
        "oms-gas": datetime(2008, 5, 31, 23, 50),
    }
    for name, clock in clocks.items():
        assert values(name)["clock"] == clock.isoformat()
    assert telegram_of("oms-heat").records[3].value == date(2007, 12, 31)


def test_fillers_are_nothing():
    (record,) = telegram_of("fillers").records
    assert (record.name, record.direction, record.value) == ("energy", "forward", 18e6)


@pytest.mark.parametrize("name", ["text-after-vife", "long-integer"])
def test_what_has_no_quantity_is_kept_and_not_told(name):
    assert [it.name for it in telegram_of(name).records] == [""]
    assert values(name) == {"battery_low": False, "status": 0}


def test_a_unit_in_words_does_not_upset_what_follows():
    seen = values("text-before-vife")
    assert (seen["temperature_external"], seen["temperature_external_max"]) == (22.56, 23.39)
    assert telegram_of("text-before-vife").has_more


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("premature-end", "ends within a record's head"),
        ("too-many-vife", "more than 10 extensions"),
        ("real-and-signature", "encrypted or signed \\(b627\\)"),
    ],
)
def test_what_is_refused(name, why):
    with pytest.raises(DecodeError, match=why):
        telegram_of(name)


def test_every_published_telegram_says_where_it_is_from():
    assert len(ALL) >= 20
    for name in ALL:
        assert (FOLDER / f"{name}.hex").read_text("utf-8").startswith("# ")


def test_no_reading_is_too_large_for_an_event():
    records = [bytes([0x04, 0x13, count, 0, 0, 0]) for count in range(MOST_VALUES + 5)]
    frame = wire.decode_records(b"".join(records)).records
    header = telegram_of("manual-variable").header
    reading = told([wire.Telegram(header, frame)])
    assert len(reading.measurements) == MOST_VALUES
    assert reading.withheld == {"others": "7 values more than 60 were not told"}
    names = [it.name for it in reading.measurements]
    assert names[:3] == ["volume", "volume_2", "volume_3"]
    assert len(set(names)) == MOST_VALUES


def test_forward_stands_in_for_a_volume_that_is_not_told():
    header = telegram_of("manual-variable").header
    forward = wire.decode_records(bytes.fromhex("04933b01000000 04933c02000000")).records
    spoilt = wire.decode_records(bytes.fromhex("0c13ffffffff")).records
    alone = told([wire.Telegram(header, forward)])
    assert [it.name for it in alone.measurements[:2]] == ["volume", "volume_reverse"]
    beside = told([wire.Telegram(header, spoilt + forward)])
    assert [it.name for it in beside.measurements[:2]] == ["volume_forward", "volume_reverse"]
    assert beside.volume_m3 is None
