"""How measurements look in Home Assistant: SenML's units become those that its classes take."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

MEASUREMENT, TOTAL, INCREASING = "measurement", "total", "total_increasing"


class Quantity(NamedTuple):
    """A number: device class, unit there, what one SenML unit is in that, and state class."""

    device_class: str = ""
    unit: str = ""
    factor: float = 1.0
    state_class: str = MEASUREMENT


_PER_HOUR = 3600.0
_KWH_PER_J = 1 / 3_600_000
_KCAL_PER_J = 1 / 4184  # thermochemical, as bands count
_UG_PER_KG = 1e9

_UNITS = {
    "%": Quantity("", "%"),
    "%EL": Quantity("battery", "%"),
    "%RH": Quantity("humidity", "%"),
    "1/min": Quantity("", "1/min"),
    "A": Quantity("current", "A"),
    "Cel": Quantity("temperature", "°C"),
    "Hz": Quantity("frequency", "Hz"),
    "J": Quantity("energy", "kWh", _KWH_PER_J, INCREASING),
    "K": Quantity("", "K"),
    "Pa": Quantity("pressure", "Pa"),
    "S/m": Quantity("conductivity", "µS/cm", 10_000.0),
    "V": Quantity("voltage", "V"),
    "VA": Quantity("apparent_power", "VA"),
    "W": Quantity("power", "W"),
    "beat/min": Quantity("", "bpm"),
    "dBm": Quantity("signal_strength", "dBm"),
    "deg": Quantity("", "°"),
    "kg": Quantity("weight", "kg"),
    "kg/m3": Quantity("", "µg/m³", _UG_PER_KG),
    "kg/s": Quantity("", "kg/h", _PER_HOUR),
    "lat": Quantity("", "°"),
    "lon": Quantity("", "°"),
    "lx": Quantity("illuminance", "lx"),
    "m": Quantity("distance", "m"),
    "m/s": Quantity("speed", "m/s"),
    "m/s2": Quantity("", "m/s²"),
    "m3": Quantity("volume", "m³", 1.0, INCREASING),
    "m3/s": Quantity("volume_flow_rate", "m³/h", _PER_HOUR),
    "rad": Quantity("", "°", 180 / math.pi),
    "s": Quantity("duration", "s"),
    "var": Quantity("reactive_power", "var"),
}

_PURE = frozenset({"count", "/"})  # SenML's ways to write a number without a unit

# By name, whatever the unit says.
_NAMES = {
    "co2": Quantity("carbon_dioxide", "ppm", 1e6),
    "gas": Quantity("gas", "m³", 1.0, INCREASING),
    "moisture": Quantity("moisture", "%"),
    "pm10": Quantity("pm10", "µg/m³", _UG_PER_KG),
    "pm2_5": Quantity("pm25", "µg/m³", _UG_PER_KG),
    "power_factor": Quantity("power_factor"),
    "steps": Quantity("", "steps", 1.0, INCREASING),
    "tvoc": Quantity("volatile_organic_compounds", "µg/m³", _UG_PER_KG),
    "volume_stored": Quantity("volume_storage", "m³"),
    "water": Quantity("water", "m³", 1.0, INCREASING),
}

# Where a name alone says too little. What hangs on a bus and counts m3 is a water meter to hearth
# (drivers/water/); what a band counts starts anew every day, and is no bill for electricity.
_BUS_DRIVERS = frozenset({"cjt188", "mbus", "modbus"})
_OF_BAND = {
    "distance": Quantity("distance", "m", 1.0, INCREASING),
    "energy": Quantity("", "kcal", _KCAL_PER_J, INCREASING),
}
_OF_BEACON = {"volume": Quantity("volume", "m³", 1.0, TOTAL)}

# A counter that goes on counting: not what it was at the end of a month, nor what an hour used.
_COUNTER = re.compile(
    r"(volume|water|gas|energy|steps|distance)(_(forward|reverse|import|export|total|[utl]?\d+))*\Z"
)

_TRUTHS = {
    "battery_charging": "battery_charging",
    "battery_low": "battery",
    "carbon_monoxide": "carbon_monoxide",
    "charging": "battery_charging",
    "cold": "cold",
    "connectivity": "connectivity",
    "door": "door",
    "garage_door": "garage_door",
    "gas_detected": "gas",
    "heat": "heat",
    "leak": "moisture",
    "light": "light",
    "lock": "lock",
    "moisture_detected": "moisture",
    "motion": "motion",
    "moving": "moving",
    "occupancy": "occupancy",
    "open": "opening",
    "opening": "opening",
    "pipe_empty": "problem",
    "plug": "plug",
    "power_on": "power",
    "presence": "presence",
    "problem": "problem",
    "running": "running",
    "safety": "safety",
    "smoke": "smoke",
    "sound": "sound",
    "tamper": "tamper",
    "valve_fault": "problem",
    "vibration": "vibration",
    "window": "window",
}
# Here true is safe, there on is unsafe.
INVERTED = frozenset({"safety"})


def quantity_of(name: str, unit: str, driver: str) -> Quantity:
    """How a number of this name is shown."""
    base = re.sub(r"_\d+\Z", "", name) if name not in _NAMES else name
    found = _NAMES.get(base) or _UNITS.get(unit) or _other(unit)
    if driver == "wristband":
        found = _OF_BAND.get(base, found)
    elif driver == "bthome":
        found = _OF_BEACON.get(base, found)
    elif driver in _BUS_DRIVERS and found.device_class == "volume":
        found = found._replace(device_class="water")
    if found.state_class != MEASUREMENT and not _COUNTER.match(name):
        return found._replace(state_class="")
    return found


def _other(unit: str) -> Quantity:
    """A unit that no class takes is shown as it is; what has none may be a name, or bits."""
    if not unit:
        return Quantity(state_class="")
    return Quantity("", "" if unit in _PURE else unit)


def truth_class_of(name: str) -> str:
    """The device class of a truth value; empty if none fits."""
    return _TRUTHS.get(re.sub(r"_\d+\Z", "", name), "")
