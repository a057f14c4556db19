"""What of an event becomes a state of an entity: which entity, and the state as text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from gateway.mirror.home_assistant.entity import Entity
from gateway.mirror.home_assistant.quantities import INVERTED, quantity_of, truth_class_of
from gateway.mirror.outgoing import place_of
from gateway.model import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.model import Event, Measurement
    from gateway.settings import DeviceSettings

ON, OFF = "ON", "OFF"
MAX_STATE = 255  # characters; Home Assistant refuses longer states
DECIMALS = 6  # below what any meter shows, above what a float makes up

_FLOAT_EXACT = 2**53  # from there on a float has no digits behind the point

# Ways to press, in BTHome's words; one that is new there is "other".
PRESSES = (
    "press", "double", "triple", "long", "long_double", "long_triple", "hold", "other",
)  # fmt: skip
_PRESS = re.compile(r"button(_\d+)?\Z")

_ALARMS = {"smoke": "smoke", "gas": "gas", "heat": "heat", "water": "moisture"}
_DIAGNOSTIC = re.compile(r"(backlog_\w+|battery\w*|charging|clock|rssi|serial|signal|status)\Z")
# Told by hearth itself of a band, also while the band is not there.
_ALWAYS = frozenset({"presence"})

CALL = "call"  # whether a call of this device is open
CALLS = "calls"  # each time somebody calls
CONNECTION = "connection"

CALL_ENTITY = Entity("binary_sensor", device_class="safety", always=True)
CALLS_ENTITY = Entity("event", device_class="button", event_types=("call", "test"), always=True)
CONNECTION_ENTITY = Entity(
    "binary_sensor", device_class="connectivity", diagnostic=True, always=True
)


class Appearance(NamedTuple):
    """An entity, its place within the device, and its state; None if that is not known yet."""

    place: str
    entity: Entity
    state: str | None = None
    retain: bool = True


def known_before(device: DeviceSettings) -> Iterator[Appearance]:
    """What a device will have, before it told anything, and how that is the first time."""
    yield Appearance(CONNECTION, CONNECTION_ENTITY)
    if device.driver in {"button", "wristband"} or (
        device.driver == "bthome" and device.options.get("call_on") != []
    ):
        yield Appearance(CALL, CALL_ENTITY)
        yield Appearance(CALLS, CALLS_ENTITY)
    kind = str(device.options.get("kind", "")) if device.driver == "contact" else ""
    if kind in _ALARMS:
        # A detector tells its first alarm, and none is told that there was none (drivers/contact/).
        yield Appearance(place_of("alarm", kind), _alarm(kind), OFF)
    elif kind:
        yield Appearance(place_of("measurement", "open"), _opening(kind))


def appearances(event: Event, device: DeviceSettings) -> Iterator[Appearance]:
    """What an event says of its device."""
    if not event.detail.get("stored"):  # what a band kept for hours is not how it is now
        for it in {it.name: it for it in event.measurements}.values():  # the last of each name
            yield _measured(it, device)
    if event.kind is Kind.ALARM:
        yield from _alarmed(event)
    elif event.kind is Kind.FAULT and isinstance(event.detail.get("active"), bool):
        yield _faulty(event)


def _measured(it: Measurement, device: DeviceSettings) -> Appearance:
    if device.driver == "bthome":
        if _PRESS.match(it.name):
            press = str(it.value) if it.value in PRESSES else "other"
            return _happened(it.name, press, PRESSES)
        if it.name == "dimmer":
            return _happened(it.name, "turned", ("turned",), steps=it.value)
    place = place_of("measurement", it.name)
    diagnostic = bool(_DIAGNOSTIC.match(it.name))
    always = it.name in _ALWAYS
    if isinstance(it.value, bool):
        if it.name == "open" and device.driver == "contact":
            entity = _opening(str(device.options.get("kind", "")))
        else:
            device_class = truth_class_of(it.name)
            entity = Entity("binary_sensor", device_class, diagnostic=diagnostic)
        return Appearance(place, entity, _truth(it.value is not (it.name in INVERTED)))
    if isinstance(it.value, str):
        entity = Entity("sensor", diagnostic=diagnostic, always=always)
        return Appearance(place, entity, it.value[:MAX_STATE])
    quantity = quantity_of(it.name, it.unit, device.driver)
    entity = Entity(
        "sensor",
        quantity.device_class,
        quantity.unit,
        quantity.state_class,
        diagnostic=diagnostic,
        always=always,
    )
    return Appearance(place, entity, _number(it.value * quantity.factor))


def _happened(name: str, event_type: str, types: tuple[str, ...], **more: object) -> Appearance:
    entity = Entity("event", "button", event_types=types)
    if name == "dimmer":
        entity = msgspec.structs.replace(entity, device_class="")
    return Appearance(place_of("press", name), entity, event_of(event_type, **more), retain=False)


def event_of(event_type: str, **more: object) -> str:
    """The payload of an event entity."""
    return msgspec.json.encode({"event_type": event_type, **more}).decode()


def _alarmed(event: Event) -> Iterator[Appearance]:
    """A test rings nowhere: it is seen among the events."""
    kind, contact = str(event.detail.get("alarm", "")), str(event.detail.get("contact", ""))
    if kind and not event.detail.get("test"):
        place = place_of("alarm", kind, *([contact] if contact else ()))
        yield Appearance(place, _alarm(kind), _truth(event.detail.get("active")))


def _alarm(kind: str) -> Entity:
    return Entity("binary_sensor", device_class=_ALARMS.get(kind, "safety"))


def _opening(kind: str) -> Entity:
    known = kind if kind in {"door", "window"} else "opening"
    return Entity("binary_sensor", device_class=known)


def _faulty(event: Event) -> Appearance:
    fault, more = str(event.detail.get("fault", "")), str(event.detail.get("characteristic", ""))
    place = place_of("fault", fault, *([more] if more else ()))
    entity = Entity("binary_sensor", "problem", diagnostic=True, always=True)
    return Appearance(place, entity, _truth(event.detail["active"]))


def _truth(value: object) -> str:
    return ON if value else OFF


def _number(value: float) -> str:
    """As few digits as it has; `-0` is 0."""
    if abs(value) >= _FLOAT_EXACT:
        return repr(float(value))
    text = f"{round(value, DECIMALS) + 0.0:.{DECIMALS}f}"
    return text.rstrip("0").rstrip(".")
