"""How long a band's call takes to the flash, and how long a dropped band stays away.

The driver, the journal and the supervisor's context are real and run in this process, as do the
virtual band, its radio and both Bluetooth stacks: there is no air time in these figures, and the
Python of the far side is in them.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING
from unittest.mock import patch

from benchmarks.disk import SlowFiles
from benchmarks.journal_events import call, open_journal
from benchmarks.report import Figure
from drivers import call as calls
from drivers.sim import band as standard
from drivers.sim.air import Air
from drivers.sim.band import VirtualBand
from drivers.sim.band_fff0 import VirtualFff0
from drivers.sim.hci import VirtualAdapter
from drivers.wristband.driver import RETRY_FIRST_S, WristbandDriver
from drivers.wristband.settings import WristbandSettings
from drivers.wristband.wire import fff0
from gateway.clock import SystemClock
from gateway.health import DeviceHealth
from gateway.journal.files import OsFiles
from gateway.model import Kind, Lane
from gateway.notes import FileNotes
from gateway.recorder import Recorder
from gateway.settings import DeviceSettings
from gateway.supervisor import DeviceContext, Shared

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from drivers.sim.band_base import BandBase
    from gateway.journal import Journal, Receipt
    from gateway.journal.files import Files
    from gateway.model import Observation

ADDRESS = "C0:FF:EE:00:00:01"
COMMIT_S = 2.0  # the default of [journal] commit_interval
WAIT_S = 30.0

PRESSES = 300
APART_S = (0.005, 0.030)  # between two presses, at random
RECORD_HEAD = 29  # bytes, so that the bare loop writes as much as the journal
ALLOWED_MS = 10.0  # from the band's frame to the flush; a person notices ten times that
CARD_FLUSH_S = 0.002  # a card's flush takes milliseconds

DROPS = 20
TOLD = (
    standard.HEART_RATE, standard.BATTERY, standard.OXIMETER, standard.OXIMETER_SPOT,
    standard.TEMPERATURE, standard.TREADMILL,
)  # fmt: skip


class WatchedContext(DeviceContext):
    """A device's real context, and the receipts of its calls."""

    def __init__(self, device: str, journal: Journal, folder: Path, shared: Shared) -> None:
        super().__init__(
            DeviceSettings(device, "wristband"),
            None,
            notes=FileNotes(folder / f"{device}.json"),
            recorder=Recorder(journal, SystemClock()),
            shared=shared,
            health=DeviceHealth(),
        )
        self.calls: asyncio.Queue[Receipt] = asyncio.Queue()

    def emit(self, observation: Observation) -> Receipt:
        """As the daemon does."""
        receipt = super().emit(observation)
        if observation.kind is Kind.CALL:
            self.calls.put_nowait(receipt)
        return receipt


@asynccontextmanager
async def driven(
    folder: Path, journal: Journal, *bands: BandBase, connections: int = 5
) -> AsyncIterator[list[WatchedContext]]:
    """The driver at work on each of these bands; their contexts."""
    shared = Shared()
    air = bands[0]._air
    async with VirtualAdapter(air, folder / "radio.sock") as adapter:
        contexts, tasks = [], []
        for band in bands:
            await band.power_on()
            settings = WristbandSettings(
                address=band.address, adapter=f"sim:{adapter.path}", connections=connections
            )
            contexts.append(WatchedContext(band.address.replace(":", ""), journal, folder, shared))
            driver = WristbandDriver(settings, contexts[-1])
            tasks.append(asyncio.create_task(driver.run()))
        try:
            yield contexts
        finally:
            for task in tasks:
                task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*tasks)
            await shared.close()


# --- a call to the flash ------------------------------------------------------------------------


