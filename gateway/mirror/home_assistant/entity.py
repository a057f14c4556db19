"""One entity of Home Assistant, as its discovery describes it."""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class Entity(msgspec.Struct, frozen=True, omit_defaults=True):
    """What it is. Its name, its topics and its unique id follow from its place."""

    platform: Literal["sensor", "binary_sensor", "event"]
    device_class: str = ""
    unit: str = ""
    state_class: str = ""
    event_types: tuple[str, ...] = ()
    diagnostic: bool = False
    always: bool = False  # known also while its device is offline

    def config(self) -> dict[str, Any]:
        """The keys of its component, except for its name, topics and ids."""
        keys: dict[str, Any] = {
            "platform": self.platform,
            "device_class": self.device_class,
            "unit_of_measurement": self.unit,
            "state_class": self.state_class,
            "event_types": list(self.event_types),
            "entity_category": "diagnostic" if self.diagnostic else "",
        }
        return {key: value for key, value in keys.items() if value}
