"""One connection: aiomqtt with what it leaves to us."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from typing import TYPE_CHECKING, Any, TypeVar

import aiomqtt
from paho.mqtt.client import MQTT_CLEAN_START_FIRST_ONLY
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from gateway.codec import MAX_BATCH_BYTES
from gateway.errors import UplinkLost
from gateway.uplink.inbox import Arrived, Inbox
from gateway.uplink.port import Message
from gateway.uplink.pubacks import Pubacks
from gateway.uplink.traffic import Traffic, traffic_of

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from paho.mqtt.client import Client as PahoClient
    from paho.mqtt.client import ConnectFlags, DisconnectFlags, MQTTMessage
    from paho.mqtt.reasoncodes import ReasonCode

    from gateway.uplink.port import Will

T = TypeVar("T")

# CONNACK of a broker that works comes in one round trip; a 2G modem that wakes takes some seconds.
CONNECT_TIMEOUT_S = 10.0
# A goodbye is a courtesy: the broker finds out anyway.
GOODBYE_TIMEOUT_S = 1.0
# A broker that answers pings but holds a PUBACK this long is stuck; another connection may help.
PUBACK_TIMEOUT_S = 120.0
# The largest packet taken: a batch, its topic and the packet's head.
PACKET_ALLOWANCE = 1024
MAX_PACKET_BYTES = MAX_BATCH_BYTES + PACKET_ALLOWANCE
_UNSUPPORTED_PROTOCOL = 0x84  # MQTT 5, table 3-1; paho gives it for 3.1.1's return code 1, too
_LOGGER = logging.getLogger("hearth.mqtt")


class Client(aiomqtt.Client):
    """aiomqtt with exact PUBACKs, an honest end, and a bounded inbox. One connection, then done."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        window: int,
        keepalive: int,
        protocol: aiomqtt.ProtocolVersion,
        will: Will | None,
        **options: Any,
    ) -> None:
        v5 = protocol is aiomqtt.ProtocolVersion.V5
        super().__init__(
            host,
            port,
            protocol=protocol,
            # paho pings after this time of silence and gives up after as much again, so half of
            # it finds a half-open link within what the settings promise.
            keepalive=max(1, keepalive // 2),
            clean_session=None if v5 else True,
            clean_start=True if v5 else MQTT_CLEAN_START_FIRST_ONLY,  # its default; 3.1.1 has none
            properties=_connect_properties(window) if v5 else None,
            max_inflight_messages=window,
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
            will=aiomqtt.Will(will.topic, will.payload, 1, retain=True) if will else None,
            logger=_LOGGER,
            **options,
        )
        self._client.manual_ack_set(True)
        self._where = f"{host}:{port}"
        self.max_payload = MAX_PACKET_BYTES - PACKET_ALLOWANCE
        self.pubacks = Pubacks(window)
        self.inbox = Inbox()
        self._traffic = Traffic()
        self._lost: UplinkLost | None = None
        self._connect_error: OSError | None = None

    # --- coming and going ---

    async def arrive(self) -> None:
        """Connect. A cancellation waits for the connecting thread, so that no socket is left."""
        connecting = asyncio.ensure_future(self.__aenter__())
        try:
            await asyncio.shield(connecting)
        except asyncio.CancelledError:
            self._connected.cancel()  # do not wait for CONNACK, too
            await asyncio.wait([connecting])
            self._close()
            raise
        except aiomqtt.MqttError as error:
            self._close()
            raise self._connect_error or error from error
        self.timeout = CONNECT_TIMEOUT_S
        self._disconnected.add_done_callback(self._on_lost)
        if self._client.socket() is None:  # closed between CONNACK and here
            self._fail("the link to the broker was lost at once")

    async def leave(self, *, polite: bool) -> None:
        """End the connection; with DISCONNECT if polite, which takes the last will back."""
        with contextlib.suppress(aiomqtt.MqttError):  # it is over either way
            if polite and self._lost is None:
                self.timeout = GOODBYE_TIMEOUT_S
                await self.__aexit__(None, None, None)
        self._close()
        self._fail("the session was ended")

    async def _wait_for(self, fut: Awaitable[T], timeout: float | None) -> T:  # noqa: ASYNC109 - its
        """As aiomqtt's, without asyncio.wait_for.

        That of Python 3.11 drops a cancellation that comes in the moment in which its answer comes
        (gh-86296; 3.12 does not). Whoever was to stop would go on for ever.
        """
        try:
            async with asyncio.timeout(self.timeout if timeout is None else timeout):
                return await fut
        except TimeoutError:
            raise aiomqtt.MqttError("Operation timed out") from None

    def version_refused(self, error: Exception) -> bool:
        """Whether this failure to connect can mean: the broker does not speak this version.

        Some say so; some hang up; amqtt waits for the rest of what it takes for a 3.1.1 packet.
        """
        code = reason_code_of(error)
        no_answer = isinstance(error, aiomqtt.MqttError) and code is None
        return no_answer or code == _UNSUPPORTED_PROTOCOL

    def check(self) -> None:
        """UplinkLost if the link is lost."""
        if self._lost is not None:
            raise UplinkLost(self._lost.what, where=self._where) from self._lost

    def traffic(self) -> Traffic:
        """What the connection has cost so far."""
        self._count(self._client.socket())
        return self._traffic

    def _count(self, sock: Any) -> None:
        if isinstance(sock, socket.socket) and sock.fileno() >= 0:
            self._traffic = traffic_of(sock) or self._traffic

    def _client_connect(self) -> None:
        try:
            super()._client_connect()
        except OSError as error:  # kept whole: aiomqtt keeps its text only
            self._connect_error = error
            raise

    def _close(self) -> None:
        """Close the socket now and take it off the event loop."""
        sock = self._client.socket()
        if sock is not None and sock.fileno() >= 0:
            self._on_socket_unregister_write(self._client, None, sock)
            self._on_socket_close(self._client, None, sock)
            sock.close()
        if self._disconnected.done() and not self._disconnected.cancelled():
            self._disconnected.exception()  # seen: it was told as UplinkLost

    def _on_socket_register_write(self, client: PahoClient, userdata: Any, sock: Any) -> None:  # noqa: ARG002
        """Write when there is room, unless the socket is closed before the loop gets to it.

        aiomqtt would watch the bare number, which by then can be another connection's.
        """
        self._loop.call_soon_threadsafe(self._watch_writable, sock)

    def _watch_writable(self, sock: Any) -> None:
        number = sock.fileno()
        if number >= 0 and self._client.socket() is sock:
            self._loop.add_writer(number, self._client.loop_write)

    def _on_socket_close(self, client: PahoClient, userdata: Any, sock: Any) -> None:
        self._count(sock)  # the last moment at which the kernel knows
        super()._on_socket_close(client, userdata, sock)

    def _on_connect(
        self,
        client: PahoClient,
        userdata: Any,
        flags: ConnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        """Take over the broker's limits (MQTT 5, 3.2.2.3.3 and 3.2.2.3.6)."""
        self.pubacks.narrow(getattr(properties, "ReceiveMaximum", self.pubacks.window))
        largest = getattr(properties, "MaximumPacketSize", MAX_PACKET_BYTES)
        self.max_payload = max(0, min(largest, MAX_PACKET_BYTES) - PACKET_ALLOWANCE)
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_disconnect(
        self,
        client: PahoClient,
        userdata: Any,
        flags: DisconnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        if not self._connected.done():
            self._connected.set_exception(aiomqtt.MqttError("closed before CONNACK"))
        super()._on_disconnect(client, userdata, flags, reason_code, properties)

    def _on_lost(self, ended: asyncio.Future[None]) -> None:
        error = None if ended.cancelled() else ended.exception()
        self._fail(f"the link to the broker was lost: {error or 'closed'}")

    def _fail(self, why: str) -> None:
        """From now on everything raises UplinkLost, what waits first."""
        self._lost = self._lost or UplinkLost(why, where=self._where)
        self.pubacks.fail(self._lost)
        self.inbox.wake()

    # --- out ---

    async def publish_confirmed(self, topic: str, payload: bytes, *, retain: bool) -> ReasonCode:
        """Publish with QoS 1 when there is room in the window; the reason code of the PUBACK."""
        await self.pubacks.slot()
        try:
            self.check()
            info = self._client.publish(topic, payload, 1, retain)
            future = self.pubacks.expect(info.mid)
        except BaseException:
            self.pubacks.give_back()
            raise
        if info.rc:
            self._fail(f"not sent: {info.rc.name}")
        try:
            async with asyncio.timeout(PUBACK_TIMEOUT_S):
                return await future
        except TimeoutError:
            self._close()
            self._fail(f"no PUBACK within {PUBACK_TIMEOUT_S:.0f} s")
            raise UplinkLost("the broker does not confirm", where=self._where) from None

    def _on_publish(
        self,
        client: PahoClient,  # noqa: ARG002
        userdata: Any,  # noqa: ARG002
        mid: int,
        reason_code: ReasonCode,
        properties: Properties,  # noqa: ARG002
    ) -> None:
        self.pubacks.confirmed(mid, reason_code)
        self._acknowledge_now()

    # --- in ---

    def _on_message(self, client: PahoClient, userdata: Any, message: MQTTMessage) -> None:  # noqa: ARG002
        item = Message(message.topic, bytes(message.payload))
        arrived = Arrived(item, message.mid, message.qos)
        if not self.inbox.put(arrived):
            # Confirmed and dropped: the end-to-end acknowledgement will be missing, so the sender
            # comes again. Only what has no flow control (MQTT 3.1.1, QoS 0) gets here.
            self.confirm(arrived)
        self._acknowledge_now()

    def _acknowledge_now(self) -> None:
        """Let the kernel send TCP's acknowledgement at once (tcp(7), TCP_QUICKACK; not lasting).

        mosquitto leaves Nagle's algorithm on: after a PUBACK it holds back the next small message,
        the collector's acknowledgement of a call, until TCP has acknowledged the PUBACK, and that
        the kernel would delay by 40 ms.
        """
        sock = self._client.socket()
        if isinstance(sock, socket.socket):  # paho's type allows for a WebSocket
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def confirm(self, arrived: Arrived) -> None:
        """Tell the broker that a message was taken; over a lost link it cannot be told."""
        if self._lost is None:
            self._client.ack(arrived.mid, arrived.qos)


def _connect_properties(window: int) -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.ReceiveMaximum = window
    properties.MaximumPacketSize = MAX_PACKET_BYTES
    return properties


def reason_code_of(error: Exception) -> int | None:
    """The reason code of a CONNACK that refused."""
    code = getattr(getattr(error, "rc", None), "value", None)
    return code if isinstance(code, int) else None
