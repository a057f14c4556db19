"""Press classes: pure, with explicit times. No press is lost by being classified."""

from hypothesis import given
from hypothesis import strategies as st

from drivers.button.wire import Decision, Press, Presses

MS = 1_000_000
LONG, DOUBLE = 2000 * MS, 600 * MS
ACTIONS = ["call", "cancel", "acknowledge", "news", "none"]


class Bench:
    """Presses with their deadlines kept; `told` is (ms, Decision)."""

    def __init__(self, short="call", long="call", double="call"):
        actions = {Press.SHORT: short, Press.LONG: long, Press.DOUBLE: double}
        self.presses = Presses(actions, long_ns=LONG, double_ns=DOUBLE)
        self.told = []

    def until(self, ms):
        while (deadline := self.presses.deadline_ns) is not None and deadline <= ms * MS:
            self._take(deadline // MS, self.presses.tick(deadline))
        return self

    def down(self, ms, **more):
        self.until(ms)._take(ms, self.presses.pressed(ms * MS, **more))
        return self

    def up(self, ms):
        self.until(ms)._take(ms, self.presses.released(ms * MS))
        return self

    def stuck(self, ms):
        self.until(ms)._take(ms, self.presses.stuck(ms * MS))
        return self

    def _take(self, ms, decisions):
        self.told += [(ms, it.press.value, it.action, it.at_ns // MS) for it in decisions]


def test_where_all_are_calls_nothing_is_waited_for():
    assert Bench().presses.pressed(5) == [Decision(Press.SHORT, "call", 5)]


def test_where_only_long_differs_a_short_one_is_decided_at_its_end():
    bench = Bench(long="cancel").down(100).up(300).until(9000)
    assert bench.told == [(300, "short", "call", 100)]


def test_long_is_decided_while_it_is_held():
    bench = Bench(long="cancel").down(100).until(2099)
    assert bench.told == []
    bench.until(9000).up(9100).until(20_000)
    assert bench.told == [(2100, "long", "cancel", 100)]


def test_short_waits_for_the_second_only_where_double_differs():
    bench = Bench(double="news").down(100).up(300).until(20_000)
    assert bench.told == [(900, "short", "call", 100)]


def test_two_presses_within_the_window_are_a_double_one_told_at_the_second():
    bench = Bench(double="news").down(100).up(300).down(800).up(1000).until(20_000)
    assert bench.told == [(800, "double", "news", 100)]


def test_a_third_press_begins_anew():
    bench = Bench(double="news").down(100).up(300).down(500).up(600).down(700).up(800).until(9000)
    assert [it[1] for it in bench.told] == ["double", "short"]


def test_doubt_is_a_call_and_what_was_undecided_is_one_too():
    bench = Bench(short="none", long="none", double="call").down(100).up(200)
    bench.down(300, doubtful=True).up(400).until(9000)
    assert [(it[2], it[3]) for it in bench.told] == [("call", 100), ("call", 300)]


def test_stuck_is_a_call_whatever_the_press_did():
    bench = Bench(long="cancel").down(100).stuck(60_100).up(70_000).until(99_000)
    assert bench.told == [(2100, "long", "cancel", 100), (60_100, "doubtful", "call", 100)]


def test_stuck_after_a_call_is_no_second_one():
    assert len(Bench().down(100).stuck(60_100).told) == 1


def test_stuck_since_before_the_start_is_no_call():
    assert Bench(long="cancel").stuck(60_100).told == []


def test_a_press_whose_end_went_unseen_is_not_lost():
    bench = Bench(long="cancel").down(100).down(500).up(700).until(9000)
    assert [(it[2], it[3]) for it in bench.told] == [("call", 100), ("call", 500)]


actions = st.tuples(*[st.sampled_from(ACTIONS)] * 3)
timings = st.lists(st.tuples(st.integers(1, 4000), st.integers(1, 2000)), max_size=30)


@given(actions, timings)
def test_every_press_is_decided_once(does, presses):
    """A double one counts for two, unless short and double ones do the same."""
    bench, now, began = Bench(*does), 0, []
    for held, pause in presses:
        began.append(now)
        bench.down(now).up(now + held)
        now += held + pause
    bench.until(now + 10_000)
    assert bench.presses.deadline_ns is None
    counted = sum(2 if press == "double" else 1 for _, press, _, _ in bench.told)
    assert counted == len(presses)
    assert {at for _, _, _, at in bench.told} <= {*began}


@given(actions, timings)
def test_what_it_is_waited_for_never_changes_what_it_does(does, presses):
    """Against a plain restatement that knows every press to its end."""
    bench, now = Bench(*does), 0
    for held, pause in presses:
        bench.down(now).up(now + held)
        now += held + pause
    bench.until(now + 10_000)
    short, long, double = does
    expected, left = [], [*presses]
    while left:
        held, pause = left.pop(0)
        if short == long == double:
            expected.append(short)
        elif held >= 2000:
            expected.append(long)
        elif short != double and left and pause < 600:
            left.pop(0)
            expected.append(double)
        else:
            expected.append(short)
    assert [action for _, _, action, _ in bench.told] == expected


event = st.tuples(st.integers(0, 3000), st.sampled_from(["down", "up", "stuck", "doubt"]))


@given(actions, st.lists(event, max_size=60))
def test_in_doubt_it_calls_and_no_order_of_events_upsets_it(does, events):
    bench, now = Bench(*does), 0
    for wait, what in events:
        now += wait
        if what == "doubt":
            before = len(bench.told)
            bench.down(now, doubtful=True)
            assert bench.told[-1][2:] == ("call", now)
            assert len(bench.told) > before
        elif what == "down":
            bench.down(now)
        elif what == "up":
            bench.up(now)
        else:
            bench.stuck(now)
    bench.until(now + 10_000)
    assert bench.presses.deadline_ns is None
