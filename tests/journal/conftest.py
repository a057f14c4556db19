"""Small journals on a simulated disk."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from simdisk import Image, SimDisk

from gateway.codec import decode_event, gap_of
from gateway.errors import DecodeError
from gateway.journal import Journal
from gateway.journal.geometry import LaneGeometry
from gateway.model import Gap, Lane, Stamp, TimeQuality

SMALL = {Lane.URGENT: LaneGeometry(16 * 1024, 4), Lane.ROUTINE: LaneGeometry(20 * 1024, 5)}


class FixedClock:
    """Time stands still."""

    def stamp(self, uptime_ms: int | None = None) -> Stamp:
        return Stamp(b"bootboot", uptime_ms or 1000, 1_700_000_000_000, TimeQuality.UNKNOWN)


class Content:
    """What a journal gives back: payloads by seq, and the gaps it tells of."""

    def __init__(self, journal: Journal, lane: Lane) -> None:
        self.payloads: dict[int, bytes] = {}
        self.gaps: list[Gap] = []
        self.acknowledged = journal.acknowledged(lane)
        after = 0
        while True:
            while run := journal.read(lane, after, 4096):
                for seq, payload in enumerate(run.payloads, run.first):
                    assert seq > after, "order"
                    after = seq
                    self._take(seq, payload)
            journal.flush()  # reading may have found a loss and told of it
            if journal.read(lane, after, 1) is None:
                return

    def _take(self, seq: int, payload: bytes) -> None:
        try:
            self.gaps.append(gap_of(decode_event(payload)))
        except DecodeError:
            self.payloads[seq] = payload

    @property
    def lost(self) -> set[int]:
        return {seq for gap in self.gaps for seq in range(gap.first, gap.last + 1)}


@pytest.fixture
def open_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[SimDisk], Journal]:
    """Opens a journal of 16 and 20 KiB segments on a simulated disk."""
    monkeypatch.setattr("gateway.journal.journal.divide", lambda quota: SMALL)

    def opener(disk: SimDisk) -> Journal:
        return Journal.open(
            tmp_path / "j", quota_bytes=0, clock=FixedClock(), commit_interval_s=3600, files=disk
        )

    return opener


@pytest.fixture
def content(open_small: Callable[[SimDisk], Journal]) -> Callable[[Image, Lane], Content]:
    """Opens an image, reads a lane of it, closes it again."""

    def read(image: Image, lane: Lane) -> Content:
        journal = open_small(SimDisk(image))
        try:
            return Content(journal, lane)
        finally:
            journal.close()

    return read
