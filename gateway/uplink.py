"""The MQTT port, and its one adapter: the only file that imports aiomqtt.

An Uplink gives Sessions. A Session is one connection, and it tells the truth about it: `publish`
returns on the broker's PUBACK, raises PublishRefused when the PUBACK is a refusal, and a lost link
fails everything that waits at once. Nothing outlives a session: there is no persistent session, no
queue and no resending here, because the journal is the outbox and a second one beside it could
only disagree with it. So each connection is a new client.

What aiomqtt 2.5 leaves to us, each held by a test against a real broker:
- a refused PUBACK looks like a success (its `on_publish` drops the reason code);
- publishes that wait when the link drops fail only after their time-out;
- the broker's Receive Maximum and Maximum Packet Size are not obeyed;
- a connection closed before CONNACK (how some brokers answer a version they do not speak) is
  found by time-out only;
- a small message from the broker waits 40 ms for TCP (`_acknowledge_now`);
- incoming messages are confirmed before anybody took them, and their queue has no bound.

MQTT 5 is tried first: only there a broker can say no to a publish. A broker that does not speak it
is met with 3.1.1, and the version that worked is kept for the next connection.

A session with a last will ends without DISCONNECT, so that "offline" is always told by the broker,
in one way, whether the process stopped, crashed or lost power.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import ssl
import stat
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from urllib.parse import urlsplit

import aiomqtt
from paho.mqtt.client import MQTT_CLEAN_START_FIRST_ONLY
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from gateway.codec import MAX_BATCH_BYTES
from gateway.errors import PublishRefused, SettingsError, UplinkLost

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from paho.mqtt.client import Client as PahoClient
    from paho.mqtt.client import ConnectFlags, DisconnectFlags, MQTTMessage
    from paho.mqtt.reasoncodes import ReasonCode

    from gateway.model import Lane
    from gateway.settings import UplinkSettings

TOPIC_ROOT = "hearth/v1"
# mosquitto's default for messages in flight (max_inflight_messages); more would wait in the broker.
WINDOW = 20
# CONNACK of a broker that works comes in one round trip; a 2G modem that wakes takes some seconds.
CONNECT_TIMEOUT_S = 10.0
# A broker that took the connection and does not answer MQTT 5 in this time may not speak it.
FALL_BACK_AFTER_S = 3.0
# A goodbye is a courtesy: the broker finds out anyway.
GOODBYE_TIMEOUT_S = 1.0
# A broker that answers pings but holds a PUBACK this long is stuck; another connection may help.
PUBACK_TIMEOUT_S = 120.0
# What waits for the application: as many as the window, and bytes for a few of the largest.
INBOX_MESSAGES = 256
INBOX_BYTES = 8 * 1024 * 1024
# The largest packet taken: a batch, its topic and the packet's head.
PACKET_ALLOWANCE = 1024
MAX_PACKET_BYTES = MAX_BATCH_BYTES + PACKET_ALLOWANCE
MAX_PASSWORD_BYTES = 65_535  # MQTT's own limit
_DEFAULT_PORTS = {"mqtt": 1883, "mqtts": 8883}
_UNSUPPORTED_PROTOCOL = 0x84  # MQTT 5, table 3-1; paho gives it for 3.1.1's return code 1, too
_BAD_CREDENTIALS = frozenset({0x86, 0x87})
_SUBACK_FAILURE = 0x80  # MQTT 3.1.1, 3.9.3; of MQTT 5 all from there on are
_LOGGER = logging.getLogger("hearth.mqtt")


def up_topic(gateway: str, lane: Lane) -> str:
    """Where batches of a lane go up; gateway `+` is every gateway."""
    return f"{TOPIC_ROOT}/{gateway}/up/{lane.name.lower()}"


def ack_topic(gateway: str) -> str:
    """Where the collector acknowledges."""
    return f"{TOPIC_ROOT}/{gateway}/ack"


def state_topic(gateway: str) -> str:
    """Where online and offline are retained."""
    return f"{TOPIC_ROOT}/{gateway}/state"


class Message(NamedTuple):
    """What came in."""

    topic: str
    payload: bytes


class Will(NamedTuple):
    """What the broker publishes, retained, when the session ends."""

    topic: str
    payload: bytes


class Session(Protocol):
    """One connection to a broker. Every method raises UplinkLost once it is lost."""

    @property
    def window(self) -> int:
        """How many publishes may be in flight at once."""
        ...

    @property
    def max_payload(self) -> int:
        """The most bytes of payload the broker takes."""
        ...

    @property
    def dropped(self) -> int:
        """Messages that came in faster than they were received, beyond the bound of the inbox."""
        ...

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish with QoS 1; returns on PUBACK.

        Raises:
            PublishRefused: the broker's PUBACK says no, or the payload is larger than it takes.
            UplinkLost: the link broke first; whether the broker has the message is unknown.
        """
        ...

    async def subscribe(self, topic: str) -> None:
        """Subscribe with QoS 1; UplinkLost if the broker refuses."""
        ...

    async def receive(self, limit: int) -> list[Message]:
        """What has come in, oldest first, up to `limit`; waits for the first.

        A message is confirmed to the broker when it is given out here, so the broker's window
        bounds what waits in memory.
        """
        ...

    def messages(self) -> AsyncIterator[Message]:
        """What comes in, one by one, until the link is lost."""
        ...


