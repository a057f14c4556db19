"""Rung by rung, and never a power-cycle that costs somebody else a connection."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from drivers.ble.ladder import CYCLE_AT, CYCLE_EVERY_S, FORGET_AT, Ladder, Rung

A, B = "C0:FF:EE:00:00:01", "C0:FF:EE:00:00:02"


def climb(ladder, count, *, address=A, others_work=False, now_s=0.0):
    return [ladder.failed(address, now_s, others_work=others_work) for _ in range(count)]


def test_one_failure_is_chance_and_then_each_rung_in_turn():
    assert climb(Ladder(), 6) == [
        Rung.AGAIN, Rung.FORGET, Rung.FORGET, Rung.CYCLE, Rung.REPORT, Rung.REPORT
    ]  # fmt: skip


def test_a_band_that_connects_begins_at_the_foot_again():
    ladder = Ladder()
    climb(ladder, CYCLE_AT)
    ladder.worked(A)
    assert climb(ladder, FORGET_AT) == [Rung.AGAIN, Rung.FORGET]


def test_an_adapter_that_holds_another_connection_is_not_cycled():
    assert Rung.CYCLE not in climb(Ladder(), 20, others_work=True)


def test_each_band_has_its_own_count():
    ladder = Ladder()
    climb(ladder, 3)
    assert climb(ladder, 1, address=B) == [Rung.AGAIN]


@given(
    st.lists(
        st.tuples(st.sampled_from([A, B]), st.floats(0, 300), st.booleans(), st.booleans()),
        max_size=80,
    )
)
def test_it_cycles_seldom_and_never_under_others(steps):
    ladder, now_s, cycled = Ladder(), 0.0, []
    for address, wait_s, works, others_work in steps:
        now_s += wait_s
        if works:
            ladder.worked(address)
        elif ladder.failed(address, now_s, others_work=others_work) is Rung.CYCLE:
            assert not others_work
            cycled.append(now_s)
    assert all(b - a >= CYCLE_EVERY_S for a, b in pairwise(cycled))
