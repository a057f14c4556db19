"""The judge finds what it is there to find."""

import cbor2
import pytest
from ledger import Confirmed, Fact, Place, Refused
from verdict import Expectation, judge

JOURNAL = "00" * 16


def event(seq, token="", kind="measurement"):
    return Place(JOURNAL, "routine", seq), Fact(kind, "meter-1", seq / 10, token or f"t{seq}")


class HandMade:
    """A database as a test wants it."""

    def __init__(self, stored, gaps=(), refused=()):
        self.stored, self.named, self.kept = list(stored), list(gaps), list(refused)

    def facts(self):
        return self.stored

    def gaps(self):
        return self.named

    def refused(self):
        return self.kept


def book(**changes):
    facts = {"journal": JOURNAL, "lane": "routine", "stored": 3, "missing": 0, "balanced": True}
    return {**facts, "duplicates": 2, "conflicts": 0, **changes}


CONFIRMED = [Confirmed(0.0, *event(seq)) for seq in (1, 2, 3)]
ALL = [event(1), event(2), event(3)]


def verdict(stored=ALL, code=0, books=None, expect=None, **others):
    books = [book(stored=len(stored))] if books is None else books
    return judge(CONFIRMED, HandMade(stored, **others), (code, books), expect or Expectation())


def test_all_is_well():
    found = verdict()
    assert found.good, found
    assert (found.confirmed, found.stored, found.duplicates) == (3, 3, 2)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"stored": ALL[:2]}, "1 confirmed and missing"),
        ({"stored": [*ALL[:2], event(3, "other")]}, "1 stored with other content"),
        ({"stored": [*ALL, ALL[0]]}, "stored twice"),
        ({"stored": [*ALL, event(4, "t1")]}, "stored twice"),
        ({"books": [book(missing=1, balanced=False)]}, "do not balance"),
        ({"books": [book(stored=2)]}, "the books say 2 stored"),
        ({"code": 1}, "ended with 1"),
        ({"stored": ALL[:2], "gaps": [(JOURNAL, "routine", 3, 9)]}, "1 gaps"),
        ({"stored": ALL[:2], "gaps": [(JOURNAL, "urgent", 3, 9)]}, "1 confirmed and missing"),
        ({"stored": ALL[:2], "gaps": [("ff" * 16, "routine", 3, 9)]}, "1 confirmed and missing"),
        ({"expect": Expectation(gaps=True)}, "0 gaps"),
        ({"expect": Expectation(conflicts=True), "code": 1}, "0 conflicts"),
        ({"expect": Expectation(conflicts=True)}, "ended with 0"),
    ],
)
def test_what_is_wrong_is_found(changes, problem):
    assert any(problem in it for it in verdict(**changes).problems)


def test_a_loss_that_is_named_where_one_is_expected():
    lost = verdict(ALL[:2], gaps=[(JOURNAL, "routine", 2, 3)], expect=Expectation(gaps=True))
    assert lost.good, lost
    assert lost.gaps == 1  # what is named and stored all the same is not lost


def test_a_name_given_twice_is_kept_and_told():
    kept = Refused("conflict", cbor2.dumps({8: {"token": "t3"}}), 1)
    expect = Expectation(conflicts=True)
    found = verdict([*ALL[:2], event(3, "earlier")], 1, refused=[kept], expect=expect)
    assert found.good, found
    assert found.conflicts == 1
    elsewhere = kept._replace(reason="malformed")
    assert not verdict([*ALL[:2], event(3, "earlier")], 1, refused=[elsewhere], expect=expect).good
