"""When a contact counts as active: pure, with explicit times."""

from hypothesis import given
from hypothesis import strategies as st

from drivers.contact.wire import Held

HOLD = 1000


def held(active=False):
    return Held(active=active, now_ns=0, hold_off_ns=HOLD)


def test_it_is_told_at_once_and_over_when_it_rested():
    it = held()
    assert it.left(10)
    assert it.deadline_ns is None
    it.rested(500)
    assert it.deadline_ns == 1500
    assert not it.tick(1499)
    assert it.tick(1500)
    assert not it.active
    assert it.left(1600)


def test_fluttering_is_one_alarm():
    it = held()
    assert [it.left(at) or it.rested(at + 5) or False for at in range(0, 5000, 10)].count(True) == 1


def test_active_at_the_start_is_over_when_it_rested():
    it = held(active=True)
    it.rested(5)
    assert it.tick(1005)


def test_leaving_its_rest_without_having_come_to_it_is_told_again_but_not_often():
    """The whole side of a supervised contact whose other wire is cut."""
    it = held()
    assert it.left(0)
    assert not it.left(999)
    assert it.left(2000)


@given(st.lists(st.tuples(st.integers(0, 3000), st.booleans())))
def test_alarms_and_their_ends_come_in_turns(moves):
    it, now, told = held(), 0, []
    for wait, leaves in moves:
        now += wait
        if it.tick(now):
            told.append(False)
        if leaves and it.left(now):
            told.append(True)
        elif not leaves:
            it.rested(now)
    ends = [at for at, what in enumerate(told) if not what]
    assert all(told[at - 1] for at in ends)
    it.rested(now)
    it.tick(now + HOLD)
    assert not it.active
    assert it.deadline_ns is None