class Uplink(Protocol):
    """Where sessions come from."""

    def session(self) -> AbstractAsyncContextManager[Session]:
        """Connect; UplinkLost (with a hint) or SettingsError if that fails."""
        ...


class MqttUplink:
    """Sessions with the broker of `[uplink]`.

    Args:
        settings: the table `[uplink]`.
        client_id: the MQTT client identifier; a stable one lets the broker drop a half-open
            predecessor. Empty: the broker, or paho, picks one.
        will: what the broker publishes, retained, when a session ends.
        window: how many publishes may be in flight; the broker's Receive Maximum may lower it.
    """

    def __init__(
        self,
        settings: UplinkSettings,
        *,
        client_id: str = "",
        will: Will | None = None,
        window: int = WINDOW,
    ) -> None:
        self._settings = settings
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
        _password(self._settings)
        _tls_context(self._settings)

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

    async def _connect(self) -> _Client:
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
                raise _lost(self._settings.url, error) from error
            self._version = version
            return client
        raise UplinkLost("the broker speaks neither MQTT 5 nor 3.1.1", where=self._settings.url)

    async def _client(self, version: aiomqtt.ProtocolVersion, timeout_s: float) -> _Client:
        settings, url = self._settings, urlsplit(self._settings.url)
        return _Client(
            url.hostname or "",
            url.port or _DEFAULT_PORTS[url.scheme],
            window=self._window,
            timeout=timeout_s,
            identifier=self._client_id or None,
            protocol=version,
            username=settings.username or None,
            password=await asyncio.to_thread(_password, settings),
            tls_context=await asyncio.to_thread(_tls_context, settings),
            keepalive=settings.keepalive,
            will=self._will,
        )


class MqttSession:
    """One connection, seen from above; see Session."""

    def __init__(self, client: _Client) -> None:
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


class _Client(aiomqtt.Client):
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
        self.pubacks = _Pubacks(window)
        self.inbox = _Inbox()
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

    def version_refused(self, error: Exception) -> bool:
        """Whether this failure to connect can mean: the broker does not speak this version.

        Some say so; some hang up; amqtt waits for the rest of what it takes for a 3.1.1 packet.
        """
        code = _code(error)
        no_answer = isinstance(error, aiomqtt.MqttError) and code is None
        return no_answer or code == _UNSUPPORTED_PROTOCOL

    def check(self) -> None:
        """UplinkLost if the link is lost."""
        if self._lost is not None:
            raise UplinkLost(self._lost.what, where=self._where) from self._lost

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
        arrived = _Arrived(item, message.mid, message.qos)
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

    def confirm(self, arrived: _Arrived) -> None:
        """Tell the broker that a message was taken; over a lost link it cannot be told."""
        if self._lost is None:
            self._client.ack(arrived.mid, arrived.qos)


class _Pubacks:
    """The window of publishes in flight, and who waits for which PUBACK."""

    def __init__(self, window: int) -> None:
        self.window = window
        self._slots = asyncio.Semaphore(window)
        self._waiting: dict[int, asyncio.Future[ReasonCode]] = {}

    def narrow(self, window: int) -> None:
        """Lower the window to the broker's; before the first publish."""
        if window < self.window:
            self.window = window
            self._slots = asyncio.Semaphore(window)

    async def slot(self) -> None:
        """Wait for room in the window, first come first served, and take it."""
        await self._slots.acquire()

    def give_back(self) -> None:
        """The slot was not used."""
        self._slots.release()

    def expect(self, mid: int) -> asyncio.Future[ReasonCode]:
        """A future for the PUBACK of packet id `mid`; it gives back the slot when it comes."""
        future: asyncio.Future[ReasonCode] = asyncio.get_running_loop().create_future()
        self._waiting[mid] = future
        return future

    def confirmed(self, mid: int, reason: ReasonCode) -> None:
        """The PUBACK came. A publish cancelled meanwhile held its slot until now."""
        future = self._waiting.pop(mid, None)
        if future is not None:
            self._slots.release()
            if not future.done():
                future.set_result(reason)

    def fail(self, error: UplinkLost) -> None:
        """None will come any more. Those who wait for room come next, and see the link lost."""
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            self._slots.release()
            if not future.done():
                future.set_exception(UplinkLost(error.what, where=error.where))


