"""A virtual band of the FFF0 family: it tells live what it measures, and it has an SOS button."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from drivers.sim.band_base import NOTIFY, WRITE, WRITE_WITHOUT_RESPONSE, BandBase
from drivers.sim.band_store import Fff0Store
from drivers.wristband.wire import fff0, fff0_record
from drivers.wristband.wire.frame import encode_frame

if TYPE_CHECKING:
    from datetime import datetime

    from drivers.sim.air import Air


class VirtualFff0(BandBase):
    """A band: set `rate`, `steps`, `metres`, `celsius`, `spo2`; press its button; garble it.

    What it tells of the past, and how, is `stored`.
    """

    advertised = (0xFFF0,)

    def __init__(self, air: Air, address: str, *, name: str = "J2208A", battery: int = 71) -> None:
        super().__init__(air, address, name=name, battery=battery)
        self.rate, self.steps, self.metres, self.celsius, self.spo2 = 68, 0, 0, 36.4, 0
        self.garbled = False  # whether its checksums are wrong
        self.live = False  # whether it was told to tell
        self.vibrations = 0  # how many times it was asked to vibrate
        self.clock = b""  # what it was last set to, BCD
        self.stored = Fff0Store()
        taken = self.taken(fff0.WRITE, WRITE | WRITE_WITHOUT_RESPONSE, self._on_frame)
        self.serve([(fff0.SERVICE, [taken, self.told(fff0.NOTIFY, NOTIFY)])])

    async def measured(self) -> None:
        """One live value; without heart rate and temperature while it is not worn."""
        rate, celsius = (self.rate, self.celsius) if self.worn else (0, 0)
        counts = struct.pack("<IIIII", self.steps, 4 * self.steps, self.metres // 10, 0, 0)
        vital = struct.pack("<BHB", rate, round(celsius * 10), self.spo2)
        await self.send(fff0.NOTIFY, bytes([fff0.LIVE]) + counts + vital)

    def store(
        self,
        at: datetime,
        *,
        rate: int | None = None,
        spo2: int | None = None,
        celsius: float | None = None,
    ) -> None:
        """It measured this, by its own clock, while nobody listened."""
        if rate is not None:
            self.stored.put(fff0_record.HEART_RATE, at, rate)
        if spo2 is not None:
            self.stored.put(fff0_record.SPO2_66, at, spo2)
        if celsius is not None:
            self.stored.put(fff0_record.TEMPERATURE, at, round(celsius * 10))

    async def press_sos(self, times: int = 1) -> None:
        """The wearer presses the button; bands repeat that until somebody answers."""
        for _ in range(times):
            await self.send(fff0.NOTIFY, encode_frame(fff0.SOS))

    def _on_frame(self, frame: bytes) -> None:
        command = frame[0]
        if command == fff0.SET_TIME:
            self.clock = frame[1:7]
            self.tell(fff0.NOTIFY, self._frame(command))
        elif command == fff0.LIVE:
            self.live = frame[1] == 1
        elif command == fff0.BATTERY:
            self.tell(fff0.NOTIFY, self._frame(command, bytes([self.battery])))
        elif command == fff0.VIBRATE:
            self.vibrations += frame[1]
        elif fff0_record.is_history(frame):
            self.tell(fff0.NOTIFY, *self.stored.answer(frame))

    def _frame(self, command: int, payload: bytes = b"") -> bytes:
        frame = encode_frame(command, payload)
        return frame[:-1] + bytes([frame[-1] ^ 0xFF]) if self.garbled else frame
