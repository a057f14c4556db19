"""One contact's state machine: pure, with explicit times."""

from hypothesis import given
from hypothesis import strategies as st

from drivers.gpio.wire.contact import Contact
from drivers.gpio.wire.edge import Change, Edge

MS = 1_000_000
DEBOUNCE, STUCK = 30 * MS, 60_000 * MS
PRESSED, RELEASED = Change.PRESSED, Change.RELEASED


def contact(active=False, now_ns=0, stuck_ns=STUCK):
    return Contact(active=active, now_ns=now_ns, debounce_ns=DEBOUNCE, stuck_ns=stuck_ns)


def feed(button, levels, *, seqno=1):
    """(ms, active) pairs as edges without a hole; the changes that came of them."""
    changes = []
    for number, (at_ms, active) in enumerate(levels, seqno):
        changes += button.edge(Edge(17, active, at_ms * MS, number))
    return changes


def test_a_press_is_told_at_its_first_edge():
    assert feed(contact(), [(100, True)]) == [PRESSED]


def test_bounces_are_the_same_press():
    edges = [(100, True), (101, False), (102, True), (250, False), (251, True), (252, False)]
    button = contact()
    assert feed(button, edges) == [PRESSED]
    assert button.tick(252 * MS + DEBOUNCE) == [RELEASED]


def test_a_thousand_bounces_a_second_are_one_press():
    edges = [(100 + ms, ms % 2 == 0) for ms in range(5000)]
    assert feed(contact(), edges) == [PRESSED]


def test_two_presses_with_a_quiet_line_between_are_two():
    edges = [(100, True), (200, False), (231, True), (300, False)]
    assert feed(contact(), edges) == [PRESSED, RELEASED, PRESSED]


def test_a_release_shorter_than_the_debounce_is_no_release():
    assert feed(contact(), [(100, True), (200, False), (229, True)]) == [PRESSED]


def test_held_too_long_is_stuck_and_letting_go_ends_it():
    button = contact()
    feed(button, [(100, True)])
    assert button.deadline_ns == 100 * MS + STUCK
    assert button.tick(100 * MS + STUCK - 1) == []
    assert button.tick(100 * MS + STUCK) == [Change.STUCK]
    assert button.tick(200 * MS + STUCK) == []
    assert button.deadline_ns is None
    released_ms = 300 + STUCK // MS
    assert feed(button, [(released_ms, False)], seqno=2) == []
    assert button.deadline_ns == released_ms * MS + DEBOUNCE
    assert button.tick(released_ms * MS + DEBOUNCE) == [RELEASED, Change.UNSTUCK]
    assert feed(button, [(released_ms + 100, True)], seqno=3) == [PRESSED]


def test_a_contact_that_may_rest_in_either_position_is_never_stuck():
    button = contact(stuck_ns=None)
    feed(button, [(100, True)])
    assert button.deadline_ns is None
    assert button.tick(100 * STUCK) == []


def test_active_at_start_is_no_press_but_may_be_stuck():
    button = contact(active=True)
    assert button.tick(STUCK) == [Change.STUCK]
    assert feed(button, [(70_000, False), (70_001, True), (70_002, False)]) == []
    assert button.tick(70_002 * MS + DEBOUNCE) == [RELEASED, Change.UNSTUCK]


def test_a_press_between_the_request_and_the_first_look_is_a_press():
    assert feed(contact(active=True, now_ns=10 * MS), [(9, True)]) == [PRESSED]


def test_lost_edges_on_a_quiet_line_are_a_press_even_if_only_the_release_is_seen():
    button = contact()
    assert feed(button, [(100, False)], seqno=2) == [Change.LOST, PRESSED]
    assert button.doubtful
    assert button.tick(100 * MS + DEBOUNCE) == [RELEASED, Change.INTACT]
    assert not button.doubtful


def test_a_lost_release_does_not_hide_the_next_press():
    button = contact()
    feed(button, [(100, True)])
    assert feed(button, [(900, True)], seqno=3) == [Change.LOST, PRESSED]


def test_edges_lost_in_the_middle_of_bouncing_are_the_same_press():
    button = contact()
    feed(button, [(100, True)])
    assert feed(button, [(101, True)], seqno=5) == [Change.LOST]


waits = st.integers(min_value=1, max_value=200)


@given(st.lists(waits, max_size=200))
def test_there_are_as_many_presses_as_active_edges_after_quiet(gaps):
    """Against a plain restatement of the rule: quiet means inactive for the debounce time."""
    now, level, edges, expected = 0, False, [], 0
    idle, released_at = True, 0
    for gap in gaps:
        now += gap
        if not level and now - released_at >= DEBOUNCE // MS:
            idle = True
        level = not level
        if level and idle:
            expected += 1
            idle = False
        released_at = now
        edges.append((now, level))
    assert feed(contact(), edges).count(PRESSED) == expected


@given(
    st.booleans(),
    st.lists(st.tuples(st.integers(0, 2**40), st.booleans(), st.integers(0, 2**32 - 1))),
)
def test_no_edges_however_odd_upset_it(active, edges):
    """Faults come and go in turns; a deadline is never left behind unanswered."""
    button = contact(active=active)
    changes = []
    for at_ns, level, seqno in edges:
        changes += button.edge(Edge(17, level, at_ns, seqno))
    for start, end in ((Change.STUCK, Change.UNSTUCK), (Change.LOST, Change.INTACT)):
        turns = [change for change in changes if change in (start, end)]
        assert turns == [start, end] * (len(turns) // 2) + [start] * (len(turns) % 2)
    for _ in range(3):
        if button.deadline_ns is not None:
            button.tick(button.deadline_ns)
    assert button.deadline_ns is None
