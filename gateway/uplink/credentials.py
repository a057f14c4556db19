"""The files that `[uplink]` names: password, certificates."""

from __future__ import annotations

import ssl
import stat
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gateway.errors import SettingsError

if TYPE_CHECKING:
    from gateway.settings import UplinkSettings

MAX_PASSWORD_BYTES = 65_535  # MQTT's own limit


def password_of(settings: UplinkSettings) -> str | None:
    """The password in `password_file`; SettingsError if it cannot be read or others can read it."""
    if not settings.password_file:
        return None
    path = Path(settings.password_file)
    try:
        if path.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
            fault = f"uplink.password_file: {path} is open to every user of this machine"
            raise SettingsError([fault], hint=f"chmod 600 {path}")
        with path.open("rb") as file:
            data = file.read(MAX_PASSWORD_BYTES + 3)
        password = data.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([f"uplink.password_file: cannot be read: {error}"]) from error
    if not password or len(data) > MAX_PASSWORD_BYTES:
        raise SettingsError([f"uplink.password_file: {path} holds no password"])
    return password


def tls_context_of(settings: UplinkSettings) -> ssl.SSLContext | None:
    """The TLS of an mqtts:// URL: the broker's chain and name are checked; 1.2 is the least."""
    if urlsplit(settings.url).scheme != "mqtts":
        return None
    try:
        context = ssl.create_default_context(cafile=settings.ca or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if settings.cert:
            context.load_cert_chain(settings.cert, settings.key)
    except (OSError, ssl.SSLError) as error:
        fault = f"uplink: ca, cert or key cannot be loaded: {error}"
        raise SettingsError([fault], hint="PEM files, readable by the daemon's user") from error
    return context
