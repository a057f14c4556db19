"""What FFF0 bands stored: values that their makers print, the virtual band, and anything at all."""

from contextlib import suppress
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from band_bench import ADDRESS
from history_bench import converse
from hypothesis import given
from hypothesis import strategies as st

from drivers.sim.band_fff0 import VirtualFff0
from drivers.sim.band_store import Fff0Store
from drivers.wristband.families.fff0 import Fff0
from drivers.wristband.wire import fff0, fff0_history
from drivers.wristband.wire.fff0_history import PAGES_A_REQUEST, Fff0History
from drivers.wristband.wire.fff0_record import (
    HEART_RATE,
    KINDS,
    SPO2_60,
    SPO2_66,
    SPOT_HEART_RATE,
    TEMPERATURE,
)
from drivers.wristband.wire.frame import encode_frame, encode_moment
from drivers.wristband.wire.reading import Reading
from drivers.wristband.wire.uuids import uuid_of
from gateway.errors import DecodeError
from gateway.model import Measurement

NOW = datetime(2026, 11, 25, 18, 42, 7)
MINUTE = timedelta(minutes=1)


def record(kind, at, *values, number=0):
    slots = [*values, *([0] * (kind.slots - len(values)))]
    packed = b"".join(value.to_bytes(kind.width, "little") for value in slots)
    return bytes([kind.command]) + number.to_bytes(2, "little") + encode_moment(at) + packed


def end(kind):
    return bytes([kind.command, 0xFF])


def begun(kind, now=NOW):
    history = Fff0History(kind, now, None)
    history.begin()
    return history


def tell(kind, *pages, now=NOW):
    """What the last of these pages brings."""
    history = begun(kind, now)
    return [history.take(fff0.NOTIFY, page) for page in pages][-1]


def times(step):
    return [f"{it.at:%H:%M:%S}" for it in step.stored]


def rates(step):
    return [it.reading.measurements[0].value for it in step.stored]


# --- what bands say -----------------------------------------------------------------------------


def test_the_heart_rates_of_the_manual():
    """J-Style 2301 SDK manual (2023-06-30), answer to 54. They are a minute apart: all at :59."""
    told = [
        (
            datetime(2020, 4, 15, 19, 19, 59),
            bytes([84, 89, 94, 86, 86, 87, 89, 87, 86, 87, 90, 83, 81, 81, 80]),
        ),
        (datetime(2020, 4, 15, 18, 27, 59), bytes([75, 77])),
        (datetime(2020, 4, 15, 17, 15, 59), bytes([78, 75, 79])),
        (
            datetime(2020, 4, 15, 16, 52, 59),
            bytes([79, 80, 85, 85, 81, 90, 83, 77, 79, 80, 74, 72, 75, 76, 81]),
        ),
        (datetime(2020, 4, 15, 16, 9, 59), bytes([70, 72])),
    ]
    page = b"".join(record(HEART_RATE, at, *values) for at, values in told)
    assert len(page) == 5 * 24
    step = tell(HEART_RATE, page, end(HEART_RATE))
    assert step.done
    assert [(it.at, it.reading.measurements[0].value) for it in step.stored] == [
        (at + index * MINUTE, value)
        for at, values in reversed(told)
        for index, value in enumerate(values)
    ]


def test_the_single_heart_rates_of_the_manual():
    told = [("17:20:30", 108), ("17:00:30", 78), ("16:55:30", 71), ("16:50:30", 80)]
    page = b"".join(
        record(SPOT_HEART_RATE, datetime.fromisoformat(f"2020-04-15 {at}"), rate)
        for at, rate in told
    )
    step = tell(SPOT_HEART_RATE, page + end(SPOT_HEART_RATE))
    assert list(zip(times(step), rates(step), strict=True)) == told[::-1]


