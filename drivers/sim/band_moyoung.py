"""A virtual Moyoung band: it measures when asked, and answers in packets, by fragments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.sim.band_base import NOTIFY, READ, WRITE, WRITE_WITHOUT_RESPONSE, BandBase
from drivers.wristband.wire import moyoung

if TYPE_CHECKING:
    from drivers.sim.air import Air

BATTERY = 0x2A19
_NOT_MEASURED = 0xFF


class VirtualMoyoung(BandBase):
    """A band: set `rate`, `spo2`, `steps`; take it off; let it break its packets."""

    advertised = (0xFEEA,)

    def __init__(self, air: Air, address: str, *, name: str = "MT863", battery: int = 55) -> None:
        super().__init__(air, address, name=name, battery=battery)
        self.rate, self.spo2 = 75, 96
        self.v2 = False  # whether its packets are of the second version
        self.fragment = 20  # bytes in one notification
        self.garbled = False  # whether its packets begin wrongly
        self.found = 0  # how often somebody looked for it
        self.clock = 0  # what it was last set to: s of local time as if it were GMT+8
        level = self.computed(BATTERY, READ | NOTIFY, lambda: bytes([self.battery]))
        taken = self.taken(moyoung.WRITE, WRITE | WRITE_WITHOUT_RESPONSE, self._on_packet)
        own = [taken, self.told(moyoung.NOTIFY), self.told(moyoung.STEPS)]
        self.serve([(moyoung.SERVICE, own), (0x180F, [level])])

    async def walked(self, steps: int, metres: int, kcal: int) -> None:
        """It says by itself how far today went so far."""
        counts = b"".join(n.to_bytes(3, "little") for n in (steps, metres, kcal))
        await self.send(moyoung.STEPS, counts)

    async def set_battery(self, percent: int) -> None:
        """The battery changes, and says so."""
        self.battery = percent
        await self.send(BATTERY, bytes([percent]))

    def _on_packet(self, packet: bytes) -> None:
        kind, payload = packet[4], packet[5:]
        if kind == moyoung.SET_TIME:
            self.clock = int.from_bytes(payload[:4], "big")
        elif kind == moyoung.FIND:
            self.found += 1
        elif kind in {moyoung.HEART_RATE, moyoung.SPO2}:
            value = self.rate if kind == moyoung.HEART_RATE else self.spo2
            self._answer(kind, bytes([value if self.worn else _NOT_MEASURED]))

    def _answer(self, kind: int, payload: bytes) -> None:
        packet = moyoung.encode_packet(kind, payload, v2=self.v2)
        if self.garbled:
            packet = b"\xea\xfe" + packet[2:]
        size = self.fragment
        self.tell(moyoung.NOTIFY, *(packet[at : at + size] for at in range(0, len(packet), size)))
