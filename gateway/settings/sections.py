"""What a configuration file may say: one structure a table, with types, bounds and defaults."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec

from gateway.settings.broker import MirrorSettings, UplinkSettings
from gateway.settings.size import parse_size
from gateway.strict import MAX_TEXT

Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
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


class MetricsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[metrics]`: figures for Prometheus, over HTTP."""

    listen: str = ""  # HOST:PORT; empty is off
    allow_remote: bool = False  # other machines may ask, too: there is no password and no TLS

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port; None if it is off. ValueError if that is no address."""
        if not self.listen:
            return None
        url = urlsplit(f"//{self.listen}")
        if not url.hostname or not url.port or url.netloc != self.listen or url.username:
            raise ValueError(f"{self.listen!r} is no HOST:PORT; write it like 127.0.0.1:9464")
        return url.hostname, url.port


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
    mirror: MirrorSettings = MirrorSettings()
    metrics: MetricsSettings = MetricsSettings()
    buses: tuple[BusSettings, ...] = ()
    devices: tuple[DeviceSettings, ...] = ()
    source: str = ""  # the text of the file, so that later faults find their line
    file: str = ""
