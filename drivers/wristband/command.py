"""What is written to a band."""

from __future__ import annotations

from typing import NamedTuple


class Command(NamedTuple):
    """A write to the band."""

    uuid: str
    data: bytes
