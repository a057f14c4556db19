"""A collector with all that is around it: broker, store, outputs; and its figures, if wanted."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from collector.outputs.teller import Teller
from collector.service import Collector
from collector.watched import WatchedStore, WatchedUplink
from gateway.model import Lane
from gateway.uplink import MqttUplink

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collector.metrics import CollectorFigures
    from collector.outputs.port import Output
    from collector.store import Store
    from gateway.settings import UplinkSettings
    from gateway.signing.signature import PrivateKey


class Assembly:
    """Made in the event loop that runs it.

    Args:
        settings: the broker.
        store: opened with the names of the outputs; it is not closed here.
        outputs: closed when `run` ends.
        share: name of a shared subscription, or empty.
        key: signs acknowledgements; None leaves them unsigned.
    """

    def __init__(
        self,
        settings: UplinkSettings,
        store: Store,
        outputs: Sequence[Output],
        share: str = "",
        key: PrivateKey | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.store = WatchedStore(store, self._ring)
        self.uplinks = {lane: WatchedUplink(lane, MqttUplink(settings), share) for lane in Lane}
        self.tellers = [Teller(store, output) for output in outputs]
        uplink_of = self.uplinks.__getitem__
        self.collector = Collector(settings, self.store, share=share, key=key, uplink=uplink_of)

    async def run(self) -> None:
        """Collect and tell until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for teller in self.tellers:
                tasks.create_task(teller.run())
            tasks.create_task(self.collector.run())

    def figures(self) -> CollectorFigures:
        """What there is to measure; its library is loaded only by who asks."""
        from collector.metrics import CollectorFigures  # noqa: PLC0415

        return CollectorFigures(self.collector, self.store, [*self.uplinks.values()], self.tellers)

    def _ring(self) -> None:
        """After a commit with alarms, on the thread of the commit."""
        for teller in self.tellers:
            self._loop.call_soon_threadsafe(teller.ring)
