"""What Home Assistant is told of one home."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from gateway.mirror.home_assistant.appearance import (
    CALL,
    CALL_ENTITY,
    CALLS,
    CALLS_ENTITY,
    CONNECTION,
    CONNECTION_ENTITY,
    OFF,
    ON,
    Appearance,
    appearances,
    event_of,
    known_before,
)
from gateway.mirror.home_assistant.discovery import GATEWAY, Discovery
from gateway.mirror.home_assistant.kept import Known
from gateway.mirror.outgoing import OFFLINE, ONLINE, Outgoing
from gateway.model import CALL_ENDED, Kind
from gateway.settings import DeviceSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from gateway.mirror.home_assistant.entity import Entity
    from gateway.mirror.home_assistant.kept import Kept
    from gateway.mirror.home_assistant.names import Language
    from gateway.model import Event


class Answer(NamedTuple):
    """What an event brings: descriptions, which go first, then states."""

    configs: list[Outgoing]
    states: list[Outgoing]


class HomeAssistant:
    """Knows the entities of every device; what it returns is for the mirror to publish."""

    def __init__(
        self,
        gateway: str,
        prefix: str,
        devices: Sequence[DeviceSettings],
        kept: Kept,
        *,
        language: Language,
        is_online: Callable[[str], bool],
        calls: Callable[[], Iterable[Mapping[str, Any]]],
    ) -> None:
        """A home.

        Args:
            gateway: its id.
            prefix: of the topics on which Home Assistant listens for discovery.
            devices: those of the configuration.
            kept: what an earlier run announced.
            language: of the names of entities.
            is_online: whether a device answers now.
            calls: those that are known now, as `CallDesk.snapshot` has them.
        """
        self._discovery = Discovery(gateway, prefix, language)
        self._devices = {it.id: it for it in devices}
        self._kept = kept
        self._is_online = is_online
        self._known_calls = calls
        self._calls: dict[str, set[str]] = {}  # that are open, by device
        self._states: dict[str, Outgoing] = {}  # the last of each topic that holds one
        for name in set(kept.devices) - {*self._devices, GATEWAY}:
            del kept.devices[name]
        for device in devices:
            self._expect(device)
        kept.devices.setdefault(GATEWAY, Known(GATEWAY))
        self._learn(GATEWAY, CONNECTION, CONNECTION_ENTITY)
        self._learn(GATEWAY, CALLS, CALLS_ENTITY)

    # --- everything, for a broker that knows nothing ----------------------------------------------

    def everything(self) -> Answer:
        """All descriptions, whether each device is there, its states, and whether somebody calls.

        Asked for whenever a session begins: events may have been dropped since the last one, and
        the broker may have come back with what it had on its disk half an hour ago.
        """
        self._calls = {it: set() for it in self._devices}
        for call in self._known_calls():
            is_open = call["state"] not in CALL_ENDED and not call.get("test")
            if is_open and call["device"] in self._calls:
                self._calls[call["device"]].add(call["call"])
        states = [self._availability(name, online=self._is_online(name)) for name in self._devices]
        states += [self._call(name) for name in self._devices if self._has(name, CALL)]
        return Answer(self.descriptions(), [*states, *self._states.values()])

    def descriptions(self) -> list[Outgoing]:
        """Of every device."""
        return [self._config(name) for name in self._kept.devices]

    def topics(self) -> set[str]:
        """Where something of this home is retained."""
        found = {self._discovery.availability(name) for name in self._devices}
        for name, known in self._kept.devices.items():
            found.add(self._discovery.topic(name))
            found |= {
                self._discovery.state(name, place)
                for place, entity in known.entities.items()
                if entity.platform != "event" and place != CONNECTION
            }
        return found

    # --- one event --------------------------------------------------------------------------------

    def answer(self, event: Event) -> Answer:
        """What an event changes."""
        name = event.device if event.device in self._devices else GATEWAY
        device = self._devices.get(name, _ITSELF)
        seen = [*appearances(event, device), *self._called(event, name)]
        new = [self._learn(name, it.place, it.entity) for it in seen]
        states = [self._state(name, it) for it in seen if it.state is not None]
        self._states |= {it.topic: it for it in states if it.retain}
        if event.kind in {Kind.CALL, Kind.CALL_STATE} and name != GATEWAY and self._has(name, CALL):
            self._follow(event, name)
            states.append(self._call(name))
        if event.kind is Kind.DEVICE and name in self._devices:
            states.append(self._availability(name, online=event.detail.get("state") == "online"))
        return Answer([self._config(name)] if any(new) else [], states)

    def _called(self, event: Event, name: str) -> Iterator[Appearance]:
        if event.kind is not Kind.CALL:
            return
        told = {"call": event.detail.get("call"), "cause": event.detail.get("cause")}
        test = bool(event.detail.get("test"))
        payload = event_of("test" if test else "call", **told)
        yield Appearance(CALLS, CALLS_ENTITY, payload, retain=False)
        if not test and name != GATEWAY:
            self._calls.setdefault(name, set()).add(str(event.detail.get("call")))
            yield Appearance(CALL, CALL_ENTITY)

    def _follow(self, event: Event, name: str) -> None:
        if event.detail.get("state") in CALL_ENDED:
            self._calls.get(name, set()).discard(str(event.detail.get("call")))

    def _call(self, name: str) -> Outgoing:
        state = ON if self._calls.get(name) else OFF
        return self._state(name, Appearance(CALL, CALL_ENTITY, state))

    def _state(self, name: str, it: Appearance) -> Outgoing:
        topic = self._discovery.state(name, it.place)
        return Outgoing(topic, (it.state or "").encode(), it.retain)

    def _availability(self, name: str, *, online: bool) -> Outgoing:
        topic = self._discovery.availability(name)
        return Outgoing(topic, ONLINE if online else OFFLINE, retain=True)

    def _config(self, name: str) -> Outgoing:
        entities = self._kept.devices[name].entities
        return self._discovery.config(name, self._devices.get(name), entities)

    # --- entities ---------------------------------------------------------------------------------

    def _expect(self, device: DeviceSettings) -> None:
        """What is known of a device before it tells anything; one of another kind begins anew."""
        kind = f"{device.driver} {device.options.get('kind', '')}".rstrip()
        if device.id not in self._kept.devices or self._kept.devices[device.id].kind != kind:
            self._kept.devices[device.id] = Known(kind)
        for it in known_before(device):
            if self._learn(device.id, it.place, it.entity) and it.state is not None:
                state = self._state(device.id, it)
                self._states[state.topic] = state

    def _learn(self, name: str, place: str, entity: Entity) -> bool:
        """Remember an entity; whether it is new, or is another than it was."""
        entities = self._kept.devices[name].entities
        if entities.get(place) == entity:
            return False
        entities.pop(place, None)
        entities[place] = entity  # the last: it is new
        return True

    def _has(self, name: str, place: str) -> bool:
        return place in self._kept.devices[name].entities


# Whose settings are asked where an event is of the gateway itself.
_ITSELF = DeviceSettings(GATEWAY, GATEWAY)
