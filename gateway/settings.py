"""The configuration file: TOML, typed, every fault reported at once with its place.

`load` reads a file into Settings. What belongs to a driver (the other keys of a `[[device]]`) stays
a plain table in `DeviceSettings.options` until the driver's own Settings class reads it with
`read_table`; so both report their faults alike, `file:line: key: what is wrong`.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

import msgspec

from gateway.errors import SettingsError
from gateway.strict import MAX_TEXT

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T", bound=msgspec.Struct)

Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TEXT)]
Label = Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]  # longer, and no event could carry it


class GatewaySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[gateway]`: who this is."""

    id: Name
    address_code: Annotated[str, msgspec.Meta(max_length=64)] = ""


class JournalSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[journal]`: where events wait, and how much room they have (bytes)."""

    path: Annotated[str, msgspec.Meta(min_length=1)] = "/var/lib/hearth/journal"
    quota: str = "256 MiB"
    commit_interval: Annotated[float, msgspec.Meta(gt=0, le=60)] = 2.0
    # Days after which routine events are given up unsent, with a gap; 0 keeps them until the quota
    # is full.
    retention: Annotated[float, msgspec.Meta(ge=0, le=3650)] = 0.0
    scrub_interval: Seconds = 300.0  # s between two segments that are read and checked

    @property
    def quota_bytes(self) -> int:
        """The quota in bytes."""
        return parse_size(self.quota)


class UplinkSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[uplink]`: the broker, and whose word frees an event."""

    url: str
    ack: Literal["collector", "broker"] = "collector"
    allow_plaintext: bool = False
    ca: str = ""
    cert: str = ""
    key: str = ""
    username: str = ""
    password_file: str = ""
    keepalive: Annotated[int, msgspec.Meta(ge=2, le=3600)] = 30
    max_batch: str = "16 KiB"
    ack_timeout: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 10.0

    @property
    def max_batch_bytes(self) -> int:
        """The most bytes of events in one batch."""
        return parse_size(self.max_batch)


class ControlSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[control]`: the Unix socket on which the daemon answers the command line."""

    socket: Annotated[str, msgspec.Meta(min_length=1)] = "/run/hearth/control.sock"


class CallSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[calls]`: what becomes of a call for help; times in s.

    Where the figures come from: SCAIP (SS 91100:2014) has a call that is on hold sent again after 5
    to 20 s, for up to 30 min, and another action taken after a time-out.
    """

    deliver: Seconds = 15.0  # on flash and not at the far side for so long: the person is told
    accept: Seconds = 60.0  # at the far side and taken by nobody for so long: told again
    repeats: Annotated[int, msgspec.Meta(ge=0, le=100)] = 3  # so often, then it is escalated
    cancel: Seconds = 20.0  # for so long the person may take it back; telecare gives 10 to 20
    linger: Seconds = 60.0  # where nobody can answer, it is shown as delivered for so long
    forget: Annotated[float, msgspec.Meta(ge=60, le=30 * 86_400)] = 86_400.0  # nobody waits longer


class SupervisionSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[supervision]`: how the far side knows that this home is still there; times in s.

    Classes in use are 25 h, 5 h, 180 s and 90 s, with two signs of life in each.
    """

    # A home that says nothing for so long has gone quiet; it says something twice in that time.
    quiet_after: Annotated[float, msgspec.Meta(ge=90, le=7 * 86_400)] = 18_000.0
    # A call of the gateway itself that goes the whole way of a call, so often; 0 is never.
    test_call: Annotated[float, msgspec.Meta(ge=0, le=90 * 86_400)] = 0.0


SettableKey = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(calls|announce|reminders|supervision)\.[a-z_]+\Z"
        r"|^device\.[A-Za-z0-9][A-Za-z0-9._-]{0,63}\.[a-z_]+\Z"
    ),
]


class CommandsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[commands]`: whose orders are carried out. Without a key, nobody's."""

    # Files with the public keys of those who may order; a few, for one key after another.
    keys: Annotated[
        tuple[Annotated[str, msgspec.Meta(min_length=1)], ...], msgspec.Meta(max_length=16)
    ] = ()
    # Keys of this file that orders may change, such as announce.mute or device.band-1.poll. The
    # journal and the keys themselves are not among them: those are the installer's.
    settable: tuple[SettableKey, ...] = ()


