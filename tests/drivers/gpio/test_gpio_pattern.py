"""Rhythms: what an output is at any moment, and what people may be shown."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.gpio.pattern import OFF, STEADY, Pattern
from drivers.gpio.sign import FIND_ME, LIGHT
from drivers.signal.beeps import BEEPS
from gateway.model import CALL_ENDED, CallState

OPEN = set(CallState) - CALL_ENDED


def played(pattern, seconds):
    """(s, on) at every change, by following the moments that the pattern names."""
    changes, now, on = [], 0.0, False
    while now < seconds:
        moment = pattern.at(now)
        if moment.on is not on:
            changes.append((round(now, 6), moment.on))
            on = moment.on
        assert moment.until_s > now or math.isclose(moment.until_s, now)
        now = max(moment.until_s, math.nextafter(now, math.inf))
    return changes


def test_off_and_steady():
    assert played(OFF, 100) == []
    assert played(STEADY, 100) == [(0, True)]


def test_it_repeats_or_it_ends():
    assert played(Pattern((0.5, 1.0)), 3.2) == [
        (0, True),
        (0.5, False),
        (1.5, True),
        (2, False),
        (3, True),
    ]
    assert played(Pattern((0.5, 1.0, 0.5), repeats=False), 60) == [
        (0, True), (0.5, False), (1.5, True), (2.0, False),
    ]  # fmt: skip


spans = st.floats(0.05, 60)


@given(
    st.lists(spans, min_size=2, max_size=8).filter(lambda it: len(it) % 2 == 0), st.floats(0, 1e6)
)
def test_at_any_moment_it_is_what_the_spans_say_and_changes_later(durations, elapsed):
    pattern = Pattern(tuple(durations))
    moment = pattern.at(elapsed)
    assert moment.until_s >= elapsed
    assert moment.until_s - elapsed <= max(durations) * (1 + 1e-6) + 1e-3


@pytest.mark.parametrize("pattern", [*LIGHT.values(), FIND_ME], ids=str)
def test_no_light_flashes_more_than_three_times_in_a_second(pattern):
    flashes = [at for at, on in played(pattern, 30) if on]
    assert all(fourth - first > 1 for first, fourth in zip(flashes, flashes[3:], strict=False))


def test_every_open_state_has_its_light_and_its_beep():
    assert set(LIGHT) == set(BEEPS) == OPEN


def test_what_differs_is_told_apart():
    shown = {tuple(played(LIGHT[state], 4)) for state in OPEN} | {tuple(played(FIND_ME, 4))}
    assert len(shown) == 5  # steady, slow, fast, nearly steady, pairs
    heard = {tuple(played(BEEPS[state], 60)) for state in OPEN}
    assert len(heard) == len(OPEN)


@pytest.mark.parametrize("state", [CallState.UNDELIVERED, CallState.TEXTED])
def test_not_delivered_is_never_silent_and_never_dark(state):
    beeps = [at for at, on in played(BEEPS[state], 3600) if on]
    assert max(b - a for a, b in pairwise(beeps)) < 15
    assert beeps[-1] > 3580
    flashes = [at for at, on in played(LIGHT[state], 3600) if on]
    assert max(b - a for a, b in pairwise(flashes)) < 0.5


@pytest.mark.parametrize("state", [CallState.STORED, CallState.DELIVERED, CallState.ACCEPTED])
def test_what_is_well_is_said_once(state):
    assert max(at for at, _ in played(BEEPS[state], 3600)) < 1
