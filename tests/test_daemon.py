"""The daemon's own small duties, where they meet a journal that takes nothing."""

from __future__ import annotations

import asyncio

import pytest

from gateway import daemon as daemon_module
from gateway.daemon import Daemon
from gateway.errors import JournalSaturated
from gateway.model import Kind, Observation, Stamp, TimeQuality
from gateway.settings import parse

SETTINGS = parse('[gateway]\nid = "a"\n[uplink]\nurl = "mqtt://127.0.0.1"\n')


class KnownClock:
    def stamp(self, uptime_ms: int | None = None) -> Stamp:
        return Stamp(b"bootboot", uptime_ms or 0, 1_800_000_000_000, TimeQuality.SYNCHRONISED)


class FullRecorder:
    """Refuses so many events, then takes them."""

    def __init__(self, refuse: int) -> None:
        self.refuse = refuse
        self.told: list[Kind] = []
        self.took = asyncio.Event()

    def record(self, observation: Observation, device: str) -> None:
        if self.refuse:
            self.refuse -= 1
            raise JournalSaturated("too much waits for the flash already")
        self.told.append(observation.kind)
        self.took.set()


@pytest.mark.parametrize("refuse", [0, 1, 3])
async def test_an_anchor_that_is_refused_is_told_later_and_ends_nothing(monkeypatch, refuse):
    """On failing flash without an uplink: the daemon's memory holds calls, so it must go on."""
    monkeypatch.setattr(daemon_module, "ANCHOR_CHECK_S", 0.001)
    recorder = FullRecorder(refuse)
    watching = asyncio.create_task(Daemon(SETTINGS, KnownClock())._anchor(recorder))
    async with asyncio.timeout(5):
        await asyncio.wait(
            {watching, asyncio.ensure_future(recorder.took.wait())},
            return_when=asyncio.FIRST_COMPLETED,
        )
    assert not watching.done()
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    assert recorder.told == [Kind.ANCHOR], "once a boot"
