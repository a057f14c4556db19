"""Reminders from untrusted data: every fault at once, and nothing that floods or blows up."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reminding_home import pill

from gateway.errors import CommandRefused
from gateway.reminders.reminder import MOST_REMINDERS, read_reminders


def refusal(items) -> str:
    with pytest.raises(CommandRefused) as refused:
        read_reminders(items)
    return str(refused.value)


def test_the_least_and_the_most():
    (least,) = read_reminders([pill()])
    assert (least.ack, least.repeat_s, least.repeats) == (True, 300.0, 5)
    assert read_reminders([]) == []
    read = read_reminders([pill(id=f"r{n}", ack=False, repeat_s=60, repeats=0) for n in range(200)])
    assert len(read) == MOST_REMINDERS
    assert read[0].most_repeats == 0


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"id": ""}, "reminder[0].id"),
        ({"id": "a b"}, "reminder[0].id"),
        ({"kind": "party"}, "reminder[0].kind: Invalid enum value 'party'"),
        ({"text": ""}, "reminder[0].text: nothing in it can be said"),
        ({"text": "a\nb"}, "reminder[0].text: U+000A cannot be said"),
        ({"text": "x" * 201}, "reminder[0].text: 201 characters"),
        ({"text": 5}, "reminder[0].text: Expected str, got int"),
        ({"start": "tomorrow"}, "reminder[0].start"),
        ({"start": "2026-01-01T08:00:00Z"}, "reminder[0].start"),
        ({"start": "2026-01-01T08:00:30"}, "is no whole minute of 2000 to 2099"),
        ({"start": "1999-01-01T08:00:00"}, "is no whole minute of 2000 to 2099"),
        ({"start": "9999-12-31T23:59:00"}, "is no whole minute of 2000 to 2099"),
        ({"rule": "FREQ=SECONDLY"}, "reminder[0].rule: FREQ=SECONDLY: every 15 min"),
        ({"rule": 7}, "reminder[0].rule: Expected str, got int"),
        ({"repeat_s": 1}, "reminder[0].repeat_s"),
        ({"repeats": 51}, "reminder[0].repeats"),
        ({"ack": 1}, "reminder[0].ack: Expected bool, got int"),
        ({"colour": "red"}, "reminder[0].colour: unknown key"),
    ],
    ids=repr,
)
def test_each_fault_has_a_reason(change, fault):
    assert fault in refusal([pill() | change])


@pytest.mark.parametrize("items", [None, 5, "pill", {}, [None], [[1]], [{1: 2}]], ids=repr)
def test_what_is_no_list_of_maps(items):
    assert "map" in refusal(items)


def test_every_fault_at_once():
    told = refusal([pill(text=""), pill(rule="FREQ=MINUTELY"), pill(id="pill"), pill()])
    assert "reminder[0].text" in told
    assert "reminder[1].rule" in told
    assert "'pill' is there twice" in told


def test_a_flood_is_refused_at_once():
    began = time.process_time()
    assert refusal([pill(id=f"r{n}") for n in range(10_000)]) == "10000 reminders; 200 is the most"
    assert time.process_time() - began < 1
    assert "and 192 more" in refusal([pill(text="") for _ in range(200)])


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3), max_leaves=4)
keys = st.sampled_from(["id", "kind", "text", "start", "rule", "ack", "repeat_s", "repeats"])


@given(
    st.lists(st.dictionaries(keys | st.text(max_size=5), values, max_size=8) | values, max_size=3)
)
def test_whatever_comes(items):
    """It is taken or refused; a refusal can be told, whatever is in it."""
    try:
        read_reminders([pill() | item if isinstance(item, dict) else item for item in items])
    except CommandRefused as refused:
        assert str(refused).isprintable() or not str(refused).isascii()
