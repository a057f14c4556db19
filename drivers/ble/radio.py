"""The radio that BLE devices hang on: one adapter, shared by all of them.

It scans once for all (scan.py), makes one connection at a time (BlueZ answers InProgress to a
second), holds as many as the adapter can (seats.py), tries harder when connecting fails
(ladder.py), and tells every open Link and every listener when the adapter goes. An adapter address
`sim:<path>` is a virtual adapter of `drivers.sim`; everything else is an adapter of BlueZ.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol

from bleak_retry_connector import BleakClientWithServiceCache, establish_connection

from drivers.ble.ladder import Ladder, Rung
from drivers.ble.link import Link, Lost
from drivers.ble.scan import Scanner
from drivers.ble.seats import Seats
from drivers.ble.trouble import TROUBLE, translate, translated
from gateway.errors import DeviceSilent, LinkLost

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from bleak.backends.device import BLEDevice

    from drivers.ble.advert import Advert
    from drivers.ble.seats import Seat

SIM_PREFIX = "sim:"

# The connector's own retries within one attempt. More is pointless: the driver comes again, with
# its own backoff, and others wait for the radio meanwhile.
ATTEMPTS = 2

# A device that waited longer for its seat is looked for again: BlueZ forgets what it does not hear.
STALE_S = 30.0

log = logging.getLogger("hearth.radio")


class Stack(Protocol):
    """What is below bleak: BlueZ, or a virtual adapter."""

    async def release(self, address: str) -> None:
        """Drop a connection to a device that an earlier process left behind."""
        ...

    async def power_on(self) -> None:
        """Have the adapter on; LinkLost if it does not get on."""
        ...

    async def forget(self, address: str) -> None:
        """Remove what is kept of a device."""
        ...

    async def power_cycle(self) -> None:
        """The adapter off and on; that is a loss of the stack."""
        ...

    async def close(self) -> None:
        """Give it back."""
        ...


class Radio:
    """One adapter, shared by all BLE devices of this daemon."""

    def __init__(self, adapter: str) -> None:
        self.seats = Seats()
        self._adapter = adapter
        self._stack: Stack | None = None
        self._client_options: dict[str, Any] = {}
        self._opening = asyncio.Lock()
        self._connecting = asyncio.Lock()
        self._scanner = Scanner(adapter)
        self._ladder = Ladder()
        self._links: set[Link] = set()

    async def connect(
        self, address: str, timeout_s: float, heard: Callable[[Advert], None]
    ) -> Link:
        """Find a device, wait for a seat, and connect.

        Args:
            address: of the device.
            timeout_s: for finding it, and again for connecting; waiting for a seat has no limit.
            heard: called with its advertisements until it is dialled.

        Raises:
            DeviceSilent: it is not heard, or does not answer.
            LinkLost: there is no adapter, or nothing to reach it by.
        """
        async with self.listen(address, heard):
            device = await self._find(address, timeout_s)
            seat = await self.seats.sit()
            try:
                if asyncio.get_running_loop().time() - seat.asked_s > STALE_S:
                    device = await self._find(address, timeout_s)
            except BaseException:
                self.seats.leave(seat)
                raise
        try:
            return await self._dial(device, seat, timeout_s)
        except BaseException:
            self.seats.leave(seat)
            raise

    @asynccontextmanager
    async def listen(self, address: str, heard: Callable[[Advert], None]) -> AsyncIterator[Lost]:
        """While inside, hear what an address advertises, until Lost tells that the radio is gone.

        Args:
            address: of the device.
            heard: called with every advertisement, from where it can raise nothing to anybody.

        Raises:
            DeviceSilent: the adapter does not scan.
            LinkLost: there is no adapter, or nothing to reach it by.
        """
        await self._open()
        listening = self._scanner.listening(address, heard)
        try:
            lost = await listening.__aenter__()
        except TROUBLE as error:
            await self._climb("", error)
            raise translate(error, address, self._adapter) from error
        self._ladder.worked("")
        try:
            yield lost
        finally:
            await listening.__aexit__(None, None, None)

    async def close(self) -> None:
        """Drop every link and give the adapter back."""
        for link in list(self._links):
            await link.close()
        stack, self._stack = self._stack, None
        if stack:
            await stack.close()

    # --- the stack

    async def _open(self) -> Stack:
        async with self._opening:
            if self._stack is None:
                stack, scanner, self._client_options = await self._open_stack()
                try:
                    await stack.power_on()
                except BaseException:
                    await stack.close()
                    raise
                self._stack = stack
                self._scanner.on_stack(stack, scanner)
            return self._stack

    async def _open_stack(self) -> tuple[Stack, dict[str, Any], dict[str, Any]]:
        """The stack, and what bleak's scanner and client want to know of it."""
        if self._adapter.startswith(SIM_PREFIX):
            from drivers.sim.stack import SimStack  # noqa: PLC0415 - virtual hardware only

            path = self._adapter.removeprefix(SIM_PREFIX)
            sim = await SimStack.open(path, self._on_stack_lost)
            return sim, {"backend": sim.scanner}, {"backend": sim.client}
        from drivers.ble.bluez import BluezWatch  # noqa: PLC0415 - BlueZ only

        options = {"bluez": {"adapter": self._adapter}}
        return await BluezWatch.open(self._adapter, self._on_stack_lost), options, options

    def _on_stack_lost(self, reason: str) -> None:
        self._stack = None
        for link in self._links:
            link.on_lost(reason)
        self.seats.turn_away(LinkLost(reason, where=self._adapter))
        self._scanner.on_stack_lost(reason)

    # --- connecting

    async def _find(self, address: str, timeout_s: float) -> BLEDevice:
        with translated(address, self._adapter):
            async with asyncio.timeout(timeout_s):
                await (await self._open()).release(address)
                return await self._scanner.find(address)

    async def _dial(self, device: BLEDevice, seat: Seat, timeout_s: float) -> Link:
        address = device.address
        try:
            async with self._connecting, asyncio.timeout(timeout_s):
                link = await self._establish(device, seat)
        except TROUBLE as error:
            await self._climb(address, error)
            raise translate(error, address, self._adapter) from error
        self._ladder.worked(address)
        seat.begin(asyncio.get_running_loop().time())
        return link

    async def _establish(self, device: BLEDevice, seat: Seat) -> Link:
        lost = Lost()
        client = await establish_connection(
            BleakClientWithServiceCache,
            device,
            device.name or device.address,
            disconnected_callback=lambda _client: lost.tell("the band disconnected"),
            max_attempts=ATTEMPTS,
            use_services_cache=False,  # a cache outlives bluetoothd, the paths in it do not
            **self._client_options,
        )
        link = Link(
            client,
            device.name or "",
            self._adapter,
            lost=lost,
            seat=seat,
            on_closed=self._on_closed,
        )
        self._links.add(link)
        if self._stack is None:
            link.on_lost("the adapter went away")
        return link

    def _on_closed(self, link: Link) -> None:
        self._links.discard(link)
        self.seats.leave(link.seat)

    async def _climb(self, address: str, error: Exception) -> None:
        """Connecting failed, or scanning ("" as the address): what the ladder says.

        Raises:
            DeviceSilent: nothing helped, and somebody should look at it.
            LinkLost: what was tried to help failed itself.
        """
        if self._stack is None:
            return  # that is the reason, and it is known
        now_s = asyncio.get_running_loop().time()
        rung = self._ladder.failed(address, now_s, others_work=bool(self._links))
        if rung is Rung.FORGET and address:
            log.info("%s: %s: has BlueZ forget it", address, error)
            await self._stack.forget(address)
        elif rung is Rung.CYCLE:
            log.warning("%s: %s: power-cycles it", self._adapter, error)
            await self._stack.power_cycle()
        elif rung is Rung.REPORT:
            raise DeviceSilent(
                f"is heard, but nothing gets it connected: {error}"
                if address
                else f"the adapter does not scan: {error}",
                where=address or self._adapter,
                hint="restart the band; if others fail as well, plug the adapter in again",
            ) from error
