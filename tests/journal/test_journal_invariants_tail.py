"""I2, I3, I4 for the last 8 KiB that were written: any damage there costs what it hit, and says so.

Here a sample of the table; all of it is run by `make torture TORTURE="--kind tail"`.
"""

from __future__ import annotations

import random

import pytest
from rig import Rig
from tail_cases import FILLS, SECTORS, TAIL, Damage, Tail, make_tail, table, tail_case, tail_opened

from gateway.journal.format import BLOCK


@pytest.fixture
def tail(rig: Rig) -> Tail:
    return make_tail(rig, seed=11)


def _sample(seed: int, count: int, what: str = "") -> list[Damage]:
    return random.Random(seed).sample([case for case in table() if what in {"", case.what}], count)


def test_the_table_is_whole():
    cuts, flips, sectors = TAIL * len(FILLS), TAIL * 8, SECTORS * 4
    assert len(set(table())) == cuts + flips + sectors + SECTORS * (SECTORS - 1) // 2


def test_a_tail_is_what_the_table_takes_it_for(tail):
    """Full to the last byte, of several commits, over the remains of an earlier life."""
    assert (tail.records[0].start, tail.records[-1].end) == (BLOCK, BLOCK + TAIL)
    assert sum(record.synced is not None for record in tail.records) > 10
    assert sum(record.synced is None for record in tail.records) > 10
    assert len(tail.stale) == TAIL
    assert tail.stale.count(b"\x84\x1b") > 10


def test_a_bit_that_flipped(tail):
    rng = random.Random(1)
    for damage in _sample(1, 3000, "flip"):
        tail_case(tail, damage, rng)


def test_a_tail_that_ends_anywhere(tail):
    rng = random.Random(2)
    for damage in _sample(2, 3000, "cut"):
        tail_case(tail, damage, rng)


def test_a_sector_that_is_gone(tail):
    rng = random.Random(3)
    for damage in _sample(3, SECTORS * 4, "sector"):
        tail_case(tail, damage, rng)


def test_sectors_that_changed_places(tail):
    rng = random.Random(4)
    for damage in _sample(4, 120, "swap"):
        tail_case(tail, damage, rng)


@pytest.mark.parametrize("what", ["cut", "flip", "sector", "swap"])
def test_a_journal_opens_with_it(what, rig, tail):
    rng = random.Random(5)
    for damage in _sample(5, 60, what):
        tail_opened(rig, tail, damage, rng)
