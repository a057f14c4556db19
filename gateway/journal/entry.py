"""One accepted event, from the append until it is stored at the far side."""

from __future__ import annotations


class Entry:
    """One accepted event on its way to the flash. Its seq is final once it is there."""

    __slots__ = ("claimed", "kind", "payload", "refused", "seq", "stored")

    def __init__(self, seq: int, kind: int, payload: bytes) -> None:
        self.seq = seq
        self.kind = kind
        self.payload = payload
        self.refused = False  # the flash did not take it when it was tried
        self.claimed = False  # it travels from memory
        self.stored = False  # and got to the far side that way
