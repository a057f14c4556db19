"""The line against a model: collectors that ask, tell, put off, live or die, and clocks that are set.

Each question is a look, and hearts beat when the machine says so.
"""

from __future__ import annotations

from unittest.mock import patch

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from store_kit import U, ask, call_row, delivery

from collector.storage import hands, lapses, line, words
from collector.store import open_store

NOW_MS = 1_800_000_000_000
COLLECTORS = st.integers(0, 2)


class Alarm(msgspec.Struct):
    """What is known of one alarm in line."""

    next_try_ms: int = 0
    tries: int = 0
    waited_ms: int = 0
    holder: object = None
    beat: int = 0


class Collector:
    """A store, what it believes to have in hand, and what it saw of others."""

    def __init__(self, url):
        self.store = open_store(url, outputs=("webhook",))
        self.hand = {}  # by seq: Due
        self.seen = {}  # by seq: beat, looks


class Lines(RuleBasedStateMachine):
    new_url = None

    def __init__(self):
        super().__init__()
        self.now_ms, self.last = NOW_MS, 0
        self.line = {}  # by seq
        self.told, self.given_up = set(), set()
        self.patches = [
            patch.object(lapses, "LOOK_S", 0.0),
            patch.object(hands, "BEAT_S", 1000.0),
            patch.object(words.time, "time_ns", lambda: self.now_ms * 1_000_000),
        ]
        for it in self.patches:
            it.start()
        self.url = self.new_url()
        self.collectors = [Collector(self.url) for _ in range(3)]

    def teardown(self):
        for it in self.collectors:
            it.store.close()
        for it in self.patches:
            it.stop()

    @rule(who=COLLECTORS, count=st.integers(1, 3))
    def press(self, who, count):
        seqs = range(self.last + 1, self.last + 1 + count)
        self.collectors[who].store.commit([delivery(*map(call_row, seqs), lane=U)], [])
        self.line |= {seq: Alarm() for seq in seqs}
        self.last += count

    @rule(who=COLLECTORS, limit=st.integers(1, 4), times=st.sampled_from([1, 1, 2, lapses.LOOKS]))
    def look(self, who, limit, times):
        for _ in range(times):
            it = self.collectors[who]
            expected = self._expected(it)[:limit]
            dues = it.store.due("webhook", limit)
            assert [due.seq for due in dues] == expected
            for due in dues:
                alarm = self.line[due.seq]
                assert (due.tries, due.waited_ms) == (alarm.tries, alarm.waited_ms)
                alarm.holder, alarm.beat = it, alarm.beat + 1
                it.hand[due.seq] = due

    def _expected(self, it):
        """Who looks takes first from those whose beat it saw stand still."""
        seen = {}
        for seq, alarm in self.line.items():
            if alarm.holder is not None:
                beat, looks = it.seen.get(seq, (alarm.beat, -1))
                seen[seq] = alarm.beat, looks + 1 if beat == alarm.beat else 0
                if seen[seq][1] >= lapses.LOOKS:
                    alarm.holder, alarm.next_try_ms = None, 0
            if alarm.next_try_ms > self.now_ms + 1000 * line.LONGEST_S:
                alarm.next_try_ms = 0
        it.seen = seen
        due = [seq for seq, it in self.line.items() if it.next_try_ms <= self.now_ms]
        return [seq for seq in due if self.line[seq].holder is None]

    @rule(who=COLLECTORS)
    def live(self, who):
        it = self.collectors[who]
        it.store._beat(sorted(due.id for due in it.hand.values()))
        for seq in it.hand:
            if seq in self.line and self.line[seq].holder is it:
                self.line[seq].beat += 1

    @rule(who=COLLECTORS)
    def die(self, who):
        """And be started again; what it had in hand nobody beats for."""
        self.collectors[who].store.close()
        self.collectors[who] = Collector(self.url)

    def in_hand(self, data, who):
        it = self.collectors[who]
        return it, it.hand.pop(data.draw(st.sampled_from(sorted(it.hand))))

    @precondition(lambda self: self.collectors[0].hand)
    @rule(data=st.data())
    def tell(self, data):
        it, due = self.in_hand(data, 0)
        it.store.told(due)
        if self.line.pop(due.seq, None):
            self.told.add(due.seq)

    @precondition(lambda self: any(it.hand for it in self.collectors))
    @rule(data=st.data(), wait_ms=st.sampled_from([0, 500, 30_000, 600_000]))
    def put_off(self, data, wait_ms):
        who = data.draw(st.sampled_from([n for n in range(3) if self.collectors[n].hand]))
        it, due = self.in_hand(data, who)
        waited = msgspec.structs.replace(due, waited_ms=due.waited_ms + wait_ms)
        it.store.put_off(waited, self.now_ms + wait_ms, "503")
        alarm = self.line.get(due.seq)
        if alarm is not None and alarm.holder is it:
            alarm.holder, alarm.next_try_ms = None, self.now_ms + wait_ms
            alarm.tries, alarm.waited_ms = alarm.tries + 1, waited.waited_ms

    @precondition(lambda self: self.collectors[1].hand)
    @rule(data=st.data())
    def give_up(self, data):
        it, due = self.in_hand(data, 1)
        it.store.give_up(due, "404")
        if self.line.pop(due.seq, None):
            self.given_up.add(due.seq)

    @rule(step_ms=st.sampled_from([1, 1000, 60_000, 3_600_000, -1000, -3_600_000, -86_400_000]))
    def set_clock(self, step_ms):
        self.now_ms += step_ms

    @invariant()
    def none_is_forgotten_and_none_is_twice(self):
        rows = ask(self.url, "SELECT seq FROM due ORDER BY id")
        undelivered = ask(self.url, "SELECT seq FROM undelivered ORDER BY seq")
        assert [seq for (seq,) in rows] == list(self.line)
        assert {seq for (seq,) in undelivered} == self.given_up
        assert set(self.line) | self.told | self.given_up == set(range(1, self.last + 1))


@pytest.mark.parametrize(("kind", "examples"), [("sqlite", 40), ("postgres", 8)])
def test_the_line_is_what_the_model_says(new_url, kind, examples):
    class Machine(Lines):
        pass

    Machine.new_url = staticmethod(lambda: new_url(kind))
    case = Machine.TestCase
    case.settings = settings(max_examples=examples, stateful_step_count=40, deadline=None)
    case().runTest()
