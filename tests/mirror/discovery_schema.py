"""What Home Assistant takes as a discovery message of a device, written from its documentation.

Sources: home-assistant.io/integrations/mqtt (device discovery payload, discovery topic,
availability), /sensor.mqtt, /binary_sensor.mqtt, /event.mqtt, /integrations/binary_sensor;
developers.home-assistant.io/docs/core/entity/sensor (device classes with their units, state
classes); which state classes a device class may have: DEVICE_CLASS_STATE_CLASSES in
home-assistant/core, components/sensor/const.py. It knows nothing of hearth.
"""

from __future__ import annotations

import json
import re

CONFIG_TOPIC = re.compile(r"[^/+#]+(/[^/+#]+)*/device/([a-zA-Z0-9_-]+/)?[a-zA-Z0-9_-]+/config")

_ENERGY = {
    "J",
    "kJ",
    "MJ",
    "GJ",
    "mWh",
    "Wh",
    "kWh",
    "MWh",
    "GWh",
    "TWh",
    "cal",
    "kcal",
    "Mcal",
    "Gcal",
}
_VOLUME = {"L", "mL", "gal", "fl. oz.", "m³", "ft³", "CCF", "MCF"}
_TEMPERATURE = {"°C", "°F", "K"}
_PRESSURE = {"cbar", "bar", "hPa", "mmHg", "inHg", "kPa", "mbar", "Pa", "psi", "mPa"}
SENSOR_UNITS: dict[str, set[str | None]] = {
    "apparent_power": {"mVA", "VA", "kVA"},
    "battery": {"%"},
    "carbon_dioxide": {"ppm"},
    "conductivity": {"S/cm", "mS/cm", "µS/cm"},
    "current": {"A", "mA"},
    "distance": {"km", "m", "cm", "mm", "mi", "nmi", "yd", "in"},
    "duration": {"d", "h", "min", "s", "ms", "µs"},
    "energy": _ENERGY,
    "energy_storage": _ENERGY,
    "frequency": {"mHz", "Hz", "kHz", "MHz", "GHz"},
    "gas": {"L", "m³", "ft³", "CCF", "MCF"},
    "humidity": {"%"},
    "illuminance": {"lx"},
    "moisture": {"%"},
    "pm10": {"µg/m³"},
    "pm25": {"µg/m³"},
    "power": {"mW", "W", "kW", "MW", "GW", "TW"},
    "power_factor": {"%", None},
    "pressure": _PRESSURE,
    "reactive_power": {"mvar", "var", "kvar"},
    "signal_strength": {"dB", "dBm"},
    "speed": {"ft/s", "in/d", "in/h", "in/s", "km/h", "kn", "m/s", "mph", "mm/d", "mm/s"},
    "temperature": _TEMPERATURE,
    "volatile_organic_compounds": {"µg/m³", "mg/m³"},
    "voltage": {"V", "mV", "µV", "kV", "MV"},
    "volume": _VOLUME,
    "volume_flow_rate": {"m³/h", "m³/min", "m³/s", "ft³/min", "L/h", "L/min", "L/s", "gal/d",
                         "gal/h", "gal/min", "mL/s"},
    "volume_storage": _VOLUME,
    "water": {"L", "gal", "m³", "ft³", "CCF", "MCF"},
    "weight": {"kg", "g", "mg", "µg", "oz", "lb", "st"},
}  # fmt: skip
_TOTALS = {"total", "total_increasing"}
_ANY = {"measurement", *_TOTALS}
# All others can only be measured.
STATE_CLASSES = {
    "distance": _ANY,
    "duration": _ANY,
    "energy": _TOTALS,
    "gas": _TOTALS,
    "volume": _TOTALS,
    "water": _TOTALS,
    "weight": _ANY,
}
BINARY_CLASSES = {
    "battery", "battery_charging", "carbon_monoxide", "cold", "connectivity", "door", "garage_door",
    "gas", "heat", "light", "lock", "moisture", "motion", "moving", "occupancy", "opening", "plug",
    "power", "presence", "problem", "running", "safety", "smoke", "sound", "tamper", "update",
    "vibration", "window",
}  # fmt: skip
EVENT_CLASSES = {"doorbell", "button", "motion"}

