"""How a webhook shows who sent it: Standard Webhooks 1.0.0 (standardwebhooks.com), scheme v1.

Signed is `id.timestamp.body` with HMAC-SHA256. The secret is written `whsec_` and base64 of 24 to
64 bytes. While a secret is replaced there may be two in the file: each signs, and a receiver that
knows one of them is satisfied.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

from gateway.errors import SettingsError
from gateway.uplink.credentials import path_of, read_secret

PREFIX = "whsec_"
LEAST_BYTES, MOST_BYTES = 24, 64
MOST_SECRETS = 2
_MAX_FILE_BYTES = 1024
_HINT = "one line: echo whsec_$(openssl rand -base64 32), in a file that only hearth can read"


def secrets_of(place: str, file: str) -> tuple[bytes, ...]:
    """The secrets in a file, or in a systemd credential.

    Args:
        place: the option that names the file, for the fault.
        file: its path, or `credential:NAME`.

    Raises:
        SettingsError: it cannot be read, others can read it, or it holds no secret.
    """
    path = path_of(place, file)
    try:
        lines = read_secret(place, path, _MAX_FILE_BYTES).decode("ascii").split()
        secrets = tuple(_decoded(line) for line in lines)
    except (ValueError, OSError) as error:  # nothing of the content is in the text of the fault
        reason = f": {error.strerror}" if isinstance(error, OSError) else ""
        raise SettingsError([f"{place}: {path} holds no secret{reason}"], hint=_HINT) from None
    if not 1 <= len(secrets) <= MOST_SECRETS:
        raise SettingsError([f"{place}: {path} holds {len(secrets)} secrets"], hint=_HINT)
    return secrets


def sign(secrets: tuple[bytes, ...], name: str, timestamp_s: int, body: bytes) -> str:
    """The value of the header `webhook-signature`."""
    signed = b"%b.%d.%b" % (name.encode(), timestamp_s, body)
    digests = (hmac.new(secret, signed, hashlib.sha256).digest() for secret in secrets)
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)


def _decoded(line: str) -> bytes:
    if not line.startswith(PREFIX):
        raise ValueError(PREFIX)
    secret = base64.b64decode(line.removeprefix(PREFIX), validate=True)
    if not LEAST_BYTES <= len(secret) <= MOST_BYTES:
        raise binascii.Error("length")
    return secret
