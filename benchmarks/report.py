"""One figure: what was measured, what it is held against, and whether it holds."""

from __future__ import annotations

import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A measured value beside its limit. `better` says which side of the limit is good."""

    name: str
    value: float
    unit: str
    limit: float
    better: str = "less"  # or "more"
    note: str = ""

    @property
    def holds(self) -> bool:
        """Whether the value is on the good side of its limit."""
        return self.value <= self.limit if self.better == "less" else self.value >= self.limit

    def __str__(self) -> str:
        sign = "<=" if self.better == "less" else ">="
        verdict = "holds" if self.holds else "MISSED"
        held = f"{sign} {self.limit:<8.4g} {verdict}"
        line = f"{self.name:<52} {self.value:>10.4g} {self.unit:<12} {held}"
        return f"{line}  {self.note}" if self.note else line


def show(figures: list[Figure]) -> int:
    """Print them; how many missed their limit."""
    for figure in figures:
        print(figure, flush=True)
    return sum(not figure.holds for figure in figures)


def skip(name: str, reason: str) -> None:
    """Say what was not measured, and why."""
    print(f"{name:<52} {'skipped':>10}  {reason}", file=sys.stdout, flush=True)
