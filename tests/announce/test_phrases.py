"""The words: in both languages, speakable, and one for each state that a call can have."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.announce import phrases
from gateway.announce.phrases import LANGUAGES, OF_CALL, PHRASES
from gateway.announce.queue import MOST_CHARACTERS
from gateway.model import CallState
from gateway.speakable import MAX_SPOKEN, speakable


def test_each_state_of_a_call_has_its_own_words():
    assert set(OF_CALL) == set(CallState)
    for language in LANGUAGES:
        assert len({phrase.text(language) for phrase in OF_CALL.values()}) == len(CallState)


@pytest.mark.parametrize("phrase", PHRASES.values(), ids=PHRASES)
def test_fixed_phrases_can_be_said(phrase):
    assert re.fullmatch(r"[a-z_]+", phrase.name)
    assert speakable(phrase.en, 100) == speakable(phrase.zh, 50) == ""
    assert not re.search(r"[一-鿿]", phrase.en)
    assert not re.search(r"[A-Za-z]", phrase.zh)


texts = st.text(min_size=1, max_size=MAX_SPOKEN).filter(lambda text: not speakable(text))


@given(texts, st.sampled_from(["medicine", "appointment", "alarm"]), st.booleans())
def test_a_text_that_can_be_said_can_be_said_with_the_words_around_it(text, kind, press):
    for phrase in (
        phrases.reminder(kind, text, press=press),
        phrases.weather(text),
        phrases.notice(text),
    ):
        assert not phrase.name  # it varies, and lies on no disk
        for language in LANGUAGES:
            assert speakable(phrase.text(language), MOST_CHARACTERS) == ""


def test_braces_in_a_text_are_only_braces():
    assert "{0.__class__}" in phrases.reminder("alarm", "{0.__class__}", press=True).en


def test_who_took_the_call_is_named():
    assert phrases.accepted_by("小李").zh.startswith("小李已经接到呼叫")


def test_detectors():
    assert phrases.alarm("smoke").name == "alarm_smoke"
    assert phrases.alarm("heat").name == "alarm"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (5, "int is no text"),
        (None, "NoneType is no text"),
        ("", "nothing in it can be said"),
        ("  ", "nothing"),
        ("……！", "nothing"),
        ("tea\n", "U+000A"),
        ("tea\x1b[31m", "U+001B"),
        ("te\u202ea", "U+202E"),
        ("tea\ud800", "U+D800"),
        ("tea\ue000", "U+E000"),
        ("x" * 201, "201 characters"),
    ],
    ids=repr,
)
def test_what_cannot_be_said(text, reason):
    assert reason in speakable(text)


@pytest.mark.parametrize("text", ["tea", "吃降压药，一片", "8", "½ Tablette", "x" * 200])
def test_what_can_be_said(text):
    assert speakable(text) == ""
