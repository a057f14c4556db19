"""The adapter: sessions with the broker of `[uplink]`, over aiomqtt."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import aiomqtt

from gateway.errors import PublishRefused, UplinkLost
from gateway.uplink.client import CONNECT_TIMEOUT_S, Client, reason_code_of
from gateway.uplink.credentials import password_of, tls_context_of
from gateway.uplink.hints import Hints

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.settings import BrokerSettings
    from gateway.uplink.port import Message, Session, Will
    from gateway.uplink.traffic import Traffic

# mosquitto's default for messages in flight (max_inflight_messages); more would wait in the broker.
WINDOW = 20
# A broker that took the connection and does not answer MQTT 5 in this time may not speak it.
FALL_BACK_AFTER_S = 3.0
_SUBACK_FAILURE = 0x80  # MQTT 3.1.1, 3.9.3; of MQTT 5 all from there on are


class MqttUplink:
    """Sessions with one broker.

    Args:
        settings: the table that names it: `[uplink]` or `[mirror]`.
        client_id: the MQTT client identifier; a stable one lets the broker drop a half-open
            predecessor. Empty: the broker, or paho, picks one.
        will: what the broker publishes, retained, when a session ends.
        window: how many publishes may be in flight; the broker's Receive Maximum may lower it.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        *,
        client_id: str = "",
        will: Will | None = None,
        window: int = WINDOW,
    ) -> None:
        self._settings = settings
        self._hints = Hints(settings)
        self._client_id = client_id
        self._will = will
        self._window = window
        self._version: aiomqtt.ProtocolVersion | None = None

    @property
    def version(self) -> str:
        """The MQTT version that worked last: "5", "3.1.1", or "" before the first session."""
        if self._version is None:
            return ""
        return "5" if self._version is aiomqtt.ProtocolVersion.V5 else "3.1.1"

    def check(self) -> None:
        """Read the files the settings name; SettingsError if one will not do."""
        password_of(self._settings)
        tls_context_of(self._settings)

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[Session]:
        """Connect, and disconnect at the end.

        Raises:
            UplinkLost: no connection; the hint says what to look at.
            SettingsError: a file that the settings name will not do.
        """
        client = await self._connect()
        try:
            yield MqttSession(client)
        finally:
            await client.leave(polite=self._will is None)

    async def _connect(self) -> Client:
        known, self._version = self._version, None
        tries = (known,) if known else (aiomqtt.ProtocolVersion.V5, aiomqtt.ProtocolVersion.V311)
        for version in tries:
            more = version is not tries[-1]
            client = await self._client(version, FALL_BACK_AFTER_S if more else CONNECT_TIMEOUT_S)
            try:
                await client.arrive()
            except (aiomqtt.MqttError, OSError) as error:
                if more and client.version_refused(error):
                    continue
                raise await self._lost(error) from error
            self._version = version
            return client
        raise UplinkLost("the broker speaks neither MQTT 5 nor 3.1.1", where=self._settings.url)

    async def _client(self, version: aiomqtt.ProtocolVersion, timeout_s: float) -> Client:
        settings, (host, port) = self._settings, self._settings.address
        return Client(
            host,
            port,
            window=self._window,
            timeout=timeout_s,
            identifier=self._client_id or None,
            protocol=version,
            username=settings.username or None,
            password=await asyncio.to_thread(password_of, settings),
            tls_context=await asyncio.to_thread(tls_context_of, settings),
            keepalive=settings.keepalive,
            will=self._will,
        )

    async def _lost(self, error: Exception) -> UplinkLost:
        hint = await self._hints.of(error, reason_code_of(error))
        return UplinkLost(f"no connection: {error}", where=self._settings.url, hint=hint)


class MqttSession:
    """One connection, seen from above; see Session."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @property
    def window(self) -> int:
        """How many publishes may be in flight at once."""
        return self._client.pubacks.window

    @property
    def max_payload(self) -> int:
        """The most bytes of payload the broker takes."""
        return self._client.max_payload

    @property
    def dropped(self) -> int:
        """Messages that came in beyond the bound of the inbox."""
        return self._client.inbox.dropped

    @property
    def traffic(self) -> Traffic:
        """What the connection has cost so far."""
        return self._client.traffic()

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish with QoS 1; returns on PUBACK."""
        if len(payload) > self.max_payload:
            raise PublishRefused(
                f"Packet too large ({len(payload)} bytes; {self.max_payload} are taken)",
                where=topic,
                hint="lower [uplink] max_batch",
            )
        reason = await self._client.publish_confirmed(topic, payload, retain=retain)
        if reason.is_failure:
            raise PublishRefused(
                str(reason), where=topic, hint="look at the broker's access rules for this client"
            )

    async def subscribe(self, topic: str) -> None:
        """Subscribe with QoS 1; UplinkLost if the broker refuses."""
        self._client.check()
        try:
            granted = await self._client.subscribe(topic, 1)
        except aiomqtt.MqttError as error:
            raise UplinkLost(f"not subscribed: {error}", where=topic) from error
        if any(getattr(code, "value", code) >= _SUBACK_FAILURE for code in granted):
            raise UplinkLost(
                f"the broker refused the subscription: {granted[0]}",
                where=topic,
                hint="look at the broker's access rules for this client",
            )

    async def receive(self, limit: int) -> list[Message]:
        """What has come in, oldest first, up to `limit`; waits for the first."""
        while not self._client.inbox:
            self._client.check()
            await self._client.inbox.arrival()
        taken = self._client.inbox.take(limit)
        for arrived in taken:
            self._client.confirm(arrived)
        return [arrived.message for arrived in taken]

    async def messages(self) -> AsyncIterator[Message]:
        """What comes in, one by one, until the link is lost."""
        while True:
            for message in await self.receive(1):
                yield message