_ENTITY = {
    "platform", "name", "unique_id", "device_class", "entity_category", "state_topic",
    "availability", "availability_mode", "value_template", "icon", "qos",
}  # fmt: skip
_OWN = {
    "sensor": {"unit_of_measurement", "state_class", "suggested_display_precision", "options"},
    "binary_sensor": {"payload_on", "payload_off"},
    "event": {"event_types"},
}
_DEVICE = {
    "identifiers", "connections", "name", "manufacturer", "model", "model_id", "hw_version",
    "sw_version", "serial_number", "suggested_area", "via_device", "configuration_url",
}  # fmt: skip


def check(topic: str, payload: bytes) -> dict:
    """A discovery message, decoded; AssertionError with what Home Assistant would refuse."""
    assert CONFIG_TOPIC.fullmatch(topic), topic
    config = json.loads(payload)
    assert config.keys() <= {"device", "origin", "components", "qos", "availability", "state_topic"}
    device, origin = config["device"], config["origin"]
    assert device.keys() <= _DEVICE, device
    assert device["identifiers"], "one identifying value at least"
    assert all(isinstance(it, str) and it for it in device["identifiers"])
    assert isinstance(origin["name"], str)
    assert origin.keys() <= {"name", "sw_version", "support_url"}
    assert config.get("qos", 0) in {0, 1, 2}
    ids = [it["unique_id"] for it in config["components"].values()]
    assert len(ids) == len(set(ids))
    for name, component in config["components"].items():
        assert name
        _check_component(component)
    return config


def _check_component(it: dict) -> None:
    platform = it["platform"]
    assert it.keys() <= _ENTITY | _OWN[platform], it
    assert it["unique_id"]
    assert it["name"]
    for topic in [it["state_topic"], *(each["topic"] for each in it.get("availability", []))]:
        assert 0 < len(topic.encode()) <= 65_535
        assert not set(topic) & set("+#\0"), topic
    assert it.get("availability_mode", "latest") in {"all", "any", "latest"}
    assert it.get("entity_category", "diagnostic") == "diagnostic", "a sensor cannot be config"
    {"sensor": _sensor, "binary_sensor": _binary_sensor, "event": _event}[platform](it)


def _sensor(it: dict) -> None:
    device_class, unit = it.get("device_class"), it.get("unit_of_measurement")
    state_class = it.get("state_class")
    assert unit != "", "leave it out"
    if device_class is not None:
        assert unit in SENSOR_UNITS[device_class], it
        if state_class is not None:
            assert state_class in STATE_CLASSES.get(device_class, {"measurement"}), it
    assert state_class in {None, *_ANY}


def _binary_sensor(it: dict) -> None:
    assert it.get("device_class") in {None, *BINARY_CLASSES}, it
    assert it.get("payload_on", "ON") != it.get("payload_off", "OFF")


def _event(it: dict) -> None:
    assert it.get("device_class") in {None, *EVENT_CLASSES}, it
    assert it["event_types"]
    assert all(isinstance(each, str) for each in it["event_types"])


def check_state(it: dict, payload: bytes) -> None:
    """A state of a component: a number where it has a unit or a state class, else text."""
    text = payload.decode()
    if it["platform"] == "sensor":
        assert len(text) <= 255
        if it.get("state_class") or it.get("unit_of_measurement"):
            float(text)
    elif it["platform"] == "binary_sensor":
        assert text in {it.get("payload_on", "ON"), it.get("payload_off", "OFF")}
    else:
        assert json.loads(text)["event_type"] in it["event_types"]
