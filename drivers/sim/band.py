"""A virtual wristband: a real GATT server on a virtual radio, and a person who wears it.

band = VirtualBand(air, "C0:FF:EE:00:00:01")
await band.power_on()
await band.beat(72)                # one notification of each kind, to whoever subscribed
band.walk_away(); band.come_back(); await band.drop()
await band.live(resting_heart)     # a beat a second for ever
"""

from __future__ import annotations

import asyncio
import math
import struct
from typing import TYPE_CHECKING

from drivers.sim.band_base import (
    INDICATE,
    NOTIFY,
    READ,
    WRITE,
    WRITE_WITHOUT_RESPONSE,
    BandBase,
    Key,
)
from drivers.wristband.wire.current_time import decode_current_time

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from drivers.sim.air import Air

BEAT_INTERVAL_S = 1.0  # what bands do

HEART_RATE, BATTERY, ALERT_LEVEL, CURRENT_TIME = 0x2A37, 0x2A19, 0x2A06, 0x2A2B
OXIMETER, OXIMETER_SPOT, OXIMETER_FEATURES, TEMPERATURE = 0x2A5F, 0x2A5E, 0x2A60, 0x2A1C
TREADMILL = 0x2ACD


def resting_heart(elapsed_s: float) -> int:
    """A heart rate curve: 66 beats a minute at rest, 5 up and down with every quarter minute."""
    return round(66 + 5 * math.sin(2 * math.pi * elapsed_s / 15))


class VirtualBand(BandBase):
    """A wristband with heart rate, oximeter, thermometer, battery, a clock and a motor."""

    advertised = (0x180D, 0x180F, 0x1822)

    def __init__(
        self, air: Air, address: str, *, name: str = "Hearth Band", battery: int = 87
    ) -> None:
        super().__init__(air, address, name=name, battery=battery)
        self.alerts: list[int] = []  # every alert level written: 0 none, 1 mild, 2 high
        self.clock: datetime | None = None  # what it was last set to
        identity = {0x2A29: "Hearth", 0x2A24: "Virtual Band", 0x2A26: "1.0"}
        strings = [
            self.computed(short, READ, lambda text=text: text.encode())  # type: ignore[misc]
            for short, text in identity.items()
        ]
        level = self.computed(BATTERY, READ | NOTIFY, lambda: bytes([self.battery]))
        features = self.computed(OXIMETER_FEATURES, READ, lambda: bytes(2))
        oximeter = [features, self.told(OXIMETER), self.told(OXIMETER_SPOT, INDICATE)]
        self.serve(
            [
                (0x180D, [self.told(HEART_RATE)]),
                (0x180F, [level]),
                (0x1822, oximeter),
                (0x1809, [self.told(TEMPERATURE, INDICATE)]),
                (0x1802, [self.taken(ALERT_LEVEL, WRITE_WITHOUT_RESPONSE, self._alert)]),
                (0x1805, [self.taken(CURRENT_TIME, WRITE, self._set_clock)]),
                (0x1826, [self.told(TREADMILL)]),
                (0x180A, strings),
            ]
        )

    # --- what it measures

    async def beat(self, rate: int, *, rr: Sequence[float] = ()) -> None:
        """One heart rate notification: beats a minute and RR intervals (s)."""
        flags = 0x04 | (0x02 if self.worn else 0) | (0x10 if rr else 0)
        intervals = b"".join(struct.pack("<H", round(second * 1024)) for second in rr)
        await self.send(HEART_RATE, bytes([flags, rate]) + intervals)

    async def oxygen(self, spo2: float, pulse: float) -> None:
        """One continuous oximeter notification: %, beats a minute."""
        device_status = 0 if self.worn else 1 << 11
        body = b"\x08" + _sfloat(spo2) + _sfloat(pulse) + device_status.to_bytes(3, "little")
        await self.send(OXIMETER, body)

    async def temperature(self, celsius: float) -> None:
        """One temperature indication."""
        mantissa = round(celsius * 100) & 0xFFFFFF
        await self.send(TEMPERATURE, b"\x00" + struct.pack("<I", 0xFE << 24 | mantissa))

    async def walk(self, km_h: float, metres: int) -> None:
        """One treadmill notification: speed, and distance so far."""
        body = struct.pack("<HH", 0x0004, round(km_h * 100)) + metres.to_bytes(3, "little")
        await self.send(TREADMILL, body)

    async def set_battery(self, percent: int) -> None:
        """The battery changes, and says so."""
        self.battery = percent
        await self.send(BATTERY, bytes([percent]))

    async def live(
        self, rate: Callable[[float], int] = resting_heart, interval: float = BEAT_INTERVAL_S
    ) -> None:
        """Beat for ever by a curve of seconds to beats a minute."""
        started = asyncio.get_running_loop().time()
        while True:
            await self.beat(rate(asyncio.get_running_loop().time() - started))
            await asyncio.sleep(interval)

    async def wait_subscribed(self, key: Key = HEART_RATE, times: int = 1) -> None:
        """Until a central subscribed to a characteristic, for the n-th time in all."""
        await super().wait_subscribed(key, times)

    async def wait_alert(self) -> int:
        """Until an alert was written; the last one."""
        await self.wait(lambda: bool(self.alerts))
        return self.alerts[-1]

    def _alert(self, value: bytes) -> None:
        self.alerts += value[:1]

    def _set_clock(self, value: bytes) -> None:
        self.clock = decode_current_time(value)


def _sfloat(value: float) -> bytes:
    """IEEE 11073 SFLOAT with one decimal."""
    return struct.pack("<H", 0xF << 12 | round(value * 10) & 0xFFF)