class BareFile:
    """A file of zeros beside the journal; `flush_ms` is the disk at its best."""

    def __init__(self, files: Files, path: Path, flushes: int) -> None:
        self._files = files
        self._record = call() + bytes(RECORD_HEAD)
        self._fd = files.open(path, create=True)
        files.allocate(self._fd, len(self._record) * flushes)
        self._offset = 0

    def flush_ms(self) -> float:
        """One pwrite + fdatasync."""
        started = time.perf_counter()
        self._files.pwrite(self._fd, self._record, self._offset)
        self._files.fdatasync(self._fd)
        self._offset += len(self._record)
        return 1e3 * (time.perf_counter() - started)

    def close(self) -> None:
        """No more of it."""
        self._files.close(self._fd)


async def call_to_flash(folder: Path, where: str, files: Files) -> list[Figure]:
    """From the frame that the band sends to the receipt that says it is on flash.

    Between two presses the same disk is asked for one bare flush.
    """
    folder.mkdir()
    journal = open_journal(folder / "journal", interval_s=COMMIT_S, files=files)
    bare = BareFile(files, folder / "bare", PRESSES)
    band, moments = VirtualFff0(Air(), ADDRESS), random.Random(1)
    took_ms, flush_ms = [], []
    with patch.object(calls, "SAME_CALL_S", 0.0):
        async with driven(folder, journal, band) as (context,), asyncio.timeout(WAIT_S):
            await band.wait_subscribed(fff0.NOTIFY)
            await band.wait(lambda: band.live)
            for _ in range(PRESSES):
                await asyncio.sleep(moments.uniform(*APART_S))
                started = time.perf_counter()
                await band.press_sos()
                receipt = await context.calls.get()
                await receipt
                took_ms.append(1e3 * (time.perf_counter() - started))
                journal.acknowledge(Lane.URGENT, receipt.seq)
                flush_ms.append(bare.flush_ms())
    bare.close()
    journal.close()
    return [_compared(took_ms, flush_ms, share, where) for share in (50, 99)]


def _compared(took_ms: list[float], flush_ms: list[float], percent: int, where: str) -> Figure:
    """A percentile of the calls beside what is allowed and the same percentile of the flushes."""
    took, flush = (
        statistics.quantiles(times, n=100, method="inclusive")[percent - 1]
        for times in (took_ms, flush_ms)
    )
    note = f"{where}: a flush {flush:.2f} ms; worst {max(took_ms):.1f} ms of {len(took_ms)}"
    return Figure(f"band's SOS to flash, p{percent}", took, "ms", ALLOWED_MS + flush, "less", note)


async def calls_to_flash(folder: Path) -> list[Figure]:
    """On this disk, and on one whose flush takes as long as a card's."""
    card = f"simulated slow flush, + {1000 * CARD_FLUSH_S:.0f} ms"
    return [
        *await call_to_flash(folder / "here", "temporary folder", OsFiles()),
        *await call_to_flash(folder / "card", card, SlowFiles(CARD_FLUSH_S)),
    ]


# --- a drop -------------------------------------------------------------------------------------


async def drop_to_subscribed(folder: Path) -> Figure:
    """From a link that the band ends to all its characteristics subscribed again.

    The band can be found and connected at once; all its six characteristics count.
    """
    folder.mkdir()
    journal = open_journal(folder / "journal", interval_s=COMMIT_S)
    band, moments, times = VirtualBand(Air(), ADDRESS), random.Random(1), []
    async with driven(folder, journal, band), asyncio.timeout(DROPS * 2 * WAIT_S):
        await _all_subscribed(band, 1)
        for count in range(2, DROPS + 2):
            await band.beat(70)  # a band that said nothing is waited for longer
            await asyncio.sleep(moments.uniform(0.02, 0.1))
            dropped = time.perf_counter()
            await band.drop()
            await _all_subscribed(band, count)
            times.append(time.perf_counter() - dropped)
    journal.close()
    note = (
        f"median {statistics.median(times):.2f} s, best {min(times):.2f} s, {DROPS} drops;"
        f" the driver waits {RETRY_FIRST_S / 2:g} to {RETRY_FIRST_S:g} s of it"
    )
    return Figure("dropped link to subscribed again, worst", max(times), "s", 2, "less", note)


async def _all_subscribed(band: VirtualBand, times: int) -> None:
    for key in TOLD:
        await band.wait_subscribed(key, times)