def test_records_of_75_s_are_of_values_of_5_s():
    """As a V8 and a V5 have them."""
    first = datetime(2026, 11, 25, 18, 0, 10)
    starts = [first + index * timedelta(seconds=75) for index in range(3)]
    page = b"".join(record(HEART_RATE, at, *range(60, 75)) for at in reversed(starts))
    step = tell(HEART_RATE, page + end(HEART_RATE))
    assert len(step.stored) == 45
    steps_s = {(later.at - earlier.at).seconds for earlier, later in pairwise(step.stored)}
    assert steps_s == {5}


def test_a_record_that_would_last_into_the_future_is_of_values_of_5_s():
    page = record(HEART_RATE, NOW - 3 * MINUTE, *range(60, 75))
    assert tell(HEART_RATE, page + end(HEART_RATE)).stored[-1].at == NOW - timedelta(seconds=110)


@pytest.mark.parametrize(
    ("kind", "raw", "measurement"),
    [
        (HEART_RATE, 72, Measurement("heart_rate", 72, "beat/min")),
        (SPOT_HEART_RATE, 72, Measurement("heart_rate", 72, "beat/min")),
        (SPO2_60, 97, Measurement("spo2", 97, "%")),
        (SPO2_66, 97, Measurement("spo2", 97, "%")),
        (TEMPERATURE, 320, Measurement("body_temperature", 32.0, "Cel")),
    ],
)
def test_values_are_named_as_live_ones(kind, raw, measurement):
    (stored,) = tell(kind, record(kind, NOW, raw), end(kind)).stored
    assert stored == (NOW.replace(microsecond=0), Reading((measurement,)))


@pytest.mark.parametrize("kind", KINDS)
def test_requests(kind):
    history = Fff0History(kind, NOW, None)
    assert history.begin() == ((fff0.WRITE, encode_frame(kind.command, b"\x00")),)
    history.take(fff0.NOTIFY, record(kind, NOW, 50) + end(kind))
    assert history.forget() == ((fff0.WRITE, encode_frame(kind.command, b"\x99")),)


@pytest.mark.parametrize("kind", KINDS)
def test_none_values_are_no_readings(kind):
    all_bits = 256**kind.width - 1
    step = tell(kind, record(kind, NOW, 0) + record(kind, NOW - MINUTE, all_bits) + end(kind))
    assert step == ((), (), True)


def test_a_rate_after_a_hole_keeps_its_time():
    page = record(HEART_RATE, datetime(2026, 11, 25, 12), 70, 0, 0xFF, 73)
    assert times(tell(HEART_RATE, page + end(HEART_RATE))) == ["12:00:00", "12:03:00"]


def test_a_page_that_ends_with_ff_is_not_the_last():
    """Its last value is none. Taken for the end, what follows would be deleted unread."""
    page = record(HEART_RATE, datetime(2026, 11, 25, 12), *[70] * 14, 0xFF)
    assert tell(HEART_RATE, page) == ((), (), False)


@pytest.mark.parametrize("tail", [b"\x54\xff", b"\xff"])
def test_the_end_may_be_behind_records(tail):
    history = begun(HEART_RATE)
    page = record(HEART_RATE, NOW, 72) + record(HEART_RATE, NOW - 20 * MINUTE, 70)
    assert rates(history.take(fff0.NOTIFY, page + tail)) == [70, 72]
    assert history.forget()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("answer", ["end", "empty", "refusal"])
def test_nothing_stored(kind, answer):
    told = {
        "end": end(kind),
        "empty": encode_frame(kind.command),
        "refusal": encode_frame(kind.command | 0x80),
    }
    history = begun(kind)
    assert history.take(fff0.NOTIFY, told[answer]) == ((), (), True)
    assert history.forget() == ()


# --- what is not deleted ------------------------------------------------------------------------


def test_nothing_is_deleted_before_the_end():
    history = begun(SPO2_66)
    history.take(fff0.NOTIFY, record(SPO2_66, NOW, 97))
    assert history.forget() == ()