class _Arrived(NamedTuple):
    message: Message
    mid: int
    qos: int


class _Inbox:
    """What came in and nobody took yet; bounded in messages and bytes."""

    def __init__(self) -> None:
        self.dropped = 0
        self._items: deque[_Arrived] = deque()
        self._bytes = 0
        self._event = asyncio.Event()

    def __len__(self) -> int:
        return len(self._items)

    def put(self, arrived: _Arrived) -> bool:
        """Take it in; False if there is no room."""
        size = len(arrived.message.payload)
        if len(self._items) >= INBOX_MESSAGES or self._bytes + size > INBOX_BYTES:
            self.dropped += 1
            return False
        self._bytes += size
        self._items.append(arrived)
        self._event.set()
        return True

    def take(self, limit: int) -> list[_Arrived]:
        """The oldest, up to `limit`."""
        taken = [self._items.popleft() for _ in range(min(limit, len(self._items)))]
        self._bytes -= sum(len(arrived.message.payload) for arrived in taken)
        return taken

    async def arrival(self) -> None:
        """Wait until something came in, or `wake`."""
        self._event.clear()
        await self._event.wait()

    def wake(self) -> None:
        """Let who waits look at the link."""
        self._event.set()


def _connect_properties(window: int) -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.ReceiveMaximum = window
    properties.MaximumPacketSize = MAX_PACKET_BYTES
    return properties


# --- files of the settings ---------------------------------------------------------------------


def _password(settings: UplinkSettings) -> str | None:
    """The password in `password_file`; SettingsError if it cannot be read or others can read it."""
    if not settings.password_file:
        return None
    path = Path(settings.password_file)
    try:
        if path.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
            fault = f"uplink.password_file: {path} is open to every user of this machine"
            raise SettingsError([fault], hint=f"chmod 600 {path}")
        with path.open("rb") as file:
            data = file.read(MAX_PASSWORD_BYTES + 3)
        password = data.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([f"uplink.password_file: cannot be read: {error}"]) from error
    if not password or len(data) > MAX_PASSWORD_BYTES:
        raise SettingsError([f"uplink.password_file: {path} holds no password"])
    return password


def _tls_context(settings: UplinkSettings) -> ssl.SSLContext | None:
    """The TLS of an mqtts:// URL: the broker's chain and name are checked; 1.2 is the least."""
    if urlsplit(settings.url).scheme != "mqtts":
        return None
    try:
        context = ssl.create_default_context(cafile=settings.ca or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if settings.cert:
            context.load_cert_chain(settings.cert, settings.key)
    except (OSError, ssl.SSLError) as error:
        fault = f"uplink: ca, cert or key cannot be loaded: {error}"
        raise SettingsError([fault], hint="PEM files, readable by the daemon's user") from error
    return context


# --- telling what went wrong -------------------------------------------------------------------


def _lost(url: str, error: Exception) -> UplinkLost:
    return UplinkLost(f"no connection: {error}", where=url, hint=_hint(error))


def _code(error: Exception) -> int | None:
    """The reason code of a CONNACK that refused."""
    code = getattr(getattr(error, "rc", None), "value", None)
    return code if isinstance(code, int) else None


def _hint(error: Exception) -> str:
    if _code(error) in _BAD_CREDENTIALS:
        return "the broker does not know this client; look at username, password_file, cert"
    if getattr(error, "errno", None) == errno.ECONNREFUSED:
        return "nobody listens there; is the broker running, is the port right?"
    hints = (hint for kind, hint in _HINTS.items() if isinstance(error, kind))
    return next(hints, "is the broker reachable from here?")


# The narrower error first: each is also one of those after it that it derives from.
_HINTS: dict[type[Exception], str] = {
    ssl.SSLCertVerificationError: "its certificate must be signed by `ca` and name the host",
    ssl.SSLError: "does it speak TLS on this port, and does it ask for a client certificate?",
    socket.gaierror: "the broker's name does not resolve; look at the name and at DNS",
    aiomqtt.MqttError: "it took the connection but gives no answer; does it want TLS?",
}
