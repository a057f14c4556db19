"""What falls silent while others talk; and which SOS is the same one."""

import pytest

from drivers.call import SAME_CALL_S
from drivers.wristband.rhythm import STEADY, Rhythm
from drivers.wristband.wearer import Wearer


@pytest.fixture
def rhythm():
    rhythm = Rhythm(frozenset({"rate"}), 10)
    for second in range(STEADY):
        rhythm.told("rate", second)
        rhythm.told("other", second)
    return rhythm


LAST = STEADY - 1


def test_a_steady_one_is_missed_when_others_talk(rhythm):
    rhythm.told("other", LAST + 10)
    assert rhythm.silent(LAST + 10) is None
    rhythm.told("other", LAST + 10.1)
    assert rhythm.silent(LAST + 10.1) == "rate"


def test_when_all_are_silent_none_is_missed(rhythm):
    assert rhythm.silent(LAST + 100) is None


def test_what_is_not_steady_is_not_missed(rhythm):
    rhythm.told("rate", LAST + 10.1)
    assert rhythm.silent(LAST + 10.1) is None


def test_what_told_too_few_is_not_missed():
    rhythm = Rhythm(frozenset({"rate"}), 10)
    for second in range(STEADY - 1):
        rhythm.told("rate", second)
    rhythm.told("other", 100)
    assert rhythm.silent(100) is None


def test_a_pause_begins_the_count_anew(rhythm):
    rhythm.told("rate", LAST + 20)
    rhythm.told("other", LAST + 40)
    assert rhythm.silent(LAST + 40) is None


def test_once_renewed_it_has_its_time_again(rhythm):
    rhythm.told("other", 50)
    rhythm.renewed("rate", 50)
    assert rhythm.silent(50) is None
    rhythm.told("other", 60.5)
    assert rhythm.silent(60.5) == "rate"


def test_the_same_sos_is_one_call():
    wearer = Wearer()
    assert wearer.calls(5) is True
    assert wearer.calls(5 + SAME_CALL_S - 0.1) is False
    assert wearer.calls(5 + SAME_CALL_S) is True  # a band that never stops is heard again
    assert wearer.calls(5 + SAME_CALL_S + 1) is False
