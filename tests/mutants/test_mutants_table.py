"""The table of mutants fits the source of today. `make mutants` runs it; this only reads it."""

from __future__ import annotations

import pytest
from mutant import ROOT
from table import MUTANTS


def test_names_are_unique():
    names = [mutant.name for mutant in MUTANTS]
    assert len(set(names)) == len(names)
    assert len(names) >= 30


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_it_can_be_made(mutant):
    """The old text stands there once, the new text is Python, and says something else."""
    whole, faulty = (ROOT / mutant.path).read_text("utf-8"), mutant.mutated(ROOT)
    assert compile(faulty, str(mutant.path), "exec") != compile(whole, str(mutant.path), "exec")
    assert mutant.breaks
    assert not mutant.likely or (ROOT / "tests" / mutant.likely).exists()
