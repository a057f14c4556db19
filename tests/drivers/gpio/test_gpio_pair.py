"""A change-over contact on two lines: presses, noise, broken wires. Pure, with explicit times."""

from hypothesis import given
from hypothesis import strategies as st

from drivers.gpio.wire.contact import Contact
from drivers.gpio.wire.edge import Change, Edge
from drivers.gpio.wire.pair import Pair

MS = 1_000_000
DEBOUNCE, WIRE, STUCK = 30 * MS, 1000 * MS, 60_000 * MS
NO, NC = 17, 22
PRESSED, RELEASED = Change.PRESSED, Change.RELEASED


class Bench:
    """A pair, the edges it is given numbered, its ticks kept; `told` is (ms, change)."""

    def __init__(self, no=False, nc=False):
        sides = {
            offset: Contact(active=active, now_ns=0, debounce_ns=DEBOUNCE, stuck_ns=STUCK)
            for offset, active in ((NO, no), (NC, nc))
        }
        self.pair = Pair(sides, now_ns=0, debounce_ns=DEBOUNCE, wire_ns=WIRE)
        self.told = []
        self.seqnos = {NO: 0, NC: 0}
        self.levels = {NO: no, NC: nc}

    def until(self, ms):
        while (deadline := self.pair.deadline_ns) is not None and deadline <= ms * MS:
            self.told += [(deadline // MS, change) for change in self.pair.tick(deadline)]
        return self

    def edge(self, ms, offset, active, *, lost=0):
        self.until(ms)
        self.seqnos[offset] += 1 + lost
        self.levels[offset] = active
        edge = Edge(offset, active, ms * MS, self.seqnos[offset])
        self.told += [(ms, change) for change in self.pair.edge(edge)]
        return self

    def press(self, ms, duration=200, apart=5):
        self.edge(ms, NC, True).edge(ms + apart, NO, True)
        return self.edge(ms + duration, NO, False).edge(ms + duration + apart, NC, False)

    @property
    def changes(self):
        return [change for _, change in self.told]


def test_a_press_is_told_when_the_second_side_turns_over():
    bench = Bench().press(100).until(1000)
    assert bench.told == [(105, PRESSED), (335, RELEASED)]
    assert not bench.pair.doubtful


def test_noise_on_one_wire_is_no_press():
    bench = Bench().edge(100, NO, True).edge(110, NO, False).until(5000)
    assert PRESSED not in bench.changes
    assert bench.pair.deadline_ns is None


def test_a_slow_thumb_presses_once():
    bench = Bench().edge(100, NC, True).edge(900, NO, True)
    bench.edge(1500, NO, False).edge(2000, NC, False).until(10_000)
    assert bench.told == [(160, PRESSED), (2030, RELEASED)]


def test_a_wire_that_breaks_is_a_call_and_a_fault():
    bench = Bench().edge(100, NC, True).until(10_000)
    assert bench.told == [(160, PRESSED), (1100, Change.BROKEN)]
    assert bench.pair.doubtful


def test_with_a_broken_wire_each_press_of_what_is_left_is_told_at_once():
    bench = Bench().edge(100, NC, True).until(10_000)
    for ms in (20_000, 30_000):
        bench.edge(ms, NO, True).edge(ms + 200, NO, False).until(ms + 5000)
    assert bench.told[2:] == [(20_000, PRESSED), (30_000, PRESSED)]


def test_broken_since_before_the_start_is_a_fault_and_no_press():
    bench = Bench(nc=True).until(5000)
    assert bench.told == [(1000, Change.BROKEN)]
    bench.edge(6000, NO, True)
    assert bench.told[1:] == [(6000, PRESSED)]


def test_a_wire_that_is_cut_unseen_is_found_by_the_press_and_the_press_is_told():
    """The open side looks the same, cut or at rest."""
    bench = Bench().edge(100, NC, True).edge(300, NC, False).until(5000)
    assert bench.told == [(160, PRESSED), (330, Change.BROKEN), (330, RELEASED)]


def test_a_mended_wire_is_believed_after_a_press_in_which_both_take_part():
    bench = Bench().edge(100, NC, True).edge(300, NC, False).until(5000)
    bench.press(6000).until(20_000)
    assert bench.changes[3:] == [PRESSED, Change.WHOLE, RELEASED]
    assert not bench.pair.doubtful
    bench.press(30_000).until(40_000)
    assert bench.changes[6:] == [PRESSED, RELEASED]


def test_both_pressed_at_start_are_no_press_and_their_end_is_told():
    bench = Bench(no=True, nc=True).until(5000)
    assert bench.told == []
    bench.edge(6000, NO, False).edge(6005, NC, False).until(7000)
    assert bench.told == [(6035, RELEASED)]


def test_stuck_is_both_stuck():
    bench = Bench().edge(100, NC, True).edge(105, NO, True).until(100_000)
    assert bench.told == [(105, PRESSED), (60_105, Change.STUCK)]
    assert Change.STUCK not in Bench().edge(100, NC, True).until(100_000).changes


def test_edges_lost_on_one_side_are_told_and_a_call():
    bench = Bench().edge(100, NO, False, lost=2).until(5000)
    assert bench.changes[:2] == [PRESSED, Change.LOST]
    assert Change.INTACT in bench.changes
    assert Change.BROKEN not in bench.changes


def test_a_storm_on_both_sides_is_one_press():
    bench = Bench()
    for ms in range(100, 2100, 2):
        bench.edge(ms, NC, ms % 4 == 0).edge(ms + 1, NO, ms % 4 == 0)
    bench.until(10_000)
    assert bench.changes.count(PRESSED) == 1


@given(st.lists(st.tuples(st.integers(100, 400), st.integers(1, 25), st.integers(60, 5000))))
def test_a_whole_pair_tells_each_press_once_and_no_fault(presses):
    bench, now = Bench(), 100
    for duration, apart, pause in presses:
        bench.press(now, duration, apart)
        now += duration + apart + pause + 60
    bench.until(now + 10_000)
    assert bench.changes == [PRESSED, RELEASED] * len(presses)


@given(
    st.sampled_from([NO, NC]),
    st.lists(st.tuples(st.integers(100, 900), st.integers(100, 5000)), min_size=1),
)
def test_no_press_is_lost_by_a_wire_that_does_not_move(alive, presses):
    """One wire is cut and its side never changes: the other calls each time."""
    # A cut wire is open: the closed side looks pressed for ever, the open side never.
    bench, now = Bench(nc=alive == NO).until(2000), 3000
    for duration, pause in presses:
        bench.edge(now, alive, True).edge(now + duration, alive, False)
        now += duration + pause
    bench.until(now + 10_000)
    assert bench.changes.count(PRESSED) >= len(presses)
    assert Change.BROKEN in bench.changes


@given(
    st.booleans(),
    st.booleans(),
    st.lists(
        st.tuples(
            st.integers(0, 2000), st.sampled_from([NO, NC]), st.booleans(), st.integers(0, 3)
        ),
        max_size=100,
    ),
)
def test_no_edges_however_odd_upset_it(no, nc, edges):
    """Faults come and go in turns, and no deadline is left behind unanswered."""
    bench, now = Bench(no, nc), 0
    for wait, offset, active, lost in edges:
        now += wait
        bench.edge(now, offset, active, lost=lost)
    bench.until(now + 1_000_000)
    for start, end in (
        (Change.STUCK, Change.UNSTUCK),
        (Change.LOST, Change.INTACT),
        (Change.BROKEN, Change.WHOLE),
    ):
        turns = [change for change in bench.changes if change in (start, end)]
        assert turns == [start, end] * (len(turns) // 2) + [start] * (len(turns) % 2)
    assert bench.pair.deadline_ns is None
