"""The tables that name an MQTT broker, and the rules they are held to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal
from urllib.parse import urlsplit

import msgspec

from gateway.settings.size import parse_size

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT_PORTS = {"mqtt": 1883, "mqtts": 8883}
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
# What `[mirror] url` says to mean the broker of `[uplink]`.
SAME_BROKER = "uplink"


class BrokerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A broker, and how this gateway shows it who it is.

    Each file may be a systemd credential instead of a path: `credential:NAME`.
    """

    table: ClassVar[str] = ""  # its name in the file, for messages

    url: str
    allow_plaintext: bool = False
    ca: str = ""
    cert: str = ""
    key: str = ""
    username: str = ""
    password_file: str = ""
    keepalive: Annotated[int, msgspec.Meta(ge=2, le=3600)] = 30

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of a URL that has no faults."""
        url = urlsplit(self.url)
        return url.hostname or "", url.port or DEFAULT_PORTS[url.scheme]


class UplinkSettings(BrokerSettings, frozen=True, forbid_unknown_fields=True):
    """`[uplink]`: the broker, and whose word frees an event."""

    table: ClassVar[str] = "uplink"

    ack: Literal["collector", "broker"] = "collector"
    # Files with the public keys of the collectors whose word counts; a few, for one key after
    # another. None: the broker's rules of access say who may acknowledge.
    ack_keys: Annotated[
        tuple[Annotated[str, msgspec.Meta(min_length=1)], ...], msgspec.Meta(max_length=8)
    ] = ()
    max_batch: str = "16 KiB"
    compress: bool = True  # pack large routine batches where the collector understands it
    # What the link may cost a day, as a SIM card's budget: readings wait when it is spent, a call
    # never does. Empty is no limit.
    daily_limit: str = ""
    ack_timeout: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 10.0

    @property
    def max_batch_bytes(self) -> int:
        """The most bytes of events in one batch."""
        return parse_size(self.max_batch)

    @property
    def daily_limit_bytes(self) -> int:
        """What the link may cost a day; 0 is no limit."""
        return parse_size(self.daily_limit) if self.daily_limit else 0


class MirrorSettings(BrokerSettings, frozen=True, forbid_unknown_fields=True):
    """`[mirror]`: every event once more, as JSON anybody can read, and for Home Assistant."""

    table: ClassVar[str] = "mirror"

    url: str = ""  # "" is off; "uplink" is the broker of [uplink]; else a broker of its own
    home_assistant: bool = False
    discovery_prefix: Annotated[
        str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*\Z", max_length=128)
    ] = "homeassistant"

    def broker(self, uplink: UplinkSettings) -> BrokerSettings | None:
        """Where it goes; None if it is off."""
        if not self.url:
            return None
        return uplink if self.url == SAME_BROKER else self


def faults_of_broker(broker: BrokerSettings) -> Iterator[tuple[str, str]]:
    """Key and what is wrong with it."""
    try:
        url = urlsplit(broker.url)
        host, _ = url.hostname or "", url.port
    except ValueError as error:
        yield "url", str(error)
        return
    if url.scheme not in {"mqtt", "mqtts"} or not host:
        yield "url", "must be mqtts://HOST[:PORT] or mqtt://HOST[:PORT]"
    elif url.scheme == "mqtt" and host not in LOOPBACK and not broker.allow_plaintext:
        yield "url", "plaintext to another machine; use mqtts:// or set allow_plaintext"
    if url.password or url.username:
        yield "url", "no user or password here; use username, password_file"
    if bool(broker.cert) != bool(broker.key):
        yield "cert", "cert and key go together"


def faults_of_mirror(mirror: MirrorSettings) -> Iterator[tuple[str, str]]:
    """As `faults_of_broker`, of a broker that may be off or that of `[uplink]`."""
    if mirror.url and mirror.url != SAME_BROKER:
        yield from faults_of_broker(mirror)
        return
    if not mirror.url and mirror.home_assistant:
        yield "home_assistant", f'nothing is mirrored without url; set it to "{SAME_BROKER}"'
    own = [field for field in msgspec.structs.fields(BrokerSettings) if field.name != "url"]
    for field in own:
        if mirror.url and getattr(mirror, field.name) != field.default:
            yield field.name, f'url = "{SAME_BROKER}" goes by the same key of [uplink]'
