"""How much the journal writes, and how long a card lasts at that. Pure arithmetic."""

from __future__ import annotations

import msgspec

DAY_S = 86_400
YEAR_DAYS = 365
# What a card is assumed to stand, where its maker does not say: cheap flash is erased a few hundred
# times, and writes a whole page and more for each small write it is given. Both are on the careful
# side, and options of the command.
CYCLES = 300
AMPLIFICATION = 16


class Wear(msgspec.Struct, frozen=True):
    """Bytes that the journal wrote while it was open for some seconds."""

    bytes_written: int
    seconds_used: int

    @property
    def known(self) -> bool:
        """Whether it was watched long enough to say what a year will bring: a day."""
        return self.seconds_used >= DAY_S

    @property
    def bytes_a_day(self) -> float:
        """On average so far; 0 if not `known`."""
        return self.bytes_written / self.seconds_used * DAY_S if self.known else 0.0

    def life_years(self, card_bytes: int, cycles: int, amplification: float) -> float | None:
        """Years until a card of this size is worn out by the journal alone; None if not `known`.

        Args:
            card_bytes: size of the whole card, over which it spreads its writes.
            cycles: how often each of its blocks can be erased.
            amplification: bytes that the card writes inside for each byte it is given.
        """
        if not self.bytes_a_day:
            return None
        return card_bytes * cycles / (self.bytes_a_day * amplification * YEAR_DAYS)
