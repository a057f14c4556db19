"""Findings, short to look at."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.finding import Finding, Level

OK, WARNING, FAULT = Level.OK, Level.WARNING, Level.FAULT


def levels(findings: Iterable[Finding]) -> list[Level]:
    return [finding.level for finding in findings]


def only(findings: Iterable[Finding], level: Level, words: str) -> Finding:
    """The only finding; it is of this level and says these words, in Chinese something as well."""
    (finding,) = findings
    assert finding.level is level, finding
    assert words in finding.what.english, finding
    assert finding.what.chinese
    assert bool(finding.hint.english) == bool(finding.hint.chinese)
    return finding
