"""What one value of a characteristic tells, whatever the characteristic."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from gateway.model import Measurement, Scalar


class Reading(msgspec.Struct, frozen=True):
    """Measurements that may be believed; none, if the device itself does not believe them.

    `contact` is whether the sensor touches the skin: None if the device does not say. `detail` is
    what else it says about the measurements (where taken, when, by its own clock). `sos` is that
    the wearer signalled an emergency.
    """

    measurements: tuple[Measurement, ...] = ()
    contact: bool | None = None
    detail: dict[str, Scalar] = {}
    sos: bool = False
