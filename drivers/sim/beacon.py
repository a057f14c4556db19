"""A virtual BTHome beacon: a button and sensors that say on the air what they are told to.

beacon = VirtualBeacon(air, "C0:FF:EE:00:00:02", key=bytes(16))
beacon.power_on()                      # says again and again what it said last, as beacons do
beacon.press("double")
beacon.measure((0x02, 25.06), (0x2D, 1))
beacon.replay()                        # somebody plays back the first thing it said
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bumble import ll
from bumble.core import AdvertisingData
from bumble.hci import Address

from drivers.bthome.cipher import Cipher
from drivers.bthome.wire.frame import encode_plain, encode_sealed
from drivers.bthome.wire.objects import BATTERY, BUTTON, NUMBERS, PACKET_ID, PRESSES, SIZES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from drivers.sim.air import Air

Object = tuple[int, float]  # id, and value as it is told: in SenML units

SERVICE = bytes.fromhex("d2fc")
ADVERTISING_INTERVAL_S = 0.02  # the shortest allowed: tests and demonstrations do not wait


def encode_objects(objects: Iterable[Object]) -> bytes:
    """The objects in the order of their ids; those of one id as they come."""
    ascending = sorted(objects, key=lambda it: it[0])
    return b"".join(bytes([kind]) + _encode(kind, value) for kind, value in ascending)


def _encode(kind: int, value: float) -> bytes:
    if kind not in NUMBERS:
        return round(value).to_bytes(SIZES[kind], "little")
    number = NUMBERS[kind]
    raw = round(value * number.per / number.times)
    return raw.to_bytes(number.size, "little", signed=number.signed)


class VirtualBeacon:
    """A beacon; with a key it encrypts."""

    def __init__(
        self,
        air: Air,
        address: str,
        *,
        key: bytes | None = None,
        counts_packets: bool = True,
        counts_repetitions: bool = True,
    ) -> None:
        """It is off.

        Args:
            air: where it is heard.
            address: its own.
            key: 16 bytes, or None.
            counts_packets: whether it sends a packet id.
            counts_repetitions: whether each repetition is encrypted anew, with the next counter.
        """
        self.address = address
        self.battery = 100  # %
        self.packet_id = 0
        self.counter = 0
        self.said: list[bytes] = []  # service data, each that was said for the first time
        self._cipher = Cipher(key, address) if key else None
        self._counts_packets = counts_packets
        self._counts_repetitions = counts_repetitions
        self._controller = air.controller("beacon")
        self._objects = b""
        self._repeating: asyncio.Task[None] | None = None
        self._strangers = 0  # how many there were

    def power_on(self) -> None:
        """Say again and again what it said last."""
        self.idle()
        self._repeating = asyncio.get_running_loop().create_task(self._repeat())

    async def power_off(self) -> None:
        """The battery is flat."""
        if self._repeating is not None:
            self._repeating.cancel()
            await asyncio.gather(self._repeating, return_exceptions=True)

    # --- what happens to it

    def idle(self) -> None:
        """Nothing: it says how its battery is, and that no button is pressed."""
        self.measure((BUTTON, 0))

    def press(self, kind: str = "press", *, button: int = 1, of: int = 1) -> None:
        """Somebody presses one of its buttons."""
        code = next(code for code, name in PRESSES.items() if name == kind)
        self.measure(*((BUTTON, code * (number == button)) for number in range(1, of + 1)))

    def measure(self, *objects: Object) -> None:
        """It has something new to say, beside its battery."""
        self.packet_id = (self.packet_id + 1) % 256
        packet = [(PACKET_ID, self.packet_id)] if self._counts_packets else []
        self._objects = encode_objects([*packet, (BATTERY, self.battery), *objects])
        self._say(self._message())

    def restart(self, counter: int = 0) -> None:
        """It gets a new battery, and counts from there."""
        self.counter, self.packet_id = counter, 0

    # --- what others do

    def replay(self, number: int = 0) -> None:
        """Somebody recorded something that it said, and plays it back."""
        self.send(self.said[number])

    def forge(self, kind: str = "press") -> None:
        """Somebody without the key pretends to be it."""
        code = next(code for code, name in PRESSES.items() if name == kind)
        self.send(encode_plain(encode_objects([(PACKET_ID, self.packet_id + 1), (BUTTON, code)])))

    def strangers(self, count: int) -> None:
        """So many other devices advertise a press, each under an address that is new."""
        data = encode_plain(encode_objects([(BUTTON, 1)]))
        first, self._strangers = self._strangers, self._strangers + count
        for number in range(first, self._strangers):
            self.send(data, f"D0:00:00:00:{number >> 8:02X}:{number & 0xFF:02X}")

    def send(self, data: bytes, address: str = "") -> None:
        """Any service data is advertised once."""
        fields = [
            (AdvertisingData.FLAGS, bytes([0x06])),
            (AdvertisingData.SERVICE_DATA_16_BIT_UUID, SERVICE + data),
        ]
        advertisement = bytes(AdvertisingData([(kind, value) for kind, value in fields]))
        self._controller.send_advertising_pdu(
            ll.AdvInd(Address(address or self.address), advertisement)
        )

    def _message(self) -> bytes:
        if self._cipher is None:
            return encode_plain(self._objects)
        self.counter += 1
        return encode_sealed(self._cipher.seal(self._objects, self.counter))

    def _say(self, data: bytes) -> None:
        self.said.append(data)
        self.send(data)

    async def _repeat(self) -> None:
        while True:
            await asyncio.sleep(ADVERTISING_INTERVAL_S)
            self.send(self._message() if self._counts_repetitions else self.said[-1])
