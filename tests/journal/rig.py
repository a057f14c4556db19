"""Small journals on a simulated disk: what the tests and the torture share."""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from simdisk import SimDisk

from gateway.journal import Journal
from gateway.journal.geometry import LaneGeometry
from gateway.model import Lane, Stamp, TimeQuality

Geometry = dict[Lane, LaneGeometry]

SMALL = {Lane.URGENT: LaneGeometry(16 * 1024, 4), Lane.ROUTINE: LaneGeometry(20 * 1024, 5)}
ROOMY = {Lane.URGENT: LaneGeometry(16 * 1024, 8), Lane.ROUTINE: LaneGeometry(20 * 1024, 8)}
PATIENCE_S = 10.0  # nothing here takes a tenth of a second; who waits longer waits for ever


class FixedClock:
    """Time stands still."""

    def stamp(self, uptime_ms: int | None = None) -> Stamp:
        return Stamp(b"bootboot", uptime_ms or 1000, 1_700_000_000_000, TimeQuality.UNKNOWN)


@dataclass(frozen=True)
class Rig:
    """Opens journals of small segments. Only their lock file is on a real disk."""

    folder: Path
    geometry: Geometry

    def open(self, disk: SimDisk) -> Journal:
        """What is on the disk, opened or made."""
        with patch("gateway.journal.store.divide", lambda quota: self.geometry):
            return Journal.open(
                self.folder, quota_bytes=0, clock=FixedClock(), commit_interval_s=3600, files=disk
            )

    @contextmanager
    def opened(self, disk: SimDisk) -> Iterator[Journal]:
        """The same, closed at the end."""
        journal = self.open(disk)
        try:
            yield journal
        finally:
            journal.close()


@contextmanager
def rig(folder: Path, geometry: Geometry = SMALL) -> Iterator[Rig]:
    """Journals opened meanwhile try soon again what the flash refused."""
    with (
        patch("gateway.journal.log.RETRY_INTERVAL_S", 0.005),
        patch("gateway.journal.log.PROBE_INTERVAL_S", 0.005),
        patch("gateway.journal.pending.RETRY_INTERVAL_S", 0.005),
    ):
        yield Rig(folder / "j", geometry)


@contextmanager
def repeatable(seed: int) -> Iterator[None]:
    """What the journal draws by lot (uuid, salts) depends on the seed alone.

    A thread goes on until it waits, so that events appended in a row are written as one group.
    """
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1.0)
    try:
        with patch.object(os, "urandom", random.Random(seed).randbytes):
            yield
    finally:
        sys.setswitchinterval(interval)


def settle(journal: Journal) -> None:
    """Wait until both writers wait: the same steps then give the same calls in the same order."""
    until = time.monotonic() + PATIENCE_S
    for log in journal._logs.values():
        while not log._changed._waiters and log._thread.is_alive():
            if time.monotonic() > until:
                raise TimeoutError("a writer does not come to rest")
            time.sleep(0)
