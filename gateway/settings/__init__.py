"""The configuration file: TOML, typed, every fault reported at once with its place.

`load` reads a file into Settings. What belongs to a driver (the other keys of a `[[device]]`) stays
a plain table in `DeviceSettings.options` until the driver's own Settings class reads it with
`read_table`; so both report their faults alike, `file:line: key: what is wrong`.

- `sections.py` and `broker.py` say what a file may hold,
- `table.py` reads one table and finds the line of a fault,
- `reader.py` reads a file, and checks what goes beyond one key.
"""

from gateway.settings.broker import LOOPBACK, BrokerSettings, MirrorSettings, UplinkSettings
from gateway.settings.reader import load, parse, read_bus, read_uplink
from gateway.settings.sections import (
    AnnounceSettings,
    BusSettings,
    CallSettings,
    CommandsSettings,
    ControlSettings,
    DeviceSettings,
    GatewaySettings,
    JournalSettings,
    Label,
    MetricsSettings,
    Name,
    RemindersSettings,
    Seconds,
    Settings,
    SupervisionSettings,
)
from gateway.settings.size import parse_size
from gateway.settings.table import at, read_table

__all__ = [
    "LOOPBACK",
    "AnnounceSettings",
    "BrokerSettings",
    "BusSettings",
    "CallSettings",
    "CommandsSettings",
    "ControlSettings",
    "DeviceSettings",
    "GatewaySettings",
    "JournalSettings",
    "Label",
    "MetricsSettings",
    "MirrorSettings",
    "Name",
    "RemindersSettings",
    "Seconds",
    "Settings",
    "SupervisionSettings",
    "UplinkSettings",
    "at",
    "load",
    "parse",
    "parse_size",
    "read_bus",
    "read_table",
    "read_uplink",
]
