"""The files that keys are in: PEM, as `hearth keys new` and OpenSSL write them."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.errors import DecodeError, SettingsError
from gateway.signing.signature import PrivateKey, PublicKey
from gateway.uplink.credentials import path_of

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST = 4096  # bytes; what is longer is no key of ours


def read_public_keys(names: Sequence[str], place: str) -> tuple[PublicKey, ...]:
    """The keys of those whose word counts.

    Args:
        names: of the files.
        place: where they are named, for the faults.

    Raises:
        SettingsError: one fault for each file that is missing, unreadable, writable for every user
            of this machine, or holds no key.
    """
    keys, faults = [], []
    for name in names:
        try:
            keys.append(PublicKey.from_pem(_read(Path(name), stat.S_IWOTH)))
        except (OSError, DecodeError) as error:
            faults.append(f"{place}: {name}: {_plain(error)}")
    if faults:
        raise SettingsError(faults, hint="hearth keys new makes a pair; this is its public half")
    return tuple(keys)


def read_private_key(name: str, place: str) -> PrivateKey:
    """The key that signs; SettingsError if there is none, or others can read it.

    Args:
        name: of the file, or a systemd credential.
        place: where it is named, for the faults.
    """
    path = path_of(place, name)
    try:
        return PrivateKey.from_pem(_read(path, stat.S_IROTH | stat.S_IWOTH))
    except (OSError, DecodeError) as error:
        hint = f"chmod 600 {path}" if isinstance(error, PermissionError) else "hearth keys new"
        raise SettingsError([f"{place}: {name}: {_plain(error)}"], hint=hint) from error


def write_keys(key: PrivateKey, out: str) -> tuple[Path, Path]:
    """Write `out`.key, for its owner alone, and `out`.pub; never over a file that is there."""
    private, public = key.pem()
    paths = Path(f"{out}.key"), Path(f"{out}.pub")
    if taken := [path for path in paths if path.exists()]:
        raise SettingsError([f"{taken[0]}: is there already"], hint="take another name for --out")
    _create(paths[0], private, 0o600)
    _create(paths[1], public, 0o644)
    return paths


def _create(path: Path, data: bytes, mode: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(fd, "wb") as file:
        file.write(data)


def _read(path: Path, forbidden: int) -> bytes:
    """The bytes of a file that others may not touch in this way."""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_mode & forbidden:
            raise PermissionError("it is open to every user of this machine")
        return file.read(_MOST)


def _plain(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
