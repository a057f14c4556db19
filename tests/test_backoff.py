"""Delays double to their cap, spread by jitter, and start again after success."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from gateway.backoff import Backoff

seconds = st.floats(0.001, 1000)


class Highest(random.Random):
    """Draws the end of every range: the ceiling itself."""

    def uniform(self, a: float, b: float) -> float:
        return b


class Lowest(random.Random):
    """Draws the beginning of every range."""

    def uniform(self, a: float, b: float) -> float:
        return a


def test_ceilings_double_up_to_the_cap():
    backoff = Backoff(0.5, 60, rng=Highest())
    assert [backoff.next_s() for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]


def test_jitter_takes_at_most_half():
    backoff = Backoff(0.5, 60, rng=Lowest())
    assert [backoff.next_s() for _ in range(9)] == [0.25, 0.5, 1, 2, 4, 8, 16, 30, 30]


def test_success_starts_again():
    backoff = Backoff(1, 60, rng=Highest())
    for _ in range(5):
        backoff.next_s()
    backoff.reset()
    assert [backoff.next_s() for _ in range(3)] == [1, 2, 4]


def test_the_cap_holds_from_the_first():
    assert Backoff(10, 3, rng=Highest()).next_s() == 3


@given(seconds, seconds, st.lists(st.booleans(), max_size=60), st.integers())
def test_every_delay_is_between_half_the_first_and_the_cap(first_s, cap_s, works, seed):
    backoff = Backoff(first_s, cap_s, rng=random.Random(seed))
    ceiling_s = min(first_s, cap_s)
    for worked in works:
        if worked:
            backoff.reset()
            ceiling_s = min(first_s, cap_s)
        assert ceiling_s / 2 <= backoff.next_s() <= ceiling_s <= cap_s
        ceiling_s = min(2 * ceiling_s, cap_s)


def test_two_gateways_do_not_come_back_together():
    one, other = Backoff(1, 60), Backoff(1, 60)
    assert [one.next_s() for _ in range(8)] != [other.next_s() for _ in range(8)]
