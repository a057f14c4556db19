"""Colmi R0x rings: asked for what they measure, one value after the other. They do not vibrate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.wristband.command import Command
from drivers.wristband.family import Family
from drivers.wristband.wire import colmi
from drivers.wristband.wire.colmi_history import HeartRateLog
from gateway.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from drivers.wristband.history import History
    from drivers.wristband.wire.reading import Reading


_KINDS = (colmi.HEART_RATE, colmi.SPO2)


class Colmi(Family):
    """A ring of the R0x series."""

    name = "colmi"
    stores = (HeartRateLog.name,)

    def __init__(self) -> None:
        self._decoder = colmi.ColmiDecoder()

    @classmethod
    def recognises(cls, offers: frozenset[str], name: str) -> bool:
        """By its service, which nobody else has."""
        del name
        return offers >= {colmi.SERVICE, colmi.WRITE, colmi.NOTIFY}

    @property
    def told_by(self) -> tuple[str, ...]:
        """Everything comes in frames on one characteristic."""
        return (colmi.NOTIFY,)

    def start(self, now: datetime | None) -> list[Command]:
        """Set the clock; measuring begins with the first poll."""
        return [self._write(colmi.encode_time(now))] if now else []

    def poll(self, turn: int) -> list[Command]:
        """Battery, steps, and heart rate and oxygen in turn: the ring has one light for both."""
        frames = (
            colmi.ask_battery(),
            colmi.ask_steps(),
            colmi.stop(_KINDS[(turn + 1) % 2]),
            colmi.start(_KINDS[turn % 2]),
        )
        return [self._write(frame) for frame in frames]

    def histories(self, now: datetime, since: Mapping[str, datetime]) -> list[History]:
        """The heart-rate log, from the day of the newest value that is durable."""
        return [HeartRateLog(now, since.get(HeartRateLog.name))]

    def decode(self, uuid: str, data: bytes) -> Reading:
        """One frame."""
        if uuid != colmi.NOTIFY:
            raise DecodeError(f"no characteristic of this family: {uuid}")
        return self._decoder.decode(data)

    def _write(self, frame: bytes) -> Command:
        return Command(colmi.WRITE, frame)
