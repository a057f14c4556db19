"""Ed25519 signatures, and the PEM that keys are kept in.

The one place that knows the library, and it is loaded with the first key only: a gateway without
keys needs no room for it. A signature is made over a purpose and the bytes that are signed, so that
one that was made for one purpose is none for another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.errors import DecodeError
from gateway.model import Signed

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

# What is signed.
COMMAND = b"hearth command v1\0"
ACKNOWLEDGEMENT = b"hearth acknowledgement v1\0"


class PublicKey:
    """Tells what its private half has signed."""

    def __init__(self, key: Ed25519PublicKey) -> None:
        self._key = key

    @classmethod
    def from_pem(cls, data: bytes) -> PublicKey:
        """The key in a PEM file (`BEGIN PUBLIC KEY`); DecodeError if it is no Ed25519 key."""
        from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - see above
        from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415
            Ed25519PublicKey,
        )
        from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
            load_pem_public_key,
        )

        try:
            key = load_pem_public_key(data)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise DecodeError(f"no public key in PEM: {error}") from error
        if not isinstance(key, Ed25519PublicKey):
            raise DecodeError("a public key, and not one of Ed25519")
        return cls(key)

    def verifies(self, purpose: bytes, signed: Signed) -> bool:
        """Whether its private half has signed this body for this purpose."""
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - see above

        try:
            self._key.verify(signed.signature, purpose + signed.body)
        except InvalidSignature:
            return False
        return True


class PrivateKey:
    """Signs."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @classmethod
    def generate(cls) -> PrivateKey:
        """A new one, from the system's randomness."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415 - see above
            Ed25519PrivateKey,
        )

        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_pem(cls, data: bytes) -> PrivateKey:
        """The key in a PEM file (`BEGIN PRIVATE KEY`); DecodeError if it is no Ed25519 key."""
        from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - see above
        from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415
            Ed25519PrivateKey,
        )
        from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
            load_pem_private_key,
        )

        try:
            key = load_pem_private_key(data, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # TypeError: it is encrypted
            raise DecodeError(f"no private key in PEM: {error}") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise DecodeError("a private key, and not one of Ed25519")
        return cls(key)

    @property
    def public(self) -> PublicKey:
        """The half that gateways get."""
        return PublicKey(self._key.public_key())

    def sign(self, purpose: bytes, body: bytes) -> Signed:
        """A body with its signature for this purpose."""
        return Signed(body, self._key.sign(purpose + body))

    def pem(self) -> tuple[bytes, bytes]:
        """Both halves in PEM: the private one (PKCS #8, not encrypted) and the public one."""
        from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - see above
            Encoding,
            NoEncryption,
            PrivateFormat,
            PublicFormat,
        )

        private = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        public = self._key.public_key().public_bytes(
            Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
        )
        return private, public
