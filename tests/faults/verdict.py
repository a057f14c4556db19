"""Judged: every confirmed event is stored once, with the same content, or named by a gap.

Nothing here imports the collector: what it says of itself (`hearth collect --check`) is one more
witness, and must say the same.
"""

from collections import Counter
from dataclasses import dataclass, field

from ledger import Confirmed, Fact, Ledger, Place, token_in


@dataclass
class Verdict:
    """What became of a story."""

    confirmed: int = 0
    stored: int = 0
    duplicates: int = 0  # refused by the collector, by its books
    gaps: int = 0  # confirmed events that are not stored, and named by a gap event
    conflicts: int = 0  # confirmed events whose name was taken; kept among the refused
    recovery_s: float | None = None
    note: str = ""
    diary: str = field(default="", repr=False)  # what the processes wrote to standard error
    problems: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not self.problems


@dataclass
class Expectation:
    """What a story means to happen beside the promise itself."""

    gaps: bool = False  # the journal has no room for all
    conflicts: bool = False  # names given twice: exposed by the books, which then do not pass
    strangers: bool = False  # journals of nobody's, whose books may say anything


def judge(
    confirmed: list[Confirmed], ledger: Ledger, check: tuple[int, list[dict]], expect: Expectation
) -> Verdict:
    """The verdict on what is in the database now; `check` is the exit code and the books."""
    stored, ours = ledger.facts(), {it.place.journal for it in confirmed}
    mine = [(place, fact) for place, fact in stored if place.journal in ours]
    verdict = Verdict(confirmed=len(confirmed), stored=len(mine))
    _content(verdict, confirmed, dict(mine), ledger)
    _once(verdict, mine)
    _books(verdict, mine, check, ours, expect)
    for what in ("gaps", "conflicts"):
        if bool(found := getattr(verdict, what)) != getattr(expect, what):
            verdict.problems.append(f"{found} {what}")
    return verdict


def _content(
    verdict: Verdict, confirmed: list[Confirmed], stored: dict[Place, Fact], ledger: Ledger
) -> None:
    named = ledger.gaps()
    kept = {token_in(it.payload) for it in ledger.refused() if it.reason == "conflict"}
    missing, other = [], []
    for it in confirmed:
        fact = stored.get(it.place)
        if fact == it.fact:
            continue
        if it.fact.token in kept:
            verdict.conflicts += 1
        elif fact is not None:
            other.append(it.place)
        elif _in_a_gap(it.place, named):
            verdict.gaps += 1
        else:
            missing.append(it.place)
    if missing:
        verdict.problems.append(f"{len(missing)} confirmed and missing, first {missing[0]}")
    if other:
        verdict.problems.append(f"{len(other)} stored with other content, first {other[0]}")


def _in_a_gap(place: Place, named: list[tuple[str, str, int, int]]) -> bool:
    return any(
        (journal, lane) == place[:2] and first <= place.seq <= last
        for journal, lane, first, last in named
    )


def _once(verdict: Verdict, stored: list[tuple[Place, Fact]]) -> None:
    places = Counter(place for place, _ in stored)
    tokens = Counter(fact.token for _, fact in stored if fact.token)
    twice = [it for it, times in [*places.items(), *tokens.items()] if times > 1]
    if twice:
        verdict.problems.append(f"{len(twice)} stored twice, first {twice[0]}")


def _books(
    verdict: Verdict,
    stored: list[tuple[Place, Fact]],
    check: tuple[int, list[dict]],
    ours: set[str],
    expect: Expectation,
) -> None:
    code, books = check
    mine = [book for book in books if book["journal"] in ours]
    verdict.duplicates = sum(book["duplicates"] for book in mine)
    counted = Counter((place.journal, place.lane) for place, _ in stored)
    for book in mine:
        if book["missing"] or not book["balanced"]:
            verdict.problems.append(f"the books do not balance: {book}")
        if book["stored"] != counted[book["journal"], book["lane"]]:
            verdict.problems.append(f"the books say {book['stored']} stored, counted otherwise")
    open_books = expect.conflicts or expect.strangers
    if (code != 0) != open_books:
        verdict.problems.append(f"hearth collect --check ended with {code}")
