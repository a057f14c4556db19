"""AES-CCM as BTHome v2 uses it (wire/frame.py). Its library is loaded with the first key only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.bthome.wire.frame import ENCRYPTED, ON_EVENTS, VERSION, Sealed
from gateway.errors import DecodeError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESCCM

MIC = 4  # bytes
_UUID = bytes.fromhex("d2fc")


class Cipher:
    """The key of one device."""

    def __init__(self, key: bytes, address: str) -> None:
        """Args: 16 bytes, and the address of the device as it is printed."""
        from cryptography.hazmat.primitives.ciphers.aead import AESCCM  # noqa: PLC0415 - see above

        self._ccm: AESCCM = AESCCM(key, tag_length=MIC)
        self._address = bytes.fromhex(address.replace(":", ""))

    def open(self, sealed: Sealed) -> bytes:
        """The objects; DecodeError if the MIC is not of this key."""
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - see above

        nonce = self._nonce(sealed.address, sealed.info, sealed.counter)
        try:
            return self._ccm.decrypt(nonce, sealed.ciphertext + sealed.mic, None)
        except InvalidTag as error:
            raise DecodeError("the key is wrong, or the message forged") from error

    def seal(
        self, objects: bytes, counter: int, info: int = VERSION << 5 | ON_EVENTS | ENCRYPTED
    ) -> Sealed:
        """The objects as a device encrypts them."""
        data = self._ccm.encrypt(self._nonce(None, info, counter), objects, None)
        return Sealed(None, info, counter, data[:-MIC], data[-MIC:])

    def _nonce(self, address: bytes | None, info: int, counter: int) -> bytes:
        return (address or self._address) + _UUID + bytes([info]) + counter.to_bytes(4, "little")
