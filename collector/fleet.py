"""How each gateway of a fleet is, worked out of the newest word on each matter.

A gateway may have several journals: an older one of a card that was replaced, one in memory of a
card that refuses. The one that was heard last is the newest; where it says nothing, the next does.

What was wrong before a gateway started is over, or it says so again: a start forgets it.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from gateway.codec import MAX_SEQ
from gateway.settings import SupervisionSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# What counts for a gateway that never said it, because it is an older one.
DEFAULT_QUIET_AFTER_S = SupervisionSettings().quiet_after
_GONE = frozenset({"offline", "failed"})


class GatewayFacts(msgspec.Struct, frozen=True):
    """One gateway. It is alive twice in `quiet_after_s`, by its own word; whatever comes counts."""

    gateway: str
    journals: int
    heard_ms: int  # since 1970 UTC, by the collector's clock; 0 if an older store did not know it
    quiet_after_s: float = DEFAULT_QUIET_AFTER_S
    clock: str = "unknown"  # or "anchored", "synchronised": of the last word about itself
    version: str = ""  # of hearth, as it said when it started; empty if it did not
    backlog_urgent: int | None = None  # events, as it said when it was alive last
    backlog_routine: int | None = None
    faults: tuple[tuple[str, str], ...] = ()  # device, fault: those that are not over
    offline: tuple[str, ...] = ()  # devices that are offline or failed


class Owner(NamedTuple):
    """Whose journal it is, and when it was heard last."""

    gateway: str
    journal: str
    heard_ms: int


class Word(NamedTuple):
    """The newest event on one matter in one journal."""

    journal: str
    seq: int
    kind: str
    device: str
    topic: str
    time_quality: str
    body: str  # JSON


def facts_of(owners: Iterable[Owner], words: Iterable[Word]) -> list[GatewayFacts]:
    """The facts of each gateway, ordered by gateway."""
    journals: dict[str, list[Owner]] = defaultdict(list)
    for owner in owners:
        journals[owner.gateway].append(owner)
    said: dict[str, list[Word]] = defaultdict(list)
    for word in words:
        said[word.journal].append(word)
    return [_facts(gateway, owned, said) for gateway, owned in sorted(journals.items())]


def _facts(gateway: str, owned: list[Owner], said: dict[str, list[Word]]) -> GatewayFacts:
    """Words are told from the oldest journal to the newest: who speaks last is believed."""
    owned = sorted(owned, key=lambda it: (it.heard_ms, it.journal))
    ordered = [word for it in owned for word in sorted(said[it.journal], key=lambda word: word.seq)]
    own = [word for word in ordered if word.kind == "gateway"]
    started = _last(own, "started")
    since = ordered[ordered.index(started) :] if started else ordered
    newest = {(word.kind, word.device, word.topic): word for word in since}
    alive = _last(own, "alive")
    return GatewayFacts(
        gateway=gateway,
        journals=len(owned),
        heard_ms=owned[-1].heard_ms,
        quiet_after_s=_quiet_after_s(_detail(alive).get("quiet_after_s")),
        clock=own[-1].time_quality if own else "unknown",
        version=_text(_detail(started).get("version")),
        backlog_urgent=_count(alive, "backlog_urgent"),
        backlog_routine=_count(alive, "backlog_routine"),
        faults=tuple(sorted(_faults(newest.values()))),
        offline=tuple(sorted(_offline(newest.values()))),
    )


def _last(words: Sequence[Word], topic: str) -> Word | None:
    return next((word for word in reversed(words) if word.topic == topic), None)


def _faults(words: Iterable[Word]) -> Iterable[tuple[str, str]]:
    for word in words:
        if word.kind == "fault" and _detail(word).get("active") is True:
            yield word.device, word.topic


def _offline(words: Iterable[Word]) -> Iterable[str]:
    for word in words:
        if word.kind == "device" and _detail(word).get("state") in _GONE:
            yield word.device


def _detail(word: Word | None) -> dict[str, Any]:
    detail: dict[str, Any] = _body(word).get("detail", {})
    return detail


def _body(word: Word | None) -> dict[str, Any]:
    body: dict[str, Any] = msgspec.json.decode(word.body) if word else {}
    return body


def _quiet_after_s(told: object) -> float:
    """Anything else than a time is not believed."""
    if isinstance(told, int | float) and not isinstance(told, bool) and told > 0:
        return float(told)
    return DEFAULT_QUIET_AFTER_S


def _text(told: object) -> str:
    return told if isinstance(told, str) else ""


def _count(word: Word | None, name: str) -> int | None:
    """A measurement that is a number of things; anything else is not believed."""
    for record in _body(word).get("measurements", []):
        value = record.get("v")
        if record.get("n") == name and isinstance(value, int) and 0 <= value <= MAX_SEQ:
            return value
    return None