@pytest.mark.parametrize(
    ("kind", "values"), [(SPO2_66, [97]), (HEART_RATE, [60, 61]), (HEART_RATE, [0] * 14 + [61])]
)
def test_what_is_later_than_now_is_left_for_the_next_time(kind, values):
    early = NOW - timedelta(days=1)
    page = record(kind, NOW + MINUTE, *values) + record(kind, early, 98) + end(kind)
    history = begun(kind)
    step = history.take(fff0.NOTIFY, page)
    assert [(it.at, it.reading.measurements[0].value) for it in step.stored] == [(early, 98)]
    assert history.forget() == ()


def test_a_value_measured_during_the_conversation_is_not_deleted_unread():
    page = record(HEART_RATE, NOW - MINUTE, 70, 71, 72) + end(HEART_RATE)
    history = begun(HEART_RATE)
    assert rates(history.take(fff0.NOTIFY, page)) == [70, 71]
    assert history.forget() == ()


# --- page after page ----------------------------------------------------------------------------


def test_it_asks_on_after_fifty_pages():
    history = begun(SPO2_66)
    pages = [record(SPO2_66, NOW - back * MINUTE, 97) for back in range(PAGES_A_REQUEST)]
    *before, last = [history.take(fff0.NOTIFY, page) for page in pages]
    assert all(step == ((), (), False) for step in before)
    assert last == ((), ((fff0.WRITE, encode_frame(0x66, b"\x02")),), False)


def test_it_asks_on_when_the_band_falls_silent():
    history = begun(SPO2_66)
    history.take(fff0.NOTIFY, record(SPO2_66, NOW, 97))
    assert history.silent() == ((), ((fff0.WRITE, encode_frame(0x66, b"\x02")),), False)
    assert history.silent() is None
    assert history.take(fff0.NOTIFY, end(SPO2_66)).done
    assert history.silent() is None


@pytest.mark.parametrize("kind", KINDS)
def test_silence_from_the_start(kind):
    """Not every band has every kind; all have 54, so this is one that does not answer."""
    assert begun(kind).silent() == (None if kind is HEART_RATE else ((), (), True))


@pytest.mark.parametrize("pages", [1, PAGES_A_REQUEST, 3 * PAGES_A_REQUEST])
def test_a_band_that_begins_anew_is_read_once_and_not_deleted(pages):
    told = [record(SPO2_66, NOW - back * MINUTE, 97, number=back) for back in range(pages)]
    history = Fff0History(SPO2_66, NOW, None)
    outcome = converse(history, fff0.NOTIFY, lambda _: told)
    assert outcome.done
    assert len(outcome.stored) == pages
    assert history.forget() == ()


def test_a_band_that_never_ends_is_given_up(monkeypatch):
    monkeypatch.setattr(fff0_history, "MOST_RECORDS", 200)
    told = iter(range(10_000))

    def answer(_):
        return [record(SPO2_66, NOW - next(told) * MINUTE, 97) for _ in range(30)]

    with pytest.raises(DecodeError, match="more than 200 records"):
        converse(Fff0History(SPO2_66, NOW, None), fff0.NOTIFY, answer)


def test_a_band_that_refuses_to_go_on_is_an_error():
    history = begun(SPO2_66)
    history.take(fff0.NOTIFY, record(SPO2_66, NOW, 97))
    with pytest.raises(DecodeError, match="refused to go on with 66"):
        history.take(fff0.NOTIFY, encode_frame(0xE6))


# --- what cannot be -----------------------------------------------------------------------------

SOUND = record(HEART_RATE, NOW, 72)


