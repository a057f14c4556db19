"""Whether a batch goes packed: only where the collector says that it understands it.

The offer is retained at the broker, so it may outlive the collector that made it. A packed batch
whose acknowledgement is overdue is therefore sent again as it is, and nothing more is packed until
a batch that only ever went packed is acknowledged, or the offer comes again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.model import DEFLATE, Lane
from gateway.outstanding import State

if TYPE_CHECKING:
    from gateway.model import Offer
    from gateway.outstanding import Parcel

# Five readings; of less, the head of the packet is the most, and a call is smaller still.
LEAST_BYTES = 400


class Packing:
    """What was agreed in one session.

    Args:
        wanted: whether this gateway packs at all (`[uplink] compress`).
    """

    def __init__(self, *, wanted: bool) -> None:
        self._wanted = wanted
        self._understood = False

    def begin(self) -> None:
        """A new session: what was agreed in the last one is not known to hold."""
        self._understood = False

    def offered(self, offer: Offer) -> None:
        """A collector says what it understands."""
        self._understood = DEFLATE in offer.understands

    def packs(self, parcel: Parcel, lane: Lane, size: int) -> bool:
        """Whether a batch of so many bytes of events goes packed this time; noted on the parcel."""
        if parcel.packed and parcel.state is State.WAITING:  # nobody answered the packed one
            self._understood = False
        fresh = parcel.packed or not parcel.tries
        large = lane is Lane.ROUTINE and size >= LEAST_BYTES
        parcel.packed = self._wanted and self._understood and fresh and large
        return parcel.packed

    def acknowledged(self, parcel: Parcel) -> None:
        """A batch is stored over there; if it only ever went packed, packing is understood."""
        self._understood = self._understood or parcel.packed
