"""In range, fading, away: told when it changes, and not at every step in a doorway."""

from hypothesis import given
from hypothesis import strategies as st

from drivers.wristband.presence import (
    AWAY_S,
    COMES_BACK_DBM,
    FADES_S,
    SAMPLES,
    STAYS_DBM,
    Presence,
    Range,
)

NEAR, FAR = -65, -98


def heard(presence, *dbms, start_s=1.0):
    """What was told, hearing one a second."""
    return [presence.range for s, dbm in enumerate(dbms) if presence.heard(dbm, start_s + s)]


def test_nothing_is_said_before_anything_is_known():
    presence = Presence(0)
    assert presence.range is None
    assert not presence.passed(AWAY_S - 1)
    assert presence.range is None


def test_a_band_that_is_never_heard_is_away():
    presence = Presence(0)
    assert presence.passed(AWAY_S)
    assert presence.range is Range.AWAY
    assert not presence.passed(AWAY_S + 100), "told once"


def test_a_band_that_is_heard_well_is_in_range():
    presence = Presence(0)
    assert heard(presence, NEAR, NEAR) == [Range.IN_RANGE]
    assert presence.dbm == NEAR


def test_a_connected_band_is_in_range_however_badly_it_was_heard():
    presence = Presence(0)
    heard(presence, FAR)
    assert presence.range is Range.FADING
    assert presence.connected(2)
    assert presence.range is Range.IN_RANGE
    assert not presence.passed(10 * AWAY_S)


def test_a_lost_connection_alone_says_nothing():
    presence = Presence(0)
    presence.connected(0)
    presence.lost(1000)
    assert not presence.passed(1001)
    assert not presence.connected(1003)
    assert presence.range is Range.IN_RANGE


def test_who_walks_away_fades_and_is_gone():
    presence = Presence(0)
    presence.connected(0)
    presence.lost(1000)
    told = [(s, presence.range) for s in range(1000, 1400) if presence.passed(s)]
    assert told == [(1000 + FADES_S, Range.FADING), (1000 + AWAY_S, Range.AWAY)]


def test_one_bad_advertisement_is_none():
    presence = Presence(0)
    assert heard(presence, NEAR, NEAR, NEAR, FAR, NEAR, FAR, NEAR) == [Range.IN_RANGE]


def test_one_who_is_away_comes_back_by_being_heard():
    presence = Presence(0)
    presence.passed(AWAY_S)
    assert heard(presence, NEAR, start_s=500) == [Range.IN_RANGE]
    presence = Presence(0)
    presence.passed(AWAY_S)
    assert heard(presence, FAR, start_s=500) == [Range.FADING]


def test_what_was_heard_before_the_absence_does_not_count():
    presence = Presence(0)
    heard(presence, *[FAR] * SAMPLES)
    presence.passed(500)
    assert heard(presence, NEAR, start_s=501) == [Range.IN_RANGE]


@given(st.lists(st.integers(STAYS_DBM, COMES_BACK_DBM - 1), min_size=1, max_size=60))
def test_between_the_two_limits_nothing_changes_any_more(dbms):
    for first in (NEAR, FAR):
        presence = Presence(0)
        heard(presence, *[first] * SAMPLES)
        assert heard(presence, *dbms, start_s=10) == []


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["connected", "lost", "passed", "heard"]),
            st.floats(0, 400),
            st.integers(-127, 20),
        ),
        max_size=40,
    )
)
def test_whatever_happens_it_is_told_when_it_changes_and_only_then(steps):
    presence, now_s, connected, last_s = Presence(0), 0.0, False, 0.0
    for what, wait_s, dbm in steps:
        now_s += wait_s
        before = presence.range
        arguments = (dbm, now_s) if what == "heard" else (now_s,)
        changed = bool(getattr(presence, what)(*arguments))
        assert changed == (presence.range is not before)
        connected = what == "connected" or (connected and what != "lost")
        last_s = now_s if what != "passed" or connected else last_s
        if connected:
            assert presence.range is Range.IN_RANGE
        elif what == "passed" and now_s - last_s >= AWAY_S:
            assert presence.range is Range.AWAY
