"""The heart-rate log of Colmi rings: captured frames, the virtual ring, and anything at all."""

from datetime import date, datetime, timedelta
from itertools import pairwise

import pytest
from band_bench import ADDRESS
from history_bench import converse
from hypothesis import given
from hypothesis import strategies as st

from drivers.sim.band_colmi import VirtualColmi
from drivers.sim.band_store import ColmiStore
from drivers.wristband.families.colmi import Colmi
from drivers.wristband.wire import colmi
from drivers.wristband.wire.colmi_history import MOST_DAYS_BACK, HeartRateLog, encode_day
from drivers.wristband.wire.frame import encode_frame
from drivers.wristband.wire.uuids import uuid_of
from gateway.errors import DecodeError
from gateway.model import Measurement

NOW = datetime(2026, 11, 25, 18, 42, 7)
TODAY = NOW.date()

# github.com/tahnok/colmi_r02_client, tests/test_hr.py: HEART_RATE_PACKETS and the answer of a day
# without values.
CAPTURED = [
    bytes.fromhex(frame)
    for frame in (
        "15001805000000000000000000000032",
        "150180adb6660000000000000000005f",
        *(f"15{n:02x}{13 * '00'}{0x15 + n:02x}" for n in range(2, 15)),
        "150f000059000000000000000000007d",
        "1510006b000000000000000000000090",
        "15116000000000000000000000006bf1",
        "15120000000000000000000000000027",
        "15130000000000000000000050000078",
        "1514000000000000000000460000006f",
        *(f"15{n:02x}{13 * '00'}{0x15 + n:02x}" for n in range(21, 24)),
    )
]
CAPTURED_DAY = date(2024, 8, 10)
NO_DAY = bytes.fromhex("15ff0000000000000000000000000014")


def start(now=NOW, since=NOW):
    """A conversation that was begun; about one day, unless `since` is earlier."""
    history = HeartRateLog(now, since)
    history.begin()
    return history


def feed(history, frames):
    return [history.take(colmi.NOTIFY, frame) for frame in frames]


def frame(number, payload=b""):
    return encode_frame(0x15, bytes([number]) + payload)


HEADER, FIRST = frame(0, b"\x18\x05"), frame(1, encode_day(TODAY))


# --- what rings say -----------------------------------------------------------------------------


def test_a_captured_day():
    late = datetime(2024, 8, 10, 23, 59)
    *before, last = feed(start(late, late), CAPTURED)
    assert {(step.stored, step.write, step.done) for step in before} == {((), (), False)}
    assert last.done
    assert [(it.at.strftime("%H:%M"), it.reading.measurements) for it in last.stored] == [
        (at, (Measurement("heart_rate", rate, "beat/min"),))
        for at, rate in [
            ("15:00", 0x59),
            ("16:00", 0x6B),
            ("17:00", 0x60),
            ("18:00", 0x6B),
            ("20:00", 0x50),
            ("21:00", 0x46),
        ]
    ]
    assert {it.at.date() for it in last.stored} == {CAPTURED_DAY}


def test_a_day_without_values():
    assert feed(start(), [NO_DAY])[0] == ((), (), True)


def test_the_request_is_midnight_of_the_rings_clock():
    """Without a zone: the ring has none. 2024-08-10 00:00 UTC is in the captured answer."""
    assert encode_day(CAPTURED_DAY) == CAPTURED[1][2:6]
    ((uuid, data),) = HeartRateLog(datetime(2024, 8, 10, 1), datetime(2024, 8, 10)).begin()
    assert (uuid, data) == (colmi.WRITE, encode_frame(0x15, CAPTURED[1][2:6]))


# --- which days ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("since", "days"),
    [
        (None, MOST_DAYS_BACK + 1),
        (NOW - timedelta(days=300), MOST_DAYS_BACK + 1),
        (datetime(2026, 11, 23, 23, 55), 3),
        (NOW, 1),
        (NOW + timedelta(days=3), 1),  # its clock was wrong when that was stored
    ],
)
def test_every_day_since_the_newest_value_is_asked_for(since, days):
    outcome = converse(HeartRateLog(NOW, since), colmi.NOTIFY, lambda _: [NO_DAY])
    asked = [encode_day(TODAY - timedelta(days=back)) for back in reversed(range(days))]
    assert [data[1:5] for data in outcome.asked] == asked
    assert outcome.done


def test_the_family_knows_what_is_durable():
    (history,) = Colmi().histories(NOW, {"heart_rate": datetime(2026, 11, 24, 12)})
    ((_, data),) = history.begin()
    assert data[1:5] == encode_day(date(2026, 11, 24))
    (history,) = Colmi().histories(NOW, {})
    ((_, data),) = history.begin()
    assert data[1:5] == encode_day(date(2026, 11, 18))
    assert history.forget() == ()
    assert Colmi.stores == (history.name,)


