"""The books of one lane against a plain model: nothing is freed that was not stored over there."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.forwarding.outstanding import Outstanding, State, Verdict


class OutstandingModel(RuleBasedStateMachine):
    """Seqs are handed out with holes; the model knows of each seq whether it was sent and stored."""

    def __init__(self):
        super().__init__()
        self.books = Outstanding(0)
        self.sent: set[int] = set()
        self.stored: set[int] = set()
        self.holes: set[int] = set()
        self.ranges: list[tuple[int, int]] = []  # everything that was ever sent
        self.now = 0.0

    def pick(self, data, *states):
        choices = [p for p in self.books if p.state in states]
        return data.draw(st.sampled_from(choices)) if choices else None

    @rule(hole=st.integers(0, 3), count=st.integers(1, 5))
    def read(self, hole, count):
        after = self.books.read_through
        self.holes.update(range(after + 1, after + 1 + hole))
        parcel = self.books.add(after + 1 + hole, after + hole + count)
        assert parcel.state is State.QUEUED

    @rule()
    def send(self):
        parcel = self.books.next_queued() or self.books.next_overdue(self.now)
        if parcel:
            self.books.sent(parcel)
            self.sent.update(range(parcel.first, parcel.last + 1))
            self.ranges.append((parcel.first, parcel.last))

    @rule(data=st.data(), wait=st.integers(0, 3))
    def puback(self, data, wait):
        if parcel := self.pick(data, State.FLYING):
            self.books.landed(parcel, self.now + wait)

    @rule(data=st.data())
    def refuse(self, data):
        if parcel := self.pick(data, State.FLYING):
            self.books.refused(parcel, self.now + 1)
            assert parcel.state is State.WAITING
            if not parcel.sendings:
                self.sent.difference_update(range(parcel.first, parcel.last + 1))
                while (parcel.first, parcel.last) in self.ranges:
                    self.ranges.remove((parcel.first, parcel.last))

    @rule()
    def lose_the_link(self):
        self.books.requeue()
        assert not self.books.flying

    @rule(seconds=st.integers(1, 3))
    def wait(self, seconds):
        self.now += seconds

    @precondition(lambda self: self.ranges)
    @rule(data=st.data())
    def acknowledge(self, data):
        first, last = data.draw(st.sampled_from(self.ranges))
        known = any((p.first, p.last) == (first, last) for p in self.books)
        verdict = self.books.acknowledge(first, last)
        if known or last <= self.books.freed:
            assert verdict in {Verdict.TAKEN, Verdict.STALE}
        if verdict is Verdict.TAKEN:
            self.stored.update(range(first, last + 1))

    @rule(first=st.integers(1, 60), length=st.integers(0, 8))
    def forge(self, first, length):
        if (first, first + length) not in self.ranges:
            before = self.books.freed
            verdict = self.books.acknowledge(first, first + length)
            assert verdict is (Verdict.STALE if first + length <= before else Verdict.NEVER_SENT)
            assert self.books.freed == before

    @rule(data=st.data())
    def lose_some(self, data):
        parcel = self.pick(data, State.QUEUED, State.WAITING)
        if parcel is None:
            return
        seqs = list(range(parcel.first, parcel.last + 1))
        left = [seq for seq in seqs if data.draw(st.booleans())]
        self.holes.update(set(seqs) - set(left))
        ranges: list[tuple[int, int]] = []
        for seq in left:
            if ranges and ranges[-1][1] == seq - 1:
                ranges[-1] = ranges[-1][0], seq
            else:
                ranges.append((seq, seq))
        if ranges != [(parcel.first, parcel.last)]:
            self.books.replace(parcel, ranges)

    @invariant()
    def only_what_is_stored_or_lost_is_freed(self):
        freed = set(range(1, self.books.freed + 1))
        assert freed <= self.stored | self.holes

    @invariant()
    def batches_are_in_order_and_above_what_is_freed(self):
        edge = self.books.freed
        for parcel in self.books:
            assert edge < parcel.first <= parcel.last
            edge = parcel.last
        assert edge == self.books.read_through

    @invariant()
    def the_first_batch_is_not_acknowledged(self):
        first = next(iter(self.books), None)
        assert first is None or first.state is not State.ACKNOWLEDGED


OutstandingModel.TestCase.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None
)
TestOutstandingModel = OutstandingModel.TestCase


def test_an_acknowledgement_may_overtake_the_puback():
    books = Outstanding(10)
    parcel = books.add(11, 20)
    books.sent(parcel)
    assert books.acknowledge(11, 20) is Verdict.TAKEN
    books.landed(parcel, 5)
    assert (books.freed, len(books)) == (20, 0)


def test_a_batch_that_the_broker_refused_was_not_sent():
    books = Outstanding(0)
    parcel = books.add(1, 5)
    books.sent(parcel)
    books.refused(parcel, 1)
    assert books.acknowledge(1, 5) is Verdict.NEVER_SENT
    assert books.next_overdue(1) is parcel


def test_freed_waits_for_the_front_and_steps_over_holes():
    books = Outstanding(0)
    parcels = [books.add(1, 5), books.add(8, 9), books.add(10, 10)]
    for parcel in parcels:
        books.sent(parcel)
    books.acknowledge(10, 10)
    books.acknowledge(8, 9)
    assert books.freed == 0
    books.acknowledge(1, 5)
    assert books.freed == 10


def test_the_least_often_tried_is_asked_for_first():
    books = Outstanding(0)
    one, two = books.add(1, 1), books.add(2, 2)
    for parcel in (one, two):
        books.sent(parcel)
        books.landed(parcel, 1)
    assert books.next_overdue(0.9) is None
    assert books.next_overdue(1) is one
    books.sent(one)
    books.landed(one, 2)
    assert books.next_overdue(2) is two


@pytest.mark.parametrize(
    "ranges", [[(0, 3)], [(1, 6)], [(1, 3), (3, 5)], [(4, 5), (1, 2)], [(3, 2)]]
)
def test_pieces_that_do_not_fit_are_an_error(ranges):
    books = Outstanding(0)
    parcel = books.add(1, 5)
    with pytest.raises(ValueError, match=r"of 1\.\.5"):
        books.replace(parcel, ranges)


def test_a_batch_that_is_not_the_newest_is_an_error():
    books = Outstanding(3)
    with pytest.raises(ValueError, match="after 3"):
        books.add(3, 4)