TimeOfDay = Annotated[str, msgspec.Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]\Z")]
Hours = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9])?\Z",
    ),
]


class AnnounceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[announce]`: what is said, in which language, and when not."""

    language: Literal["zh", "en"] = "zh"
    # Local time in which weather and notices wait; empty is never. Calls, alarms and reminders are
    # always said.
    mute: Hours = "22:00-07:00"
    # s. The phrase takes some 7 s; between two of them there is time to shout, and to listen. SCAIP
    # (SS 91100:2014) tries again after 5 to 20 s, too.
    repeat_undelivered: Annotated[float, msgspec.Meta(ge=10, le=600)] = 20.0
    weather_at: Annotated[tuple[TimeOfDay, ...], msgspec.Meta(max_length=12)] = ("07:30",)


class RemindersSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[reminders]`: of medicine, appointments, the alarm clock."""

    # s. What was due while the gateway was off is said late; later than this it is told upstream
    # as not rung. Half an hour: half of the hour that most medicine is given within.
    grace: Annotated[float, msgspec.Meta(ge=0, le=12 * 3600)] = 1800.0


class BusSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[[bus]]`: one pair of wires with several devices on it."""

    id: Name
    port: Annotated[str, msgspec.Meta(min_length=1)]
    baudrate: Annotated[int, msgspec.Meta(ge=300, le=921_600)] = 9600
    parity: Literal["N", "E", "O"] = "N"
    stopbits: Literal[1, 2] = 1


class DeviceSettings(msgspec.Struct, frozen=True):
    """`[[device]]`: the keys every device has; `options` are its driver's."""

    id: Name
    driver: Name
    bus: str = ""
    room: Label = ""
    resident: Label = ""
    options: dict[str, Any] = {}
    place: str = ""  # where in the file, for faults of the options

    @property
    def labels(self) -> dict[str, str]:
        """The free labels that travel with the device's events."""
        pairs = {"room": self.room, "resident": self.resident}
        return {name: label for name, label in pairs.items() if label}


class Settings(msgspec.Struct, frozen=True):
    """A whole configuration file."""

    gateway: GatewaySettings
    uplink: UplinkSettings
    journal: JournalSettings = JournalSettings()
    control: ControlSettings = ControlSettings()
    calls: CallSettings = CallSettings()
    supervision: SupervisionSettings = SupervisionSettings()
    commands: CommandsSettings = CommandsSettings()
    announce: AnnounceSettings = AnnounceSettings()
    reminders: RemindersSettings = RemindersSettings()
    buses: tuple[BusSettings, ...] = ()
    devices: tuple[DeviceSettings, ...] = ()
    source: str = ""  # the text of the file, so that later faults find their line
    file: str = ""


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
}
_COMMON_DEVICE_KEYS = frozenset({"id", "driver", "bus", "room", "resident"})
_SIZE = re.compile(r"^(\d{1,12}(?:\.\d{1,12})?)\s*(B|KiB|MiB|GiB)\Z")
_UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
# Least and most. The journal needs its least number of its smallest segments, and no more than a
# disk has; batches below a KiB are mostly overhead, above MAX_BATCH_BYTES no collector takes them.
_QUOTA_RANGE = ("2 MiB", "1024 GiB")
_BATCH_RANGE = ("1 KiB", "256 KiB")
_OWN_DEVICES = frozenset({"gateway", "journal"})  # what hearth calls itself in its own events
_REMOTE_PORTS = ("socket", "rfc2217", "modbus-tcp")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


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


def parse_size(text: str) -> int:
    """`"256 MiB"` to bytes; ValueError if it is no size."""
    match = _SIZE.match(text)
    if not match:
        raise ValueError(f"{text!r} is no size; write it like 256 MiB")
    return int(float(match[1]) * _UNITS[match[2]])


