"""Whether somebody should look after a gateway: it is quiet, or says that something is broken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collector.fleet import GatewayFacts


class Condition(msgspec.Struct, frozen=True):
    """One gateway at one moment."""

    facts: GatewayFacts
    silent_s: float | None  # since anything came of it; None if the store does not know when
    quiet: bool  # for longer than it ever is while all is well

    @property
    def needs_attention(self) -> bool:
        """Whether somebody should look."""
        return self.quiet or bool(self.facts.faults)


def condition_of(facts: GatewayFacts, now_ms: int) -> Condition:
    """How a gateway is now, by the collector's clock."""
    if not facts.heard_ms:
        return Condition(facts, None, quiet=True)
    silent_s = max(0.0, (now_ms - facts.heard_ms) / 1000)
    return Condition(facts, silent_s, silent_s > facts.quiet_after_s)


def conditions_of(fleet: Sequence[GatewayFacts], now_ms: int) -> list[Condition]:
    """Of a fleet; those that need attention first, the worst of them first."""
    return sorted((condition_of(it, now_ms) for it in fleet), key=_rank)


def _rank(it: Condition) -> tuple[bool, float, int, int, str]:
    """Quiet for longest; then most faults; then most devices offline; then by name."""
    since_ms = it.facts.heard_ms if it.quiet else 0
    return not it.quiet, since_ms, -len(it.facts.faults), -len(it.facts.offline), it.facts.gateway
