"""How long to wait before trying again: doubling, capped, with jitter.

Jitter (a uniform draw between half the ceiling and the ceiling) keeps a street of gateways from
coming back at the same instant after a power cut or a broker's restart.
"""

from __future__ import annotations

import random


class Backoff:
    """Delays that double from `first_s` to `cap_s`; each drawn between half and whole."""

    def __init__(self, first_s: float, cap_s: float, *, rng: random.Random | None = None) -> None:
        self._first_s = min(first_s, cap_s)
        self._cap_s = cap_s
        self._rng = rng or random.Random()  # noqa: S311 - spreads load, guards nothing
        self._ceiling_s = self._first_s

    def next_s(self) -> float:
        """The next delay in seconds."""
        ceiling_s = self._ceiling_s
        self._ceiling_s = min(ceiling_s * 2, self._cap_s)
        return self._rng.uniform(ceiling_s / 2, ceiling_s)

    def reset(self) -> None:
        """It worked: start from the shortest delay again."""
        self._ceiling_s = self._first_s
