"""What a fitter should look at when there is no connection.

Python tells that a certificate does not fit, and not what is in it. So after such a fault there is
one more handshake, in which the broker's name and the dates are not checked: what it then says of
itself is repeated only because an authority that we know signed it. It is asked once, not with
every try to connect: a SIM card has a budget. Nothing is ever sent over that connection.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from gateway.errors import SettingsError
from gateway.uplink.credentials import path_of, tls_context_of

if TYPE_CHECKING:
    from gateway.settings import BrokerSettings

_BAD_CREDENTIALS = frozenset({0x86, 0x87})  # MQTT 5, table 3-1
# A look at a certificate costs a fitter's patience, and holds up the next try to connect.
_LOOK_TIMEOUT_S = 5.0
# X509_V_ERR_* of OpenSSL 3 (x509_vfy.h).
_NOT_YET, _EXPIRED, _SELF_SIGNED = 9, 10, 18
_OTHER_HOST = frozenset({62, 64})  # name, address
_NO_CHECK_TIME = ssl.VerifyFlags(0x200000)  # X509_V_FLAG_NO_CHECK_TIME
# Reasons of OpenSSL, and what they mean here.
_OLD_TLS = frozenset({"UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION"})
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"})

# The narrower error first: each is also one of those after it that it derives from.
_HINTS: dict[type[OSError], str] = {
    socket.gaierror: "the broker's name does not resolve; look at the name and at DNS",
    ConnectionRefusedError: "nobody listens there; is the broker running, is the port right?",
    OSError: "is the broker reachable from here?",
}
_NO_TLS_SPOKEN = "it speaks no TLS on this port; is the port right? 8883 is usual for mqtts://"


class Hints:
    """Of one broker. Remembers what its certificate said, for as long as the fault is the same."""

    def __init__(self, settings: BrokerSettings) -> None:
        self._settings = settings
        self._tls = urlsplit(settings.url).scheme == "mqtts"
        self._told: tuple[int, str] = (0, "")

    async def of(self, error: Exception, reason_code: int | None) -> str:
        """What to look at.

        Args:
            error: why there is no connection.
            reason_code: of the CONNACK, if there was one.
        """
        if reason_code in _BAD_CREDENTIALS:
            return "the broker does not know this client; look at username, password_file, cert"
        if isinstance(error, ssl.SSLCertVerificationError):
            return await self._of_certificate(error.verify_code)
        if isinstance(error, ssl.SSLError):
            return self._of_tls(error)
        if self._tls and isinstance(error, ConnectionResetError):
            return _NO_TLS_SPOKEN
        if not isinstance(error, OSError):
            return self._of_silence()
        return next(hint for kind, hint in _HINTS.items() if isinstance(error, kind))

    async def _of_certificate(self, code: int) -> str:
        if code not in {_NOT_YET, _EXPIRED, *_OTHER_HOST}:
            return _of_authority(code)
        if self._told[0] != code:
            found = await asyncio.to_thread(self._look)
            self._told = code, _of_contents(code, found, self._settings.address[0])
        return self._told[1]

    def _look(self) -> dict[str, Any]:
        """What the broker's certificate says, whoever it is for and whenever it is valid.

        Nothing if the authority that signed it is not known.
        """
        try:
            context = tls_context_of(self._settings) or ssl.create_default_context()
            context.check_hostname = False
            context.verify_flags |= _NO_CHECK_TIME
            address = self._settings.address
            with (
                socket.create_connection(address, _LOOK_TIMEOUT_S) as link,
                context.wrap_socket(link, server_hostname=address[0]) as secured,
            ):
                return secured.getpeercert() or {}
        except (OSError, SettingsError):
            return {}

    def _of_tls(self, error: ssl.SSLError) -> str:
        if error.reason in _OLD_TLS:
            return "the broker offers only TLS 1.1 or older; it must offer 1.2 or 1.3"
        if error.reason in _NO_TLS or isinstance(error, ssl.SSLEOFError):
            return _NO_TLS_SPOKEN
        return f"TLS failed. {self._of_client_certificate()}"

    def _of_silence(self) -> str:
        """It took the connection and ended it: TLS 1.3 refuses a client only after that."""
        if self._tls:
            return f"it ended the TLS connection. {self._of_client_certificate()}"
        return "it took the connection but gives no answer; does it want TLS?"

    def _of_client_certificate(self) -> str:
        if not self._settings.cert:
            return "If it asks for a client certificate, set cert and key"
        name = self._settings.cert
        if ended := _ended(self._settings):
            return f"The certificate in {name} expired on {ended}: have it renewed"
        return f"Does it know the authority that signed {name}?"


def _of_authority(code: int) -> str:
    if code == _SELF_SIGNED:
        return (
            "the broker signed its certificate itself; if that is yours, name that file in `ca`,"
            " and nobody else's will be taken"
        )
    return (
        "this gateway does not know who signed the broker's certificate; `ca` must name the"
        " certificate of that authority"
    )


def _of_contents(code: int, found: dict[str, Any], host: str) -> str:
    today = time.strftime("%Y-%m-%d", time.gmtime())
    if code in _OTHER_HOST:
        names = [value for kind, value in found.get("subjectAltName", ()) if kind in _NAMES]
        whose = ", ".join(names[:5]) or "another host"
        return (
            f"the broker's certificate is for {whose}, not for {host}; correct `url`, or have one"
            " issued for that name"
        )
    if code == _EXPIRED:
        when = f" on {_day(found['notAfter'])}" if "notAfter" in found else ""
        return (
            f"the broker's certificate expired{when}: have it renewed. Here it is {today}: is that"
            " right?"
        )
    when = f" from {_day(found['notBefore'])}" if "notBefore" in found else " later"
    return f"the broker's certificate is valid only{when}; here it is {today}: is that right?"


_NAMES = frozenset({"DNS", "IP Address"})


def _day(when: str) -> str:
    """`2026-11-26` of a time as a certificate has it."""
    return time.strftime("%Y-%m-%d", time.gmtime(ssl.cert_time_to_seconds(when)))


def _ended(settings: BrokerSettings) -> str:
    """The day on which the gateway's own certificate expired; empty if it did not."""
    from cryptography import x509  # noqa: PLC0415 - only who is refused needs it

    try:
        data = path_of(f"{settings.table}.cert", settings.cert).read_bytes()
        end = x509.load_pem_x509_certificate(data).not_valid_after_utc
    except (OSError, ValueError, SettingsError):
        return ""
    return f"{end:%Y-%m-%d}" if end.timestamp() < time.time() else ""
