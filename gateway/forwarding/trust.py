"""Whose acknowledgements free events.

Whoever may publish on a gateway's topics, or owns its broker, could say that events are stored
which nobody has: the gateway would forget them, and tell a person on the floor that somebody knows.
With `ack_keys`, only the word of who has the private half of one of them counts. Others are
refused, and the events stay. Without, the broker's rules of access are all there is.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gateway.model import Kind, Observation
from gateway.recorder import try_to
from gateway.signing.signature import ACKNOWLEDGEMENT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.model import Scalar, Signed
    from gateway.signing.signature import PublicKey

# A collector that comes back with its key, or a forger who pauses: told as over after so long
# without a word that was refused.
QUIET_S = 600.0
_REASON = "not signed with a key of ack_keys; does hearth collect have its --ack-key?"


class Trust:
    """Judges signatures, and tells when one was refused, and when that is over.

    Args:
        keys: whose word counts; if there are none, nobody's.
        tell: takes the event.
    """

    def __init__(self, keys: Sequence[PublicKey], tell: Callable[[Observation], object]) -> None:
        self._keys = keys
        self._tell = tell
        self._refused_at_s: float | None = None

    def believes(self, signed: Signed) -> bool:
        """Whether this acknowledgement is the word of somebody who counts."""
        good = bool(signed.signature) and any(
            key.verifies(ACKNOWLEDGEMENT, signed) for key in self._keys
        )
        self._note(time.monotonic(), good=good)
        return good

    def _note(self, now_s: float, *, good: bool) -> None:
        if not good:
            if self._refused_at_s is None:
                self._report(active=True)
            self._refused_at_s = now_s
        elif self._refused_at_s is not None and now_s - self._refused_at_s >= QUIET_S:
            self._report(active=False)
            self._refused_at_s = None

    def _report(self, *, active: bool) -> None:
        detail: dict[str, Scalar] = {"fault": "untrusted_acknowledgements", "active": active}
        if active:
            detail["reason"] = _REASON
        try_to(self._tell, Observation(Kind.FAULT, detail=detail))
