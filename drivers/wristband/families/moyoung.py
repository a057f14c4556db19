"""Moyoung bands (the app Da Fit): asked for what they measure; steps come by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.wristband.command import Command
from drivers.wristband.family import Family
from drivers.wristband.wire import moyoung
from drivers.wristband.wire.battery import decode_battery
from drivers.wristband.wire.profile import BATTERY_LEVEL
from gateway.errors import DecodeError

if TYPE_CHECKING:
    from datetime import datetime

    from drivers.wristband.wire.reading import Reading

_START = b"\x00"


_KINDS = (moyoung.HEART_RATE, moyoung.SPO2)


class Moyoung(Family):
    """A band with the service FEEA."""

    name = "moyoung"

    def __init__(self) -> None:
        self._decoder = moyoung.MoyoungDecoder()

    @classmethod
    def recognises(cls, offers: frozenset[str], name: str) -> bool:
        """By its service and the two ends of its packets."""
        del name
        return offers >= {moyoung.SERVICE, moyoung.WRITE, moyoung.NOTIFY}

    @property
    def told_by(self) -> tuple[str, ...]:
        """Packets, steps, and the standard battery level."""
        return (moyoung.NOTIFY, moyoung.STEPS, BATTERY_LEVEL)

    def start(self, now: datetime | None) -> list[Command]:
        """Set the clock."""
        if now is None:
            return []
        return [Command(moyoung.WRITE, moyoung.encode_time(now, v2=self._decoder.v2))]

    def poll(self, turn: int) -> list[Command]:
        """Heart rate and oxygen in turn: the band has one light for both."""
        return [self._write(_KINDS[turn % 2], _START)]

    def decode(self, uuid: str, data: bytes) -> Reading:
        """By where it came."""
        if uuid == moyoung.NOTIFY:
            return self._decoder.decode(data)
        if uuid == moyoung.STEPS:
            return moyoung.decode_steps(data)
        if uuid == BATTERY_LEVEL:
            return decode_battery(data)
        raise DecodeError(f"no characteristic of this family: {uuid}")

    def vibrate(self, *, on: bool) -> Command | None:
        """It vibrates as if it were looked for, and stops by itself."""
        return self._write(moyoung.FIND) if on else None

    def _write(self, kind: int, payload: bytes = b"") -> Command:
        packet = moyoung.encode_packet(kind, payload, v2=self._decoder.v2)
        return Command(moyoung.WRITE, packet)
