"""The objects of BTHome v2: what each id means, and how long it is.

Sources: the tables at bthome.io/format (home-assistant/bthome.io, src/format.html), and for 60 to
64 bthome-ble (const.py). Values are told in SenML units; what BTHome counts in others is converted.
A truth value is true for: on, open, detected, wet, low battery, charging, connected, unlocked,
plugged in, at home, problem, running, safe.
"""

from __future__ import annotations

from typing import NamedTuple

PACKET_ID, BATTERY, BUTTON, DIMMER = 0x00, 0x01, 0x3A, 0x3C


class Number(NamedTuple):
    """A little-endian integer of `size` bytes; its value is integer * times / per."""

    name: str
    size: int
    unit: str = ""
    per: int = 1
    times: int = 1
    signed: bool = False


NUMBERS = {
    BATTERY: Number("battery", 1, "%EL"),
    0x02: Number("temperature", 2, "Cel", 100, signed=True),
    0x03: Number("humidity", 2, "%RH", 100),
    0x04: Number("pressure", 3, "Pa"),
    0x05: Number("illuminance", 3, "lx", 100),
    0x06: Number("mass", 2, "kg", 100),
    0x07: Number("mass", 2, "kg", 10_000_000_000, 45_359_237),  # 0.01 lb
    0x08: Number("dew_point", 2, "Cel", 100, signed=True),
    0x09: Number("count", 1, "count"),
    0x0A: Number("energy", 3, "J", 1, 3600),  # Wh
    0x0B: Number("power", 3, "W", 100),
    0x0C: Number("voltage", 2, "V", 1000),
    0x0D: Number("pm2_5", 2, "kg/m3", 1_000_000_000),
    0x0E: Number("pm10", 2, "kg/m3", 1_000_000_000),
    0x12: Number("co2", 2, "/", 1_000_000),  # ppm
    0x13: Number("tvoc", 2, "kg/m3", 1_000_000_000),
    0x14: Number("moisture", 2, "%", 100),
    0x2E: Number("humidity", 1, "%RH"),
    0x2F: Number("moisture", 1, "%"),
    0x3D: Number("count", 2, "count"),
    0x3E: Number("count", 4, "count"),
    0x3F: Number("rotation", 2, "deg", 10, signed=True),
    0x40: Number("distance", 2, "m", 1000),
    0x41: Number("distance", 2, "m", 10),
    0x42: Number("duration", 3, "s", 1000),
    0x43: Number("current", 2, "A", 1000),
    0x44: Number("speed", 2, "m/s", 100),
    0x45: Number("temperature", 2, "Cel", 10, signed=True),
    0x46: Number("uv_index", 1, "", 10),
    0x47: Number("volume", 2, "m3", 10_000),
    0x48: Number("volume", 2, "m3", 1_000_000),
    0x49: Number("volume_flow", 2, "m3/s", 3_600_000),  # l/h
    0x4A: Number("voltage", 2, "V", 10),
    0x4B: Number("gas", 3, "m3", 1000),
    0x4C: Number("gas", 4, "m3", 1000),
    0x4D: Number("energy", 4, "J", 1, 3600),
    0x4E: Number("volume", 4, "m3", 1_000_000),
    0x4F: Number("water", 4, "m3", 1_000_000),
    0x51: Number("acceleration", 2, "m/s2", 1000),
    0x55: Number("volume_stored", 4, "m3", 1_000_000),
    0x56: Number("conductivity", 2, "S/m", 10_000),  # uS/cm
    0x57: Number("temperature", 1, "Cel", signed=True),
    0x58: Number("temperature", 1, "Cel", 100, 35, signed=True),
    0x59: Number("count", 1, "count", signed=True),
    0x5A: Number("count", 2, "count", signed=True),
    0x5B: Number("count", 4, "count", signed=True),
    0x5C: Number("power", 4, "W", 100, signed=True),
    0x5D: Number("current", 2, "A", 1000, signed=True),
    0x5E: Number("direction", 2, "deg", 100),
    0x62: Number("speed", 4, "m/s", 1_000_000, signed=True),
    0x63: Number("acceleration", 4, "m/s2", 1_000_000, signed=True),
    0x64: Number("light_level", 1),
}

# One byte, 0 or 1. Where a number has the same name in the specification, this has another here.
TRUTHS = {
    0x0F: "generic",
    0x10: "power_on",
    0x11: "opening",
    0x15: "battery_low",
    0x16: "battery_charging",
    0x17: "carbon_monoxide",
    0x18: "cold",
    0x19: "connectivity",
    0x1A: "door",
    0x1B: "garage_door",
    0x1C: "gas_detected",
    0x1D: "heat",
    0x1E: "light",
    0x1F: "lock",
    0x20: "moisture_detected",
    0x21: "motion",
    0x22: "moving",
    0x23: "occupancy",
    0x24: "plug",
    0x25: "presence",
    0x26: "problem",
    0x27: "running",
    0x28: "safety",
    0x29: "smoke",
    0x2A: "sound",
    0x2B: "tamper",
    0x2C: "vibration",
    0x2D: "window",
}

# Not told, but their lengths are known: what follows can be read. Time by the device's own clock,
# gyroscope, precipitation (the sources differ on its factor), channel, revolutions a minute, type
# of the device, version of its firmware.
SKIPPED = {0x50: 4, 0x52: 2, 0x5F: 2, 0x60: 1, 0x61: 2, 0xF0: 2, 0xF1: 4, 0xF2: 3}
COUNTED = frozenset({0x53, 0x54})  # text and raw bytes: one byte of length before them

SIZES = {
    PACKET_ID: 1,
    BUTTON: 1,
    DIMMER: 2,
    **{kind: number.size for kind, number in NUMBERS.items()},
    **dict.fromkeys(TRUTHS, 1),
    **SKIPPED,
}

# FE is what Shelly's buttons sent for a button held down, before firmware 1.0.23 made it 80.
PRESSES = {
    0x01: "press",
    0x02: "double",
    0x03: "triple",
    0x04: "long",
    0x05: "long_double",
    0x06: "long_triple",
    0x80: "hold",
    0xFE: "hold",
}
OTHER_PRESS = "other"  # a button was pressed in a way the specification did not know yet
LEFT, RIGHT = 1, 2  # which way a dimmer was turned
