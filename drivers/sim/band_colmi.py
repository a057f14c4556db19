"""A virtual ring of the Colmi R0x series: it measures when asked, and answers in frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.sim.band_base import NOTIFY, WRITE, WRITE_WITHOUT_RESPONSE, BandBase
from drivers.sim.band_store import ColmiStore
from drivers.wristband.wire import colmi
from drivers.wristband.wire.colmi_history import HEART_RATE_LOG
from drivers.wristband.wire.frame import encode_frame

if TYPE_CHECKING:
    from datetime import datetime

    from drivers.sim.air import Air

_DAY = bytes([0x26, 0x11, 0x25])  # BCD; whatever day it is, the driver asked for today


class VirtualColmi(BandBase):
    """A ring: set `rate`, `spo2`, `quarters`, `battery`; take it off; let it garble its frames.

    What it tells of the past, and how, is `stored`.
    """

    def __init__(
        self, air: Air, address: str, *, name: str = "R02_A1B2", battery: int = 64
    ) -> None:
        super().__init__(air, address, name=name, battery=battery)
        self.rate = 72
        self.spo2 = 97
        self.quarters: list[tuple[int, int, int]] = []  # of today: steps, metres, calories / 10
        self.garbled = False  # whether its checksums are wrong
        self.refused: set[int] = set()  # commands it answers with an error
        self.clock = b""  # what it was last set to, BCD
        self.stored = ColmiStore()
        taken = self.taken(colmi.WRITE, WRITE | WRITE_WITHOUT_RESPONSE, self._on_frame)
        self.serve([(colmi.SERVICE, [taken, self.told(colmi.NOTIFY, NOTIFY)])])

    async def measured(self, kind: int = colmi.HEART_RATE) -> None:
        """One more value of a running measurement."""
        await self.send(colmi.NOTIFY, self._live(kind))

    def store(self, at: datetime, *, rate: int) -> None:
        """It measured this, by its own clock, while nobody listened."""
        self.stored.put(at, rate)

    async def walked(self, steps: int, metres: int) -> None:
        """It says by itself how far today went so far."""
        counts = steps.to_bytes(3, "big") + bytes(3) + metres.to_bytes(3, "big")
        await self.send(colmi.NOTIFY, self._frame(colmi.TOLD, bytes([colmi.TOLD_TODAY]) + counts))

    async def set_battery(self, percent: int) -> None:
        """The battery changes, and says so."""
        self.battery = percent
        payload = bytes([colmi.TOLD_BATTERY, percent])
        await self.send(colmi.NOTIFY, self._frame(colmi.TOLD, payload))

    def _on_frame(self, frame: bytes) -> None:
        command = frame[0]
        if command in self.refused:
            self.tell(colmi.NOTIFY, self._frame(command | 0x80, b"\xee"))
        elif command == colmi.SET_TIME:
            self.clock = frame[1:7]
            self.tell(colmi.NOTIFY, self._frame(command))
        elif command == colmi.BATTERY:
            self.tell(colmi.NOTIFY, self._frame(command, bytes([self.battery, 0])))
        elif command == colmi.STEPS:
            self.tell(colmi.NOTIFY, *self._steps())
        elif command == colmi.START:
            self.tell(colmi.NOTIFY, self._live(frame[1]))
        elif command == HEART_RATE_LOG:
            self.tell(colmi.NOTIFY, *self.stored.answer(frame))

    def _live(self, kind: int) -> bytes:
        value = self.rate if kind == colmi.HEART_RATE else self.spo2
        error = 0 if self.worn else 1
        return self._frame(colmi.START, bytes([kind, error, value if self.worn else 0]))

    def _steps(self) -> list[bytes]:
        total = len(self.quarters)
        if not total:
            return [self._frame(colmi.STEPS, bytes([colmi.NO_STEPS]))]
        frames = [self._frame(colmi.STEPS, bytes([colmi.STEPS_HEADER, total, 1]))]
        for index, (steps, metres, energy) in enumerate(self.quarters):
            counts = b"".join(n.to_bytes(2, "little") for n in (energy, steps, metres))
            payload = _DAY + bytes([4 * index, index, total]) + counts
            frames.append(self._frame(colmi.STEPS, payload))
        return frames

    def _frame(self, command: int, payload: bytes = b"") -> bytes:
        frame = encode_frame(command, payload)
        return frame[:-1] + bytes([frame[-1] ^ 0xFF]) if self.garbled else frame