def read_table(
    table: dict[str, Any], into: type[T], place: str, faults: list[str], *, source: str = ""
) -> T | None:
    """A table as `into`, or None with every fault of it added to `faults`.

    Args:
        table: the keys and values as TOML gave them.
        into: the msgspec.Struct to make.
        place: `file:[section]` or the like; faults read `place.key: what is wrong`.
        faults: where faults go.
        source: text of the file; with it faults name their line.
    """
    found: dict[str, Any] = {}
    before = len(faults)
    fields = {field.encode_name: field for field in msgspec.structs.fields(into)}
    faults += [
        f"{at(place, key, source)}: unknown key{_did_you_mean(key, fields)}"
        for key in sorted(table.keys() - fields.keys())
    ]
    for name, field in fields.items():
        if name in table:
            try:
                found[field.name] = msgspec.convert(table[name], field.type)
            except msgspec.ValidationError as error:
                faults.append(f"{at(place, name, source)}: {_plain(error)}")
        elif field.required:
            faults.append(f"{at(place, name, source)}: missing")
    if len(faults) > before:
        faults[before:] = sorted(faults[before:], key=_line_of)
        return None
    return into(**found)


class _Reader:
    """Reads the tables of one file, collecting faults."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.faults: list[str] = []

    def read(self, tables: dict[str, Any]) -> Settings:
        for name in sorted(tables.keys() - _SECTIONS.keys() - {"bus", "device"}):
            known = {**_SECTIONS, "bus": None, "device": None}
            self._fault(name, "", f"unknown section{_did_you_mean(name, known)}")
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
        try:
            url = urlsplit(uplink.url)
            host, _ = url.hostname or "", url.port
        except ValueError as error:
            self._fault("uplink", "url", str(error))
            return
        if url.scheme not in {"mqtt", "mqtts"} or not host:
            self._fault("uplink", "url", "must be mqtts://HOST[:PORT] or mqtt://HOST[:PORT]")
        elif url.scheme == "mqtt" and host not in _LOOPBACK and not uplink.allow_plaintext:
            self._fault(
                "uplink", "url", "plaintext to another machine; use mqtts:// or set allow_plaintext"
            )
        if url.password or url.username:
            self._fault("uplink", "url", "no user or password here; use username, password_file")
        if bool(uplink.cert) != bool(uplink.key):
            self._fault("uplink", "cert", "cert and key go together")
        self._check_size("uplink", "max_batch", uplink.max_batch, _BATCH_RANGE)

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


def at(place: str, key: str, source: str) -> str:
    """`file:line: section.key` if the line can be found, else `file: section.key`.

    Args:
        place: `file:section`, the section as in `uplink` or `device[2]`.
        key: of the section; empty for the section itself.
        source: text of the file, or nothing.
    """
    file, _, section = place.rpartition(":")
    line = _find_line(source, section, key)
    named = f"{section}.{key}" if key else section
    return f"{file}:{line}: {named}" if line else f"{file}: {named}"


def _find_line(source: str, section: str, key: str) -> int:
    """Line of a key within a section (`uplink`, `device[2]`), or of its header."""
    name, _, rest = section.partition("[")
    wanted = int(rest.rstrip("]")) if rest else 0
    header = re.compile(rf"^\s*\[{{1,2}}\s*{re.escape(name)}\s*\]{{1,2}}")
    assignment = re.compile(rf"^\s*[\"']?{re.escape(key)}[\"']?\s*=") if key else None
    count, at = -1, 0
    for number, line in enumerate(source.splitlines(), 1):
        if header.match(line):
            count += 1
            at = number if count == wanted else at
        elif line.lstrip().startswith("[") and at and count == wanted:
            break
        elif assignment and count == wanted and assignment.match(line):
            return number
    return at


def _line_of(fault: str) -> int:
    parts = fault.split(":", 2)
    return int(parts[1]) if len(parts) > 1 and parts[1].isdecimal() else 0


def _did_you_mean(name: str, known: dict[str, Any]) -> str:
    import difflib  # noqa: PLC0415 - only a faulty file needs it

    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _plain(error: msgspec.ValidationError) -> str:
    return str(error).removesuffix(" - at `$`").replace("`", "")
