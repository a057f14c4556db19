"""Whether the band that answers at an address is the one that answered there before."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from gateway.errors import JournalError
from gateway.model import Kind, Observation
from gateway.strict import sayable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.driver import Context

KEY = "identity"
LASTING = ("manufacturer", "model", "serial")  # an update changes the firmware


async def compare_identity(context: Context, identity: Mapping[str, str]) -> None:
    """Tell, once, if another device answers than before.

    It may be a band that was repaired, or one that borrows an address: whose readings these are
    somebody must judge. They are told all the same, and so is its SOS.
    """
    names = " / ".join(identity[key] for key in LASTING if key in identity)
    known = context.notes.get(KEY)
    if not names or names == known:
        return
    with suppress(JournalError):  # then it is told at the next connection
        if known is not None:
            words = {"was": sayable(known), "is": sayable(names)}
            fault = Observation(Kind.FAULT, detail={"fault": KEY, "active": True, **words})
            await context.emit(fault)
        await context.notes.put({KEY: names})