# --- what cannot be -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frames",
    [
        [FIRST],
        [HEADER, HEADER],
        [HEADER, frame(2)],
        [HEADER, FIRST, frame(3)],
        [HEADER, FIRST, FIRST],
        [HEADER, NO_DAY],
        [HEADER, frame(1, encode_day(TODAY - timedelta(days=1)))],
        [HEADER, frame(1, b"\xff\xff\xff\xff")],
        [frame(0, b"\x18\x1e")],
        [frame(0, b"\x00\x05")],
        [frame(0, b"\x01\x05")],
        [HEADER[:15]],
        [HEADER[:-1] + b"\0"],
        [encode_frame(0x95)],
        [b"\x15"],
    ],
)
def test_what_cannot_be(frames):
    history = start()
    feed(history, frames[:-1])
    with pytest.raises(DecodeError):
        history.take(colmi.NOTIFY, frames[-1])


@pytest.mark.parametrize(
    ("uuid", "data"),
    [
        (uuid_of(0x2A37), HEADER),
        (colmi.NOTIFY, b""),
        (colmi.NOTIFY, encode_frame(0x69, b"\x01\x00\x48")),
        (colmi.NOTIFY, encode_frame(0x73, b"\x01")),
        (colmi.NOTIFY, encode_frame(0xE9)),
    ],
)
def test_what_is_not_of_the_conversation(uuid, data):
    history = start()
    assert history.take(uuid, data) is None
    assert history.take(colmi.NOTIFY, HEADER) is not None


def test_nothing_belongs_to_a_conversation_that_is_over():
    history = start()
    feed(history, [NO_DAY])
    assert feed(history, [NO_DAY, HEADER, b"\x15"]) == [None, None, None]
    assert history.silent() is None


def test_none_values_and_slots_to_come_are_no_readings():
    payload = encode_day(TODAY) + bytes([0, 0xFF, 60, 61, 62])
    history = start(NOW.replace(hour=0, minute=17))
    (_, step) = feed(history, [frame(0, b"\x02\x05"), frame(1, payload)])
    assert [it.at.minute for it in step.stored] == [10, 15]


def test_values_beyond_the_day_mean_nothing():
    late = NOW.replace(hour=23, minute=59)
    frames = [HEADER, FIRST, *(frame(n, 13 * b"\x48") for n in range(2, 24))]
    stored = feed(start(late, late), frames)[-1].stored
    assert len(stored) == 288 - 9
    assert stored[-1].at == datetime(2026, 11, 25, 23, 55)


# --- against the virtual ring -------------------------------------------------------------------

SLOTS = st.integers(0, (MOST_DAYS_BACK + 2) * 288)
SINCE = st.none() | st.datetimes(NOW - timedelta(days=20), NOW + timedelta(days=2))


@given(st.dictionaries(SLOTS, st.integers(1, 254), max_size=60), SINCE)
def test_what_was_stored_comes_back_once_and_in_order(slots, since):
    store = ColmiStore()
    newest = datetime(2026, 11, 25, 18, 40)
    values = {newest - back * timedelta(minutes=5): rate for back, rate in slots.items()}
    for at, rate in values.items():
        store.put(at, rate)
    store.put(NOW + timedelta(minutes=10), 200)  # left there by an earlier day
    outcome = converse(HeartRateLog(NOW, since), colmi.NOTIFY, store.answer)
    assert outcome.done
    mark = NOW - timedelta(days=99) if since is None else min(since, NOW)
    first = max(mark.date(), TODAY - timedelta(days=MOST_DAYS_BACK))
    assert outcome.values == [(at, v) for at, v in sorted(values.items()) if at.date() >= first]


def test_a_lost_frame_is_an_error():
    store = ColmiStore()
    store.put(NOW, 72)
    store.garbled = True
    with pytest.raises(DecodeError, match="frame 3 came instead of 2"):
        converse(HeartRateLog(NOW, NOW), colmi.NOTIFY, store.answer)


FRAMES = st.one_of(
    st.binary(max_size=20),
    st.builds(encode_frame, st.sampled_from([0x15, 0x95]), st.binary(max_size=14)),
    st.sampled_from([HEADER, FIRST, NO_DAY, *(frame(n) for n in range(2, 24))]),
)


@given(st.lists(FRAMES, max_size=40), SINCE)
def test_any_bytes_are_read_or_refused_and_it_ends(notifications, since):
    history, stored = start(NOW, since), []
    try:
        for data in notifications:
            step = history.take(colmi.NOTIFY, data)
            stored += step.stored if step else ()
    except DecodeError:
        pass
    assert all(earlier.at < later.at <= NOW for earlier, later in pairwise(stored))


def test_the_longest_day_ends():
    day = [frame(0, b"\xff\x05"), FIRST, *(frame(n) for n in range(2, 255))]
    assert [step.done for step in feed(start(), day)] == [False] * 254 + [True]


async def test_the_virtual_ring_answers(air):
    ring = VirtualColmi(air, ADDRESS)
    ring.store(NOW, rate=71)
    told = []
    ring.tell = lambda _key, *values: told.extend(values)
    ((_, request),) = start().begin()
    ring._on_frame(request)
    assert [it.reading.measurements[0].value for it in feed(start(), told)[-1].stored] == [71]
