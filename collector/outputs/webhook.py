"""Alarms by HTTP POST, signed (signature.py).

What the far end answers is a number: 2xx is told. The rest of its answer is not read, redirects are
not followed (the signature is meant for one receiver), and its time is bounded, so a server that
hangs, drips or sends without end costs one try.
"""

from __future__ import annotations

import ssl
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp

from collector.outputs.port import TOLD, Outcome, Verdict
from collector.outputs.signature import sign
from gateway.errors import SettingsError

if TYPE_CHECKING:
    from collector.outputs.alarm import Alarm

# TLS over a bad line takes a second; a server that is there answers a small POST within some.
CONNECT_TIMEOUT_S = 5.0
# Standard Webhooks advises 15 to 30 s; the store keeps a claim for 60 s.
TOTAL_TIMEOUT_S = 15.0
MAX_HEADER_BYTES = 8190
# What says "not now" rather than "not this": they are no word about the alarm.
_NOT_NOW = frozenset({408, 425, 429})


class Webhook:
    """Posts alarms to one URL.

    Args:
        url: see `check_url`.
        secrets: each signs; see `signature.secrets_of`.
        tls: whom to trust; by default what this machine trusts.
    """

    name = "webhook"
    width = 8
    in_order = False

    def __init__(
        self, url: str, secrets: tuple[bytes, ...], tls: ssl.SSLContext | None = None
    ) -> None:
        self._url, self._secrets = url, secrets
        self._host = urlsplit(url).hostname or ""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=tls or ssl.create_default_context()),
            timeout=aiohttp.ClientTimeout(total=TOTAL_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            trust_env=True,  # HTTPS_PROXY, where a network lets nobody out otherwise
        )

    async def tell(self, alarm: Alarm) -> Verdict:
        """Post one alarm."""
        timestamp_s = int(time.time())
        headers = {
            "content-type": "application/json",
            "user-agent": "hearth",
            "webhook-id": alarm.id,
            "webhook-timestamp": str(timestamp_s),
            "webhook-signature": sign(self._secrets, alarm.id, timestamp_s, alarm.json),
        }
        try:
            async with self._session.post(
                self._url, data=alarm.json, headers=headers, allow_redirects=False
            ) as answer:
                answer.close()  # whatever follows the headers is not waited for
                return self._verdict(answer.status, answer.headers.get("retry-after", ""))
        except TimeoutError:
            return self._failed("no answer in time")
        except (aiohttp.ClientError, ssl.SSLError, OSError, ValueError) as error:
            return self._failed(f"{type(error).__name__}: {_first_line(error)}")

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    def _verdict(self, status: int, retry_after: str) -> Verdict:
        if 200 <= status < 300:
            return TOLD
        if 400 <= status < 500 and status not in _NOT_NOW:
            return Verdict(Outcome.REFUSED, f"{self._host} refuses it: {status}")
        if 300 <= status < 400:
            return self._failed(f"{status}: redirects are not followed; give the URL it leads to")
        return self._failed(str(status), pause_s_of(retry_after))

    def _failed(self, what: str, pause_s: float = 0.0) -> Verdict:
        return Verdict(Outcome.FAILED, f"{self._host}: {what}", pause_s)


def check_url(url: str, *, allow_plaintext: bool) -> None:
    """SettingsError if alarms must not go there: they tell who lies on the floor, and where."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise SettingsError([f"--webhook: no URL: {error}"]) from error
    if parts.scheme not in {"https", "http"} or not host:
        raise SettingsError(["--webhook: not an https:// URL"])
    if parts.username or parts.password:
        raise SettingsError(
            ["--webhook: carries a password, and everybody on this machine can see it"],
            hint="the receiver knows hearth by the signature; see --webhook-secret-file",
        )
    if parts.scheme == "http" and not (allow_plaintext or _is_loopback(host)):
        raise SettingsError(
            ["--webhook: http:// to another machine can be read on the way"],
            hint="use https://, or --allow-plaintext where the network itself is trusted",
        )


def pause_s_of(retry_after: str) -> float:
    """What `Retry-After` asks for (RFC 9110, 10.2.3): seconds or a date; 0 if it is neither."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0.0
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (until - datetime.now(UTC)).total_seconds())


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:200]
