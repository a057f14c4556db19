"""Whose turn it is to be the selected meter.

All who are selected answer to one address, FD, and a selection ends that of the meter before. So
nobody else may select between one meter's selection and its last telegram.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.driver import Context


class Selection:
    """The one of a pair of wires; `turn` is held from a selection to the last telegram."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()

    async def close(self) -> None:
        """Nothing is open."""


def shared_selection(context: Context) -> Selection:
    """The one that this device and its neighbours on the bus share."""
    bus = context.bus.id if context.bus else context.device
    return context.shared(f"mbus:{bus}", Selection)