@pytest.mark.parametrize(
    ("kind", "page"),
    [
        (HEART_RATE, SOUND[:-1]),
        (HEART_RATE, SOUND + b"\x54"),
        (HEART_RATE, SOUND + b"\x54\x00"),
        (HEART_RATE, SOUND + b"\x55\xff"),
        (HEART_RATE, SOUND + SOUND[1:] + b"\x00"),
        (HEART_RATE, b"\x54"),
        (HEART_RATE, SOUND[:3] + b"\x26\x13\x25\x18\x42\x07" + SOUND[9:]),
        (HEART_RATE, SOUND[:3] + b"\x26\x02\x29\x18\x42\x07" + SOUND[9:]),
        (HEART_RATE, SOUND[:3] + b"\x26\x11\x25\x24\x42\x07" + SOUND[9:]),
        (HEART_RATE, SOUND[:3] + b"\x2a\x11\x25\x18\x42\x07" + SOUND[9:]),
        (HEART_RATE, SOUND[:3] + bytes(6) + SOUND[9:]),
        (SPO2_66, record(SPO2_66, NOW, 101)),
        (TEMPERATURE, record(TEMPERATURE, NOW, 851)),
    ],
)
def test_what_cannot_be(kind, page):
    with pytest.raises(DecodeError):
        tell(kind, page)


@pytest.mark.parametrize(
    ("uuid", "data"),
    [
        (uuid_of(0x2A37), SOUND),
        (fff0.NOTIFY, b""),
        (fff0.NOTIFY, b"\xfe\x01"),
        (fff0.NOTIFY, encode_frame(0x16, b"\xfe")),
        (fff0.NOTIFY, b"\x09" + bytes(24)),
        (fff0.NOTIFY, encode_frame(0x13, b"\x47")),
        (fff0.NOTIFY, encode_frame(0x93)),
        (fff0.NOTIFY, record(SPO2_66, NOW, 97)),
    ],
)
def test_what_is_not_of_the_conversation(uuid, data):
    history = begun(HEART_RATE)
    assert history.take(uuid, data) is None
    assert history.take(fff0.NOTIFY, SOUND + end(HEART_RATE)).done


def test_nothing_belongs_to_a_conversation_that_is_over():
    history = begun(HEART_RATE)
    history.take(fff0.NOTIFY, end(HEART_RATE))
    assert history.take(fff0.NOTIFY, SOUND) is None
    assert history.take(fff0.NOTIFY, b"\x54") is None


@pytest.mark.parametrize("data", [SOUND * 10, SOUND[:9], encode_frame(0x54, b"\x99"), b"\x66\xff"])
def test_late_pages_tell_nothing(data):
    assert Fff0().decode(fff0.NOTIFY, data) == Reading()


# --- against the virtual band -------------------------------------------------------------------

PAST = st.datetimes(NOW - timedelta(days=30), NOW).map(lambda at: at.replace(microsecond=0))
# Values that cling together as a band's do, and values anywhere.
MINUTES = st.integers(0, 3 * 24 * 60).map(lambda back: NOW - back * MINUTE)
VALUES = {
    HEART_RATE: st.integers(1, 254),
    SPO2_66: st.integers(1, 100),
    TEMPERATURE: st.integers(1, 850),
}
SINCE = st.dictionaries(st.sampled_from([kind.name for kind in KINDS]), PAST)


@pytest.mark.parametrize("kind", VALUES)
@given(data=st.data(), since=SINCE, page=st.integers(1, 10))
def test_what_was_stored_comes_back_once_and_in_order(kind, data, since, page):
    values = data.draw(st.dictionaries(PAST | MINUTES, VALUES[kind], max_size=80))
    store = Fff0Store()
    store.records_a_page = page
    for at, value in values.items():
        store.put(kind, at, value)
    (history,) = (it for it in Fff0().histories(NOW, since) if it.name == kind.name)
    assert history.name in Fff0.stores
    outcome = converse(history, fff0.NOTIFY, store.answer)
    assert outcome.done
    scale = 10 if kind is TEMPERATURE else 1
    mark = since.get(kind.name, datetime.min)
    new = [(at, value / scale) for at, value in sorted(values.items()) if at > mark]
    assert outcome.values == new
    assert store.count(kind) == len(values)
    for command in history.forget():
        store.answer(command.data)
    assert store.count(kind) == 0


