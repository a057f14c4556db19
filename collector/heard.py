"""When a gateway was heard last, and whether it has gone quiet.

A gateway says twice in `[supervision] quiet_after` that it is alive, and how long that is: an event
`gateway` with `state` "alive" and `quiet_after_s`. Whatever comes of it counts as a sign of life.
"""

from __future__ import annotations

import msgspec

from gateway.settings import SupervisionSettings

# What counts for a gateway that never said it, because it is an older one.
DEFAULT_QUIET_AFTER_S = SupervisionSettings().quiet_after


class Heard(msgspec.Struct, frozen=True):
    """One gateway."""

    gateway: str
    heard_ms: int  # since 1970 UTC, by the collector's clock; 0 if an older store did not know it
    quiet_after_s: float = DEFAULT_QUIET_AFTER_S

    def silent_s(self, now_ms: int) -> float:
        """How long nothing came of it."""
        return (now_ms - self.heard_ms) / 1000

    def is_quiet(self, now_ms: int) -> bool:
        """Whether that is longer than it ever is while all is well."""
        return self.silent_s(now_ms) > self.quiet_after_s


def quiet_after_of(told: object) -> float:
    """What a gateway said; anything else than a time is not believed."""
    if isinstance(told, int | float) and not isinstance(told, bool) and told > 0:
        return float(told)
    return DEFAULT_QUIET_AFTER_S
