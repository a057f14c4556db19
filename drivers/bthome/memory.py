"""What was told of a device, so that a repeated advertisement is not told again. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from gateway.model import Measurement, Scalar

# A device repeats one advertisement for seconds. BlueZ may tell of the repetitions with pauses
# between them, so the same packet id is the same event for a minute after it was last heard; not
# for ever, because there are 256 ids, and a button that always sends the same one must be heard.
SAME_PACKET_S = 60.0
# Without a packet id only the bytes are left to compare; bthome-ble takes 4 s, too.
SAME_BYTES_S = 4.0

# A value that does not change is told this often: proof enough that the sensor lives.
RETELL_S = 60.0


class Events:
    """The last message of a device in which something happened."""

    def __init__(self) -> None:
        self._last: Hashable = None
        self._heard_s = 0.0

    def is_new(self, packet: Hashable, same_s: float, now_s: float) -> bool:
        """Whether what happens in this message was not heard before.

        Args:
            packet: what is the same in a repetition.
            same_s: how long it stays the same, from when it was last heard.
            now_s: time, in seconds.
        """
        new = packet != self._last or now_s - self._heard_s >= same_s
        self._last, self._heard_s = packet, now_s
        return new


class Values:
    """The last value of each name, and when it was told."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[Scalar, float]] = {}

    def due(self, measurements: Sequence[Measurement], now_s: float) -> tuple[Measurement, ...]:
        """Those that changed, or were not told for RETELL_S. They count as told."""
        due = tuple(it for it in measurements if self._is_due(it, now_s))
        self._told |= {it.name: (it.value, now_s) for it in due}
        return due

    def _is_due(self, measurement: Measurement, now_s: float) -> bool:
        if measurement.name not in self._told:
            return True
        value, told_s = self._told[measurement.name]
        return value != measurement.value or now_s - told_s >= RETELL_S
