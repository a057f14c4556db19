"""When an alarm is tried again, whom it holds up, when it is given up: by clocks that a test sets."""

from __future__ import annotations

import pytest

from collector.due import Due
from collector.outputs import patience
from collector.outputs.patience import Patience
from collector.outputs.port import Outcome, Verdict

REFUSED = Verdict(Outcome.REFUSED, "not this")
FAILED = Verdict(Outcome.FAILED, "not now")
EPOCH_MS = 1_800_000_000_000


class Clock:
    now_s = 1000.0

    def seconds(self):
        return self.now_s

    def milliseconds(self):
        return EPOCH_MS + round(1000 * self.now_s)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def it(clock):
    return Patience(clock.seconds, clock.milliseconds)


def due(number, gateway="a", waited_ms=0):
    place = (gateway, "00" * 16, "urgent", number, "button", "call", 0, "synchronised", "{}")
    return Due(number, "webhook", 0, *place, waited_ms)


def wait_s(clock, again):
    return (again.at_ms - clock.milliseconds()) / 1000


def test_what_fails_together_comes_again_together(it, clock):
    moments = set()
    for number in range(1, 9):
        moments.add(it.failed(due(number, f"g{number}"), FAILED).at_ms)
        clock.now_s += 0.01
    assert len(moments) == 1


def test_a_far_end_that_stays_away_is_asked_ever_less_often(it, clock):
    waits = []
    for _ in range(20):
        waits.append(wait_s(clock, it.failed(due(1), FAILED)))
        clock.now_s += waits[-1] + 0.001
    assert 0.25 <= waits[0] <= 0.5
    assert 15 <= waits[-1] <= 30 >= max(waits)
    it.told(due(2, "b"))
    assert it.away_s == 0
    assert wait_s(clock, it.failed(due(3, "c"), FAILED)) <= 0.5


def test_one_that_fails_while_others_are_told_waits_by_itself(it, clock):
    for n in range(30):
        again = it.failed(due(1), FAILED)
        it.told(due(100 + n, "b"))
        assert it.away_s == 0
        clock.now_s += wait_s(clock, again)
    assert 300 <= wait_s(clock, it.failed(due(1), FAILED)) <= 600


def test_one_that_is_refused_says_nothing_of_the_far_end(it, clock):
    assert 0.5 <= wait_s(clock, it.failed(due(1), REFUSED)) <= 1.0
    assert it.away_s == 0


def test_it_holds_up_later_ones_of_its_gateway_for_a_while(it, clock):
    again = it.failed(due(5), REFUSED)
    assert again.holds
    assert it.held_until_ms(due(6)) == again.at_ms
    assert it.held_until_ms(due(4)) == 0, "an earlier one"
    assert it.held_until_ms(due(5)) == 0, "itself"
    assert it.held_until_ms(due(7, "b")) == 0, "another gateway"
    clock.now_s += wait_s(clock, again)
    assert it.held_until_ms(due(6)) == 0
    clock.now_s += patience.HOLD_S
    assert not it.failed(due(5), REFUSED).holds
    assert it.held_until_ms(due(6)) == 0


def test_one_that_is_told_holds_up_nobody(it):
    it.failed(due(5), FAILED)
    it.told(due(5))
    assert it.held_until_ms(due(6)) == 0


def test_given_up_after_a_day_of_waits_and_not_before(it):
    day_ms = round(1000 * patience.GIVE_UP_AFTER_S)
    assert not it.failed(due(1, waited_ms=day_ms - 1), REFUSED).give_up
    assert it.failed(due(1, waited_ms=day_ms), REFUSED).give_up


@pytest.mark.parametrize("verdict", [REFUSED, FAILED])
def test_a_day_is_a_day_however_often_the_collector_is_restarted(clock, verdict):
    """Each wait is a little longer than it says, and each restart costs its time on top."""
    began_s, waited_ms, tries = clock.now_s, 0, 0
    while True:
        if tries % 50 == 0:
            clock.now_s += 5
            it = Patience(clock.seconds, clock.milliseconds)
        again = it.failed(due(1, waited_ms=waited_ms), verdict)
        if again.give_up:
            break
        clock.now_s += wait_s(clock, again) + 0.01
        waited_ms, tries = again.waited_ms, tries + 1
    assert patience.GIVE_UP_AFTER_S <= clock.now_s - began_s <= 1.02 * patience.GIVE_UP_AFTER_S


@pytest.mark.parametrize("step_s", [-1e6, 1e6])
def test_a_clock_that_is_set_makes_no_wait_of_it(clock, step_s):
    """In the middle of a pause that the far end asked for, and while it is away."""
    set_s = 0.0
    it = Patience(clock.seconds, lambda: clock.milliseconds() + round(1000 * set_s))
    it.failed(due(1), Verdict(Outcome.FAILED, "429", 30.0))
    set_s = step_s
    waited_ms = it.failed(due(1), FAILED).waited_ms
    assert 0 <= waited_ms <= 1000 * patience.ALONE_CAP_S
    clock.now_s += 31
    again = it.failed(due(1), FAILED)
    assert again.at_ms - clock.milliseconds() - 1000 * set_s <= 1000 * patience.AWAY_CAP_S


def test_a_sleep_of_the_machine_is_no_wait(it, clock):
    assert it.failed(due(1), FAILED).waited_ms <= 1000 * patience.AWAY_FIRST_S
    clock.now_s += 10 * patience.GIVE_UP_AFTER_S
    again = it.failed(due(1, waited_ms=500), FAILED)
    assert not again.give_up
    assert again.waited_ms <= 500 + 1000 * patience.AWAY_CAP_S


@pytest.mark.parametrize(("asked_s", "least_s", "most_s"), [(10, 10, 10.001), (1e9, 60, 60.001)])
def test_a_pause_that_is_asked_for_is_kept_within_bounds(it, clock, asked_s, least_s, most_s):
    again = it.failed(due(1), Verdict(Outcome.FAILED, "429", asked_s))
    assert least_s <= wait_s(clock, again) <= most_s
    assert least_s <= it.asked_s <= most_s
    clock.now_s += most_s
    assert it.asked_s == 0


def test_what_is_remembered_has_a_bound(it, monkeypatch):
    monkeypatch.setattr(patience, "MAX_TROUBLES", 10)
    for number in range(100):
        it.failed(due(number, f"g{number}"), FAILED)
    assert len(it._troubles) == 10
