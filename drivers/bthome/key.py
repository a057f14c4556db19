"""The file that `key_file` names: the 32 hexadecimal digits of a device's key."""

from __future__ import annotations

import re
import stat
from pathlib import Path

from gateway.errors import SettingsError

_KEY = re.compile(rb"\s*([0-9A-Fa-f]{32})\s*")
_MOST = 256  # bytes; what is longer is no key


def read_key(name: str) -> bytes:
    """The 16 bytes; SettingsError if they cannot be read, or others can read them."""
    path = Path(name)
    try:
        if path.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
            fault = f"key_file: {path} is open to every user of this machine"
            raise SettingsError([fault], hint=f"chmod 600 {path}")
        with path.open("rb") as file:
            match = _KEY.fullmatch(file.read(_MOST))
    except OSError as error:
        raise SettingsError([f"key_file: cannot be read: {error}"]) from error
    if match is None:
        raise SettingsError([f"key_file: {path} does not hold 32 hexadecimal digits"])
    return bytes.fromhex(match[1].decode())
