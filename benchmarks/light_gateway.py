"""A gateway seen from the broker and the collector, and no more: thousands fit into one process.

One MQTT 5 session as `gateway/uplink/` has it (client id, last will, subscription to the
acknowledgements, online retained, pings), real batches of real events, and the wait for their
acknowledgement. There is no journal behind it. Made for load: what a broker refuses ends it.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from typing import TYPE_CHECKING

from gateway.codec import decode_ack, encode_batch
from gateway.forwarding.forwarder import state_payload
from gateway.model import Batch, Lane
from gateway.uplink import ack_topic, state_topic, up_topic

if TYPE_CHECKING:
    from collections.abc import Callable

# What the uplink asks of its broker with keepalive = 30, the default: half of it.
PING_S = 15
# Packet types with their flags; MQTT 5, table 2-1.
CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, PINGREQ, PINGRESP = (
    0x10, 0x20, 0x30, 0x40, 0x82, 0x90, 0xC0, 0xD0,
)  # fmt: skip
QOS_1, RETAIN = 0x02, 0x01
CLEAN_WITH_WILL = 0x02 | 0x04 | 0x08 | 0x20  # clean start; will, of QoS 1, retained
FAILURE = 0x80  # reason codes from here on


def _text(text: str) -> bytes:
    return _bytes(text.encode())


def _bytes(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def _packet(head: int, body: bytes) -> bytes:
    """MQTT 5, 2.1: the length in groups of seven bits."""
    left, length = len(body), bytearray()
    while True:
        left, low = left >> 7, left & 0x7F
        length.append(low | (0x80 if left else 0))
        if not left:
            return bytes([head]) + bytes(length) + body


def connect_packet(client: str, topic: str, will: bytes) -> bytes:
    """CONNECT with a last will and no properties."""
    head = _text("MQTT") + bytes([5, CLEAN_WITH_WILL]) + PING_S.to_bytes(2, "big") + b"\x00"
    return _packet(CONNECT, head + _text(client) + b"\x00" + _text(topic) + _bytes(will))


def publish_packet(topic: str, number: int, payload: bytes, flags: int = QOS_1) -> bytes:
    """PUBLISH, QoS 1."""
    head = _text(topic) + number.to_bytes(2, "big") + b"\x00"
    return _packet(PUBLISH | flags, head + payload)


def split(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """The whole packets (head, body) at the front of a stream, and the rest."""
    packets, at = [], 0
    while True:
        length, shift, here = 0, 0, at + 1
        while here < len(data):
            length |= (data[here] & 0x7F) << shift
            here += 1
            if not data[here - 1] & 0x80:
                break
            shift += 7
        else:
            return packets, data[at:]
        if here + length > len(data):
            return packets, data[at:]
        packets.append((data[at], data[here : here + length]))
        at = here + length


class LightGateway(asyncio.Protocol):
    """One gateway.

    Args:
        name: its id.
        acknowledged: called with itself, the events and the seconds since they were sent.
    """

    def __init__(self, name: str, acknowledged: Callable[[LightGateway, int, float], None]) -> None:
        self.name = name
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting: dict[int, tuple[float, int]] = {}  # by first seq: when sent, how many
        self.lost: str = ""
        self._journal = os.urandom(16)
        self._seq = 0
        self._number = 0
        self._rest = b""
        self._acknowledged = acknowledged
        self._transport: asyncio.Transport | None = None
        self._ping: asyncio.TimerHandle | None = None

    def send(self, events: tuple[bytes, ...]) -> None:
        """One batch, its seqs behind those before."""
        first, self._seq = self._seq + 1, self._seq + len(events)
        payload = encode_batch(Batch(self.name, self._journal, Lane.ROUTINE, first, events))
        self.waiting[first] = time.perf_counter(), len(events)
        self._publish(up_topic(self.name, Lane.ROUTINE), payload)

    def close(self) -> None:
        """Go without a word."""
        if self._ping is not None:
            self._ping.cancel()
        if self._transport is not None:
            self._transport.abort()

    # --- asyncio's side ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Introduce itself."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        will = state_payload("offline")
        transport.write(connect_packet(f"hearth-{self.name}", state_topic(self.name), will))

    def connection_lost(self, error: Exception | None) -> None:
        """It is over."""
        self.lost = self.lost or f"connection lost: {error}"
        if not self.ready.done():
            self.ready.set_exception(ConnectionError(self.lost))

    def data_received(self, data: bytes) -> None:
        """Packets, or parts of them."""
        packets, self._rest = split(self._rest + data)
        for head, body in packets:
            self._take(head, body)
        self._acknowledge_now()

    # --- within ---

    def _take(self, head: int, body: bytes) -> None:
        kind = head & 0xF0
        if kind == PUBLISH:
            self._take_message(body)
        elif kind == CONNACK and body[1] < FAILURE:
            self._settle()
        elif kind == SUBACK & 0xF0 and body[-1] < FAILURE:
            self.ready.set_result(None)
        elif kind not in (PUBACK, PINGRESP) or (kind == PUBACK and body[2:3] >= b"\x80"):
            self.lost = f"the broker said {head:#x} {body.hex()}"
            self.close()

    def _settle(self) -> None:
        """Subscribe, be online, ping."""
        self._number += 1
        number = self._number.to_bytes(2, "big")
        self._write(_packet(SUBSCRIBE, number + b"\x00" + _text(ack_topic(self.name)) + b"\x01"))
        self._publish(state_topic(self.name), state_payload("online"), QOS_1 | RETAIN)
        self._tick()

    def _tick(self) -> None:
        self._ping = asyncio.get_running_loop().call_later(PING_S, self._tick)
        self._write(_packet(PINGREQ, b""))

    def _take_message(self, body: bytes) -> None:
        """PUBLISH with QoS 1: an acknowledgement."""
        at = 2 + int.from_bytes(body[:2], "big")
        self._write(_packet(PUBACK, body[at : at + 2]))
        ack = decode_ack(body[at + 3 + body[at + 2] :])
        sent = self.waiting.pop(ack.first, None)
        if sent is not None:
            self._acknowledged(self, sent[1], time.perf_counter() - sent[0])

    def _acknowledge_now(self) -> None:
        """As the uplink does, and for its reason (gateway/uplink/client.py)."""
        sock = self._transport.get_extra_info("socket") if self._transport is not None else None
        if sock is not None and sock.fileno() >= 0:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def _publish(self, topic: str, payload: bytes, flags: int = QOS_1) -> None:
        self._number = self._number % 0xFFFF + 1
        self._write(publish_packet(topic, self._number, payload, flags))

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)
