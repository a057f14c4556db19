"""Whether a batch goes packed: only where the collector says that it understands it.

The offer is retained at the broker, so it may outlive the collector that made it. A packed batch
that went after the offer and whose acknowledgement is overdue is therefore sent again as it is, and
nothing more is packed for a while: until a batch that only ever went packed is acknowledged, or the
offer comes again.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from gateway.forwarding.outstanding import State
from gateway.model import DEFLATE, Lane

if TYPE_CHECKING:
    from gateway.forwarding.outstanding import Parcel
    from gateway.model import Offer

# Four readings; of less, the head of the packet is the most, and a call is smaller still.
LEAST_BYTES = 400
# How much larger a batch may be that goes packed: each costs both sides a millisecond, whatever is
# in it. Readings of a home get six times smaller, but a call waits at the collector while the batch
# in hand is judged and stored (docs/measurements.md).
TIMES_SMALLER = 2
# A collector that was only slow is not a reason to pay for unpacked batches for ever.
DOUBT_S = 600.0


class Packing:
    """What was agreed.

    Args:
        wanted: whether this gateway packs at all (`[uplink] compress`).
    """

    def __init__(self, *, wanted: bool) -> None:
        self._wanted = wanted
        self._understood = False
        self._offers = 0  # how many were heard; the name of the last one
        self._doubted_until_s = -inf

    def begin(self) -> None:
        """A new session: what was agreed in the last one is not known to hold."""
        self._understood = False

    def offered(self, offer: Offer) -> None:
        """A collector says what it understands."""
        self._offers += 1
        self._understood = DEFLATE in offer.understands
        self._doubted_until_s = -inf

    def agreed(self, now_s: float) -> bool:
        """Whether large routine batches go packed now."""
        return self._wanted and self._understood and now_s >= self._doubted_until_s

    def packs(self, parcel: Parcel, lane: Lane, size: int, now_s: float) -> bool:
        """Whether a batch of so many bytes of events goes packed this time; noted on the parcel."""
        if parcel.packed and parcel.packed == self._offers and parcel.state is State.WAITING:
            self._doubted_until_s = now_s + DOUBT_S  # who offered it was there, and did not answer
        fresh = bool(parcel.packed) or not parcel.tries
        large = lane is Lane.ROUTINE and size >= LEAST_BYTES
        packs = self.agreed(now_s) and fresh and large
        parcel.packed = self._offers if packs else 0
        return packs

    def acknowledged(self, parcel: Parcel) -> None:
        """A batch is stored over there; if it only ever went packed, packing is understood."""
        if parcel.packed:
            self._doubted_until_s = -inf
