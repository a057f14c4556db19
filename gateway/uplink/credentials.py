"""The files that a broker's table names: password, certificates.

Each may be a systemd credential (`LoadCredential=`): `credential:NAME` is the file NAME in the
folder that systemd made for this service, which nobody else can read.
"""

from __future__ import annotations

import os
import re
import ssl
import stat
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gateway.errors import SettingsError

if TYPE_CHECKING:
    from gateway.settings import BrokerSettings

MAX_PASSWORD_BYTES = 65_535  # MQTT's own limit
_CREDENTIAL = "credential:"
_FOLDER = "CREDENTIALS_DIRECTORY"  # systemd.exec(5), Credentials
# One name in that folder, and no way out of it.
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,254}\Z")


def path_of(place: str, value: str) -> Path:
    """The file that a setting names.

    Args:
        place: of the setting, such as `uplink.key`, for the fault.
        value: a path, or `credential:NAME`.

    Raises:
        SettingsError: no name of a credential, or this process was given none.
    """
    if not value.startswith(_CREDENTIAL):
        return Path(value)
    name = value.removeprefix(_CREDENTIAL)
    if not _NAME.match(name):
        raise SettingsError(
            [f"{place}: {value!r} names no credential"],
            hint="letters, digits, . _ - and no folders, like credential:mqtt-password",
        )
    folder = os.environ.get(_FOLDER)
    if not folder:
        raise SettingsError(
            [f"{place}: systemd gave this process no credentials, and {value} is one"],
            hint=f"LoadCredential={name}:/path/to/file in hearth.service, or"
            " SetCredentialEncrypted=; from a shell: systemd-run -p LoadCredential=...",
        )
    return Path(folder) / name


def out_of_sight(value: str) -> bool:
    """Whether a setting names a credential, and this process is not the service that has it."""
    return value.startswith(_CREDENTIAL) and not os.environ.get(_FOLDER)


def password_of(settings: BrokerSettings) -> str | None:
    """The password in `password_file`; SettingsError if it cannot be read or others can read it."""
    if not settings.password_file:
        return None
    place = f"{settings.table}.password_file"
    path = path_of(place, settings.password_file)
    try:
        data = read_secret(place, path, MAX_PASSWORD_BYTES + 3)
        password = data.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([f"{place}: cannot be read: {error}"]) from error
    if not password or len(password.encode()) > MAX_PASSWORD_BYTES:
        raise SettingsError([f"{place}: {path} holds no password"])
    return password


def tls_context_of(settings: BrokerSettings) -> ssl.SSLContext | None:
    """The TLS of an mqtts:// URL: the broker's chain and name are checked; 1.2 is the least.

    Raises:
        SettingsError: a file cannot be read or is not what it must be, or others can read the key.
    """
    if urlsplit(settings.url).scheme != "mqtts":
        return None
    table = settings.table
    ca = path_of(f"{table}.ca", settings.ca) if settings.ca else None
    try:
        context = ssl.create_default_context(cafile=ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if settings.cert:
            cert = path_of(f"{table}.cert", settings.cert)
            key = path_of(f"{table}.key", settings.key)
            read_secret(f"{table}.key", key, 0)
            context.load_cert_chain(cert, key, password=_NO_PASSWORD)
    except (OSError, ssl.SSLError) as error:
        fault = f"{table}: ca, cert or key cannot be loaded: {error}"
        hint = "PEM files, readable by the daemon's user, the key without a password of its own"
        raise SettingsError([fault], hint=hint) from error
    return context


# Without one, OpenSSL would ask for it on a terminal and wait.
_NO_PASSWORD = ""


def read_secret(place: str, path: Path, most_bytes: int) -> bytes:
    """The first bytes of a file, refused if every user of this machine can have them."""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_mode & (stat.S_IROTH | stat.S_IWOTH):
            fault = f"{place}: {path} is open to every user of this machine"
            raise SettingsError([fault], hint=f"chmod 600 {path}")
        return file.read(most_bytes)
