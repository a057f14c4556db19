"""An open connection to one BLE device."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from drivers.ble.trouble import TROUBLE, translated

if TYPE_CHECKING:
    from collections.abc import Callable

    from bleak import BleakClient
    from bleak.backends.characteristic import BleakGATTCharacteristic

    from drivers.ble.seats import Seat

# How long a goodbye may take. BlueZ answers within 2 s; a link that does not is gone anyway.
GOODBYE_S = 3.0

# An ATT transaction is over after 30 s at the latest (Core 5.4, Vol 3, Part F, 3.3.3).
TRANSACTION_S = 30.0


class Lost:
    """Whether a link is lost, and why. There before the link is, as it may be lost while made."""

    def __init__(self) -> None:
        self._reason: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def tell(self, reason: str) -> None:
        """It is lost; only the first reason counts."""
        if not self._reason.done():
            self._reason.set_result(reason)

    async def wait(self) -> str:
        """The reason, once the link is lost."""
        return await asyncio.shield(self._reason)


class Link:
    """An open connection to one band."""

    def __init__(
        self,
        client: BleakClient,
        name: str,
        adapter: str,
        *,
        lost: Lost,
        seat: Seat,
        on_closed: Callable[[Link], None],
    ) -> None:
        self.name = name  # what the band calls itself on the air; "" if it does not
        self._client = client
        self._adapter = adapter
        self.seat = seat
        self._lost = lost
        self._on_closed = on_closed
        self._characteristics: dict[str, BleakGATTCharacteristic] = {}
        for characteristic in client.services.characteristics.values():
            self._characteristics.setdefault(characteristic.uuid.lower(), characteristic)
        services = {service.uuid.lower() for service in client.services}
        self.offers = frozenset(services | self._characteristics.keys())  # UUIDs, in lower case
        self._subscribed: set[str] = set()

    def can_read(self, uuid: str) -> bool:
        """Whether the band has this characteristic, to be read."""
        return self._has(uuid, "read")

    def can_tell(self, uuid: str) -> bool:
        """Whether the band has this characteristic, to be subscribed."""
        return self._has(uuid, "notify") or self._has(uuid, "indicate")

    def can_write(self, uuid: str) -> bool:
        """Whether the band has this characteristic, to be written."""
        return self._has(uuid, "write") or self._has(uuid, "write-without-response")

    async def read(self, uuid: str) -> bytes:
        """The value of a characteristic; DeviceRefused, DeviceSilent or LinkLost if it fails."""
        with translated(self._client.address, self._adapter):
            async with asyncio.timeout(TRANSACTION_S):
                value = await self._client.read_gatt_char(self._characteristics[uuid])
        return bytes(value)

    async def subscribe(self, uuid: str, told: Callable[[bytes], None]) -> None:
        """Have `told` called with every value of a characteristic, anew if it was before.

        Errors as in `read`.
        """
        characteristic = self._characteristics[uuid]
        with translated(self._client.address, self._adapter):
            async with asyncio.timeout(TRANSACTION_S):
                if uuid in self._subscribed:
                    await self._client.stop_notify(characteristic)
                self._subscribed.add(uuid)
                await self._client.start_notify(
                    characteristic, lambda _characteristic, data: told(bytes(data))
                )

    async def write(self, uuid: str, data: bytes) -> None:
        """Write a characteristic, and wait for the band's word where it gives one; errors alike."""
        response = self._has(uuid, "write")
        with translated(self._client.address, self._adapter):
            async with asyncio.timeout(TRANSACTION_S):
                await self._client.write_gatt_char(
                    self._characteristics[uuid], data, response=response
                )

    async def wait_lost(self) -> str:
        """The reason, once the link is lost."""
        return await self._lost.wait()

    async def turn_over(self) -> None:
        """Return when others wait for a connection, and this had its turn."""
        await self.seat.over()

    def on_lost(self, reason: str) -> None:
        """The radio says that the link cannot be alive any more."""
        self._lost.tell(reason)

    async def close(self) -> None:
        """Disconnect. A link that cannot say goodbye any more is closed all the same."""
        self._on_closed(self)
        with suppress(*TROUBLE):
            async with asyncio.timeout(GOODBYE_S):
                await self._client.disconnect()

    def _has(self, uuid: str, way: str) -> bool:
        characteristic = self._characteristics.get(uuid)
        return characteristic is not None and way in characteristic.properties
