"""The order of what is said: what matters more goes first, interrupts, and nothing stale is said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.announce.queue import MOST_WAITING, MUTABLE, Item, Priority, Queue
from gateway.errors import CommandRefused

FOREVER = float("inf")


def item(text: str, priority: Priority = Priority.NOTICE, **more) -> Item:
    return Item(text, priority, **({"until_s": FOREVER} | more))


def said(queue: Queue, now_s: float = 0.0, *, muted: bool = False) -> list[str]:
    """Everything that can be said now, each to its end."""
    texts = []
    while one := queue.take(now_s, muted=muted):
        texts.append(one.text)
        queue.done(one)
    return texts


def test_what_matters_more_is_said_first_and_equals_as_they_came():
    queue = Queue()
    for one in (
        item("rain", Priority.WEATHER),
        item("first notice"),
        item("pill", Priority.REMINDER),
        item("second notice"),
        item("kept", Priority.CALL),
        item("smoke", Priority.ALARM),
    ):
        queue.put(one)
    assert said(queue) == ["kept", "smoke", "pill", "first notice", "second notice", "rain"]


@pytest.mark.parametrize("low", list(Priority))
@pytest.mark.parametrize("high", list(Priority))
def test_only_what_matters_more_interrupts(low, high):
    queue = Queue()
    queue.put(item("low", low))
    queue.take(0.0, muted=False)
    assert queue.put(item("high", high)) is (high > low)


def test_what_was_interrupted_is_said_again_from_its_start():
    queue = Queue()
    queue.put(item("rain", Priority.WEATHER))
    rain = queue.take(0.0, muted=False)
    assert queue.put(item("kept", Priority.CALL))
    assert said(queue) == ["kept", "rain"]
    assert rain.said


def test_unless_it_is_too_late_for_it():
    queue = Queue()
    queue.put(item("rain", Priority.WEATHER, until_s=10.0))
    queue.take(0.0, muted=False)
    queue.put(item("kept", Priority.CALL))
    assert said(queue, 10.0) == ["kept"]


def test_what_ended_at_the_moment_of_its_interruption_is_not_said_again():
    queue = Queue()
    queue.put(item("rain", Priority.WEATHER))
    rain = queue.take(0.0, muted=False)
    queue.put(item("kept", Priority.CALL))
    queue.done(rain)
    assert said(queue) == ["kept"]


def test_of_one_key_only_the_newest_is_said():
    queue = Queue()
    queue.put(item("stored", Priority.CALL, key="call"))
    queue.put(item("delivered", Priority.CALL, key="call"))
    assert said(queue) == ["delivered"]


def test_a_newer_one_interrupts_the_older_which_does_not_come_back():
    queue = Queue()
    queue.put(item("delivered", Priority.CALL, key="call"))
    queue.take(0.0, muted=False)
    assert queue.put(item("undelivered", Priority.CALL, key="call"))
    assert said(queue) == ["undelivered"]


def test_the_same_words_again_while_they_are_said_are_nothing_new():
    queue = Queue()
    queue.put(item("undelivered", Priority.CALL, key="call"))
    first = queue.take(0.0, muted=False)
    assert not queue.put(item("undelivered", Priority.CALL, key="call"))
    queue.done(first)
    assert said(queue) == []


def test_items_without_a_key_do_not_replace_each_other():
    queue = Queue()
    queue.put(item("one"))
    queue.put(item("two"))
    assert said(queue) == ["one", "two"]


def test_what_is_not_true_any_more_is_withdrawn():
    queue = Queue()
    queue.put(item("pill", Priority.REMINDER, key="pill"))
    queue.take(0.0, muted=False)
    assert queue.withdraw("pill")
    assert not queue.withdraw("pill")
    assert said(queue) == []


def test_what_nobody_took_to_its_end_comes_again():
    queue = Queue()
    queue.put(item("pill"))
    assert queue.take(0.0, muted=False) is queue.take(0.0, muted=False)


@pytest.mark.parametrize("priority", list(Priority))
def test_mute_hours_hold_back_only_weather_and_notices(priority):
    queue = Queue()
    queue.put(item("words", priority))
    assert (said(queue, muted=True) == []) is (priority in MUTABLE)
    assert said(queue, muted=False) == (["words"] if priority in MUTABLE else [])
    assert {Priority.WEATHER, Priority.NOTICE} == MUTABLE


def test_what_a_person_asks_for_is_said_in_mute_hours():
    queue = Queue()
    queue.put(item("rain", Priority.WEATHER, asked=True))
    assert said(queue, muted=True) == ["rain"]


def test_a_full_queue_gives_up_what_matters_least():
    queue = Queue()
    queue.put(item("rain", Priority.WEATHER))
    for number in range(MOST_WAITING):
        queue.put(item(f"notice {number}"))
    assert queue.waiting == MOST_WAITING
    with pytest.raises(CommandRefused, match="matter more"):
        queue.put(item("snow", Priority.WEATHER))
    queue.put(item("kept", Priority.CALL))
    texts = said(queue)
    assert texts[0] == "kept"
    assert "rain" not in texts
    assert "notice 0" not in texts  # of equals the oldest
    assert len(texts) == MOST_WAITING


@pytest.mark.parametrize("text", ["", "\n", "a\x07", "…", "x" * 401])
def test_what_cannot_be_said_is_refused(text):
    queue = Queue()
    with pytest.raises(CommandRefused, match="cannot be said"):
        queue.put(item(text))
    assert queue.waiting == 0


actions = st.lists(
    st.one_of(
        st.tuples(
            st.just("put"),
            st.sampled_from(Priority),
            st.sampled_from(["", "a", "b"]),
            st.integers(1, 9),
        ),
        st.tuples(st.just("take"), st.booleans()),
        st.tuples(st.just("done")),
        st.tuples(st.just("withdraw"), st.sampled_from(["a", "b"])),
        st.tuples(st.just("wait"), st.integers(1, 3)),
    ),
    max_size=60,
)


@given(actions)
def test_whatever_happens(steps):
    """Nothing is said twice to its end, too late, muted, or before what matters more."""
    queue, now_s, known, ended = Queue(), 0.0, [], set()
    for number, step in enumerate(steps):
        if step[0] == "put":
            one = item(f"text {number}", step[1], key=step[2], until_s=now_s + step[3])
            queue.put(one)
            known.append(one)
        elif step[0] == "take":
            one = queue.take(now_s, muted=step[1])
            if one is not None:
                assert one not in ended
                assert one.until_s > now_s
                assert not (step[1] and one.quiet)
                others = [it for it in known if queue.holds(it) and not (step[1] and it.quiet)]
                assert one.priority == max(it.priority for it in others)
        elif step[0] == "done" and queue.saying:
            ended.add(queue.saying)
            queue.done(queue.saying)
        elif step[0] == "withdraw":
            queue.withdraw(step[1])
            assert not [it for it in known if it.key == step[1] and queue.holds(it)]
        elif step[0] == "wait":
            now_s += step[1]
        for key in ("a", "b"):
            assert sum(queue.holds(it) for it in known if it.key == key) <= 1
