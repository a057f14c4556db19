"""Brokers, journals and events for the tests of uplink, forwarder and collector."""

import asyncio
import threading
from typing import NamedTuple

import pytest

from drivers.sim.broker import Broker, find_mosquitto
from gateway.codec import encode_event
from gateway.model import Event, Kind, Lane, Measurement, Stamp, TimeQuality
from gateway.settings import UplinkSettings

BOOT = bytes(range(8))
JOURNAL = bytes(range(16))
GATEWAY = "gw-1"
PATIENCE_S = 10.0  # how long a test waits for what must happen

needs_mosquitto = pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed")


def settings_for(broker: Broker, **changes) -> UplinkSettings:
    return UplinkSettings(url=broker.url, **{"keepalive": 10, "ack_timeout": 0.5, **changes})


def event_of(n: int, kind: Kind = Kind.MEASUREMENT, **changes) -> Event:
    stamp = Stamp(BOOT, n, 1_700_000_000_000 + n, TimeQuality.SYNCHRONISED)
    measurements = (Measurement("volume", n / 1000, "m3"),)
    fields = {"measurements": measurements, "labels": {"room": "kitchen"}, **changes}
    return Event(kind, "meter-1", fields.pop("stamp", stamp), **fields)


def payload_of(n: int) -> bytes:
    return encode_event(event_of(n))


async def until(condition, what: str = "", timeout_s: float = PATIENCE_S) -> None:
    """Wait until `condition()`; it is polled, for what nobody signals."""
    try:
        async with asyncio.timeout(timeout_s):
            while not condition():
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"never came: {what or condition}") from None


class Run(NamedTuple):
    first: int
    payloads: tuple[bytes, ...]


class MemoryBacklog:
    """The journal's reading side, in memory, with holes where a test wants them."""

    def __init__(self, uuid: bytes = JOURNAL) -> None:
        self.uuid = uuid
        self.freed: dict[Lane, list[int]] = {lane: [] for lane in Lane}
        self.reads = 0
        self._events: dict[Lane, dict[int, bytes]] = {lane: {} for lane in Lane}
        self._durable = dict.fromkeys(Lane, 0)
        self._acknowledged = dict.fromkeys(Lane, 0)
        self._callbacks = []
        self._lock = threading.Lock()

    def append(self, lane: Lane, *payloads: bytes) -> int:
        with self._lock:
            for payload in payloads:
                self._durable[lane] += 1
                self._events[lane][self._durable[lane]] = payload
        for callback in self._callbacks:
            callback(lane)
        return self._durable[lane]

    def lose(self, lane: Lane, first: int, last: int) -> None:
        with self._lock:
            for seq in range(first, last + 1):
                del self._events[lane][seq]

    def durable(self, lane: Lane) -> int:
        return self._durable[lane]

    def acknowledged(self, lane: Lane) -> int:
        return self._acknowledged[lane]

    def read(self, lane: Lane, after: int, max_bytes: int) -> Run | None:
        with self._lock:
            self.reads += 1
            events, seq = self._events[lane], after + 1
            while seq not in events and seq <= self._durable[lane]:
                seq += 1
            first, payloads, size = seq, [], 0
            while seq in events and (not payloads or size + len(events[seq]) <= max_bytes):
                payloads.append(events[seq])
                size += len(events[seq])
                seq += 1
            return Run(first, tuple(payloads)) if payloads else None

    def acknowledge(self, lane: Lane, through: int) -> None:
        with self._lock:
            assert self._acknowledged[lane] < through <= self._durable[lane]
            for seq in range(self._acknowledged[lane] + 1, through + 1):
                self._events[lane].pop(seq, None)
            self._acknowledged[lane] = through
            self.freed[lane].append(through)

    def watch(self, callback) -> None:
        self._callbacks.append(callback)
