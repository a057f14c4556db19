"""How a device is described to Home Assistant, and where its states are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from gateway import __version__
from gateway.mirror.home_assistant.appearance import CONNECTION
from gateway.mirror.home_assistant.names import name_of
from gateway.mirror.outgoing import OFFLINE, ONLINE, Outgoing, state_topic, status_topic

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.mirror.home_assistant.entity import Entity
    from gateway.mirror.home_assistant.names import Language
    from gateway.settings import DeviceSettings

GATEWAY = "gateway"  # hearth itself; what the journal tells is told of it, too


class Discovery:
    """Of one gateway: its topics, and its descriptions of devices."""

    def __init__(self, gateway: str, prefix: str, language: Language) -> None:
        """Of a gateway.

        Args:
            gateway: its id.
            prefix: of the topics on which Home Assistant listens for discovery.
            language: of the names.
        """
        self._gateway = gateway
        self._prefix = prefix
        self._language: Language = language

    def state(self, name: str, place: str) -> str:
        """The topic of a state of a device."""
        return state_topic(self._gateway, name, place)

    def availability(self, name: str) -> str:
        """The topic on which a device is said to answer, or not."""
        return self.state(name, "availability")

    def topic(self, name: str) -> str:
        """The topic of the description of a device."""
        node, device = _identifying(self._gateway), _identifying(name)
        return f"{self._prefix}/device/{node}/{device}/config"

    def config(
        self, name: str, device: DeviceSettings | None, entities: Mapping[str, Entity]
    ) -> Outgoing:
        """The description of a device, in which the newest entity comes first.

        Home Assistant (2024.12 to 2026.2) leaves a description at the first entity that it is still
        busy with, and never comes back to what stands behind it.

        Args:
            name: its id.
            device: its settings; None for the gateway itself.
            entities: what it has, by place; the newest is the last.
        """
        components = {
            place.replace("/", "_"): self._component(name, place, entity)
            for place, entity in reversed([*entities.items()])
        }
        payload = {
            "device": self._about(name, device),
            "origin": {"name": "hearth", "sw_version": __version__},
            "qos": 1,
            "components": components,
        }
        return Outgoing(self.topic(name), msgspec.json.encode(payload), retain=True)

    def _about(self, name: str, device: DeviceSettings | None) -> dict[str, Any]:
        about: dict[str, Any] = {"identifiers": [self._identifier(name)]}
        if device is None:
            return about | {"name": self._gateway, "model": "hearth", "sw_version": __version__}
        about |= {"name": name, "model": device.driver, "via_device": self._identifier(GATEWAY)}
        return about | {"suggested_area": device.room} if device.room else about

    def _component(self, name: str, place: str, entity: Entity) -> dict[str, Any]:
        keys = entity.config()
        keys["name"] = name_of(place, entity.device_class, self._language)
        keys["unique_id"] = f"{self._identifier(name)}/{place}"
        keys["state_topic"] = self.state(name, place)
        status = status_topic(self._gateway)
        needs = [status]
        if place == CONNECTION:
            keys |= {"payload_on": ONLINE.decode(), "payload_off": OFFLINE.decode()}
            keys["state_topic"] = status if name == GATEWAY else self.availability(name)
            needs = [] if name == GATEWAY else needs  # it says itself that it is gone
        elif name != GATEWAY and not entity.always:
            needs.append(self.availability(name))
        if needs:
            keys |= {"availability": [{"topic": it} for it in needs], "availability_mode": "all"}
        return keys

    def _identifier(self, name: str) -> str:
        return f"hearth/{self._gateway}/{name}"


def _identifying(name: str) -> str:
    """A name as discovery's topic takes it: letters, digits, `_`, `-`. No two become the same."""
    return name.replace("_", "__").replace(".", "_-")
