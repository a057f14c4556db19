"""Reads a configuration file, and collects what is wrong with it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from gateway.errors import SettingsError
from gateway.settings.broker import (
    LOOPBACK,
    MirrorSettings,
    UplinkSettings,
    faults_of_broker,
    faults_of_mirror,
)
from gateway.settings.sections import (
    AnnounceSettings,
    BusSettings,
    CallSettings,
    CommandsSettings,
    ControlSettings,
    DeviceSettings,
    GatewaySettings,
    JournalSettings,
    MetricsSettings,
    RemindersSettings,
    Settings,
    SupervisionSettings,
)
from gateway.settings.size import parse_size
from gateway.settings.table import at, did_you_mean, read_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

T = TypeVar("T", bound=msgspec.Struct)

_SECTIONS: dict[str, type[msgspec.Struct]] = {
    "gateway": GatewaySettings,
    "uplink": UplinkSettings,
    "journal": JournalSettings,
    "control": ControlSettings,
    "calls": CallSettings,
    "supervision": SupervisionSettings,
    "commands": CommandsSettings,
    "announce": AnnounceSettings,
    "reminders": RemindersSettings,
    "mirror": MirrorSettings,
    "metrics": MetricsSettings,
}
_COMMON_DEVICE_KEYS = frozenset({"id", "driver", "bus", "room", "resident"})
# Least and most. The journal needs its least number of its smallest segments, and no more than a
# disk has; batches below a KiB are mostly overhead, above MAX_BATCH_BYTES no collector takes them.
_QUOTA_RANGE = ("2 MiB", "1024 GiB")
_BATCH_RANGE = ("1 KiB", "256 KiB")
# A connection that only pings costs some 50 KiB a day at a keepalive of 10 minutes.
_DAILY_LIMIT_RANGE = ("64 KiB", "1024 GiB")
_OWN_DEVICES = frozenset({"gateway", "journal"})  # what hearth calls itself in its own events
_REMOTE_PORTS = ("socket", "rfc2217", "modbus-tcp")


def load(path: str | Path) -> Settings:
    """Read a configuration file.

    Raises:
        SettingsError: the file cannot be read, or has faults; all of them, each with its place.
    """
    try:
        text = Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([f"{path}: cannot be read: {error}"]) from error
    return parse(text, str(path))


def parse(
    text: str, file: str = "hearth.toml", *, overrides: Mapping[str, Any] = MappingProxyType({})
) -> Settings:
    """Read the text of a configuration file.

    Args:
        text: TOML.
        file: its name in messages.
        overrides: values laid over it, by place: `announce.mute`, `device.<id>.poll`.

    Raises:
        SettingsError: with every fault.
    """
    try:
        tables = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also a number of 5000 digits, 1000 brackets
        raise SettingsError([f"{file}: not TOML: {error}"]) from error
    reader = _Reader(text, file)
    for place, value in overrides.items():
        reader.override(tables, place, value)
    settings = reader.read(tables)
    if reader.faults:
        raise SettingsError(reader.faults)
    return settings


def read_uplink(table: dict[str, Any], place: str) -> UplinkSettings:
    """`[uplink]` from elsewhere than a file, held to the same rules; SettingsError with faults."""
    reader = _Reader("", place)
    uplink = reader.uplink(table)
    if uplink is None or reader.faults:
        raise SettingsError(reader.faults)
    return uplink


def read_bus(table: dict[str, Any], place: str) -> BusSettings:
    """A `[[bus]]` from elsewhere than a file, as `read_uplink`."""
    reader = _Reader("", place)
    bus = reader.bus(table)
    if bus is None or reader.faults:
        raise SettingsError(reader.faults)
    return bus


class _Reader:
    """Reads the tables of one file, collecting faults."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.faults: list[str] = []

    def read(self, tables: dict[str, Any]) -> Settings:
        for name in sorted(tables.keys() - _SECTIONS.keys() - {"bus", "device"}):
            known = {**_SECTIONS, "bus": None, "device": None}
            self._fault(name, "", f"unknown section{did_you_mean(name, known)}")
        sections: dict[str, Any] = {}
        for name, kind in _SECTIONS.items():
            if name in tables or name in {"gateway", "uplink"}:
                sections[name] = self._table(tables.get(name, {}), kind, name)
        buses = self._array(tables, "bus", BusSettings)
        self._check_ports(tables)
        devices = self._devices(tables)
        if journal := sections.get("journal"):
            self._check_size("journal", "quota", journal.quota, _QUOTA_RANGE)
        if uplink := sections["uplink"]:
            self._check_uplink(uplink)
        if mirror := sections.get("mirror"):
            self._add("mirror", faults_of_mirror(mirror))
        if metrics := sections.get("metrics"):
            self._check_metrics(metrics)
        self._check_names(tables)
        if self.faults:
            return Settings(GatewaySettings("faulty"), UplinkSettings(""))
        return Settings(
            **sections,
            buses=tuple(buses),
            devices=tuple(devices),
            source=self.text,
            file=self.file,
        )

    def override(self, tables: dict[str, Any], place: str, value: Any) -> None:
        """Lay one value over the tables."""
        section, _, key = place.rpartition(".")
        if not section.startswith("device."):
            table = tables.setdefault(section, {})
        else:
            devices = tables.get("device", [])
            name = section.removeprefix("device.")
            named = (it for it in devices if isinstance(it, dict) and it.get("id") == name)
            table = next(named, None)
        if not isinstance(table, dict):
            self.faults.append(f"{self.file}: {place}: there is no such table")
            return
        table[key] = value

    def uplink(self, table: dict[str, Any]) -> UplinkSettings | None:
        """`[uplink]` alone."""
        uplink = self._table(table, UplinkSettings, "uplink")
        if uplink:
            self._check_uplink(uplink)
        return uplink

    def bus(self, table: dict[str, Any]) -> BusSettings | None:
        """One `[[bus]]` alone."""
        self._check_ports({"bus": [table]})
        return self._table(table, BusSettings, "bus")

    def _table(self, table: Any, into: type[T], section: str) -> T | None:
        if not isinstance(table, dict):
            self._fault(section, "", "must be a table")
            return None
        return read_table(table, into, f"{self.file}:{section}", self.faults, source=self.text)

    def _array(self, tables: dict[str, Any], name: str, into: type[T]) -> list[T]:
        items = tables.get(name, [])
        if not isinstance(items, list):
            self._fault(name, "", f"must be an array of tables: [[{name}]]")
            return []
        read = [self._table(item, into, f"{name}[{i}]") for i, item in enumerate(items)]
        return [item for item in read if item is not None]

    def _devices(self, tables: dict[str, Any]) -> list[DeviceSettings]:
        items = tables.get("device", [])
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            self._fault("device", "", "must be an array of tables: [[device]]")
            return []
        devices = []
        for index, item in enumerate(items):
            common = {key: item[key] for key in item.keys() & _COMMON_DEVICE_KEYS}
            device = self._table(common, DeviceSettings, f"device[{index}]")
            if device:
                options = {key: item[key] for key in item.keys() - _COMMON_DEVICE_KEYS}
                place = f"{self.file}:device[{index}]"
                devices.append(msgspec.structs.replace(device, options=options, place=place))
        return devices

    def _check_size(self, section: str, key: str, text: str, within: tuple[str, str]) -> None:
        try:
            size = parse_size(text)
        except ValueError as error:
            self._fault(section, key, str(error))
            return
        least, most = within
        if not parse_size(least) <= size <= parse_size(most):
            self._fault(section, key, f"{text!r} is not between {least} and {most}")

    def _check_uplink(self, uplink: UplinkSettings) -> None:
        self._add("uplink", faults_of_broker(uplink))
        if uplink.ack_keys and uplink.ack == "broker":
            self._fault("uplink", "ack_keys", 'no collector is waited for with ack = "broker"')
        self._check_size("uplink", "max_batch", uplink.max_batch, _BATCH_RANGE)
        if uplink.daily_limit:
            self._check_size("uplink", "daily_limit", uplink.daily_limit, _DAILY_LIMIT_RANGE)

    def _check_metrics(self, metrics: MetricsSettings) -> None:
        try:
            address = metrics.address
        except ValueError as error:
            self._fault("metrics", "listen", str(error))
            return
        if address and address[0] not in LOOPBACK and not metrics.allow_remote:
            self._fault("metrics", "listen", "other machines could ask; set allow_remote for that")

    def _add(self, section: str, faults: Iterable[tuple[str, str]]) -> None:
        for key, what in faults:
            self._fault(section, key, what)

    def _check_ports(self, tables: dict[str, Any]) -> None:
        """A port that is elsewhere is named by what it speaks, host and port."""
        for index, port in _each(tables, "bus", "port"):
            scheme, found, rest = port.partition("://")
            if not found:
                continue
            host, _, number = rest.rpartition(":")
            if scheme not in _REMOTE_PORTS or not host or not number.isdecimal():
                known = ", ".join(f"{name}://HOST:PORT" for name in _REMOTE_PORTS)
                what = f"{port!r} is no port of another machine; write {known}"
                self._fault(f"bus[{index}]", "port", what)

    def _check_names(self, tables: dict[str, Any]) -> None:
        """Ids are unique, and what is referred to exists; also where other keys have faults."""
        for name in ("bus", "device"):
            seen: set[str] = set()
            for index, item_id in _each(tables, name, "id"):
                if item_id in seen:
                    self._fault(f"{name}[{index}]", "id", f"{item_id!r} is used twice")
                seen.add(item_id)
        for index, device in _each(tables, "device", "id"):
            if device in _OWN_DEVICES:
                self._fault(f"device[{index}]", "id", f"{device!r} is what hearth calls itself")
        buses = {bus for _, bus in _each(tables, "bus", "id")}
        for index, bus in _each(tables, "device", "bus"):
            if bus and bus not in buses:
                self._fault(f"device[{index}]", "bus", f"no [[bus]] with id {bus!r}")

    def _fault(self, section: str, key: str, what: str) -> None:
        self.faults.append(f"{at(f'{self.file}:{section}', key, self.text)}: {what}")


def _each(tables: dict[str, Any], name: str, key: str) -> list[tuple[int, str]]:
    """Index and text of a key in an array of tables, wherever there is such a text."""
    items = tables.get(name, [])
    rows = items if isinstance(items, list) else []
    values = [(i, row.get(key)) for i, row in enumerate(rows) if isinstance(row, dict)]
    return [(index, value) for index, value in values if isinstance(value, str)]