@given(st.lists(st.integers(1, 254), min_size=40, max_size=200))
def test_five_seconds_apart_comes_back_too(told):
    store = Fff0Store()
    store.spacing = timedelta(seconds=5)
    values = {NOW - back * store.spacing: rate for back, rate in enumerate(told)}
    for at, rate in values.items():
        store.put(HEART_RATE, at, rate)
    outcome = converse(Fff0History(HEART_RATE, NOW, None), fff0.NOTIFY, store.answer)
    assert outcome.values == sorted(values.items())


def test_a_month_takes_several_requests():
    store = Fff0Store()
    count = 10 * PAGES_A_REQUEST + 1
    for back in range(count):
        store.put(SPO2_66, NOW - back * MINUTE, 90 + back % 10)
    outcome = converse(Fff0History(SPO2_66, NOW, None), fff0.NOTIFY, store.answer)
    assert [data[1] for data in outcome.asked] == [0, 2]
    assert len(outcome.stored) == count


def test_a_torn_page_is_an_error():
    store = Fff0Store()
    store.put(HEART_RATE, NOW, 72)
    store.garbled = True
    with pytest.raises(DecodeError, match="a page of 25 bytes ends in a record"):
        converse(Fff0History(HEART_RATE, NOW, None), fff0.NOTIFY, store.answer)


def test_a_band_without_a_kind_has_nothing_of_it():
    outcome = converse(Fff0History(SPO2_60, NOW, None), fff0.NOTIFY, Fff0Store().answer)
    assert outcome.done
    assert outcome.stored == []


async def test_the_virtual_band_answers(air):
    band = VirtualFff0(air, ADDRESS)
    band.store(NOW, rate=71, spo2=97, celsius=36.4)
    told = []
    band.tell = lambda _key, *values: told.extend(values)

    def answer(request):
        told.clear()
        band._on_frame(request)
        return [*told]

    for read in (1, 0):
        values = []
        for history in Fff0().histories(NOW, {}):
            values += converse(history, fff0.NOTIFY, answer).values
            for command in history.forget():
                answer(command.data)
        assert values == read * [(NOW, 71), (NOW, 97), (NOW, 36.4)]


# --- anything at all ----------------------------------------------------------------------------


def pages(kind):
    """Records as they should be, and almost so."""
    moment = st.one_of(PAST, st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31)))
    number = st.integers(0, 3)
    value = st.integers(0, 256**kind.width - 1)
    sound = st.builds(lambda at, n, v: record(kind, at, v, number=n), moment, number, value)
    wild = st.binary(min_size=kind.size - 1, max_size=kind.size - 1)
    almost = wild.map(lambda rest: bytes([kind.command]) + rest)
    tails = st.sampled_from([b"", b"", b"", end(kind), b"\xff", bytes([kind.command])])
    whole = st.lists(sound, max_size=4).map(b"".join)
    return st.one_of(
        st.builds(lambda page, tail: page + tail, whole, tails),
        almost,
        st.binary(max_size=30),
        st.builds(encode_frame, st.sampled_from([kind.command, kind.command | 0x80])),
    )


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_any_bytes_are_read_or_refused_and_it_ends(kind, data):
    history, stored, over = begun(kind), [], False
    try:
        for page in data.draw(st.lists(st.none() | pages(kind), max_size=20)):
            step = history.silent() if page is None else history.take(fff0.NOTIFY, page)
            assert not (over and step)
            if step:
                stored += step.stored
                over = step.done
    except DecodeError:
        assert not stored
    assert over or not history.forget()
    assert all(earlier.at <= later.at <= NOW for earlier, later in pairwise(stored))


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_any_band_comes_to_an_end(kind, data):
    told = data.draw(st.lists(pages(kind), min_size=1, max_size=6))
    with suppress(DecodeError):
        converse(Fff0History(kind, NOW, None), fff0.NOTIFY, lambda _: told)
