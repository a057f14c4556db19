"""Watching a contact while the process is kept from reading."""

import asyncio
import time

from drivers.gpio import watch as watch_module
from drivers.gpio.settings import InputSettings
from drivers.gpio.watch import CALM_READS, Watch
from drivers.gpio.wire.edge import Change, Edge

MS = 1_000_000


class HeldBackLines:
    """Edges that the kernel has, and that are read when the test lets time pass."""

    def __init__(self):
        self.active = {17: False}
        self.waiting = []
        self.seqno = 0
        self.reads = 0
        self.news = asyncio.Event()

    def edge(self, active, at_ns):
        self.seqno += 1
        self.waiting.append(Edge(17, active, at_ns, self.seqno))
        self.news.set()

    async def readable(self):
        await self.news.wait()

    def edges(self):
        self.reads += 1
        self.news.clear()
        waiting, self.waiting = self.waiting, []
        return waiting


class HandClock:
    """Stands still until the test moves it."""

    def __init__(self):
        self.now_ns = time.monotonic_ns()

    def monotonic_ns(self):
        return self.now_ns


async def test_what_bounced_while_nobody_read_is_the_same_press(monkeypatch):
    """The time-out of the debounce has come, and so have the edges that say otherwise."""
    clock = HandClock()
    monkeypatch.setattr(watch_module, "time", clock)
    lines = HeldBackLines()
    watch = Watch(lines, InputSettings(offset=17))
    began = clock.now_ns
    lines.edge(True, began)
    lines.edge(False, began + 1)
    (press,) = await watch.happenings()
    assert press.change is Change.PRESSED
    for ms in range(10, 60, 10):
        lines.edge(True, began + ms * MS)
        lines.edge(False, began + ms * MS + 1)
    clock.now_ns += 65 * MS  # the whole process was kept from its work
    assert await watch.happenings() == []
    clock.now_ns += 30 * MS
    (release,) = await watch.happenings()
    assert release.change is Change.RELEASED


async def test_a_contact_that_chatters_is_read_seldom():
    lines = HeldBackLines()
    # Settings of the longest debounce: a busy machine may keep the chatter itself quiet for some ms.
    watch = Watch(lines, InputSettings(offset=17, debounce=1.0))
    began = time.monotonic()

    async def chatter():
        while time.monotonic() - began < 0.5:
            lines.edge(lines.seqno % 2 == 0, time.monotonic_ns())
            await asyncio.sleep(0.001)

    chattering = asyncio.create_task(chatter())
    changes = []
    while not chattering.done():
        changes += [it.change for it in await watch.happenings(time.monotonic_ns() + 10 * MS)]
    assert changes.count(Change.PRESSED) == 1
    assert lines.reads < CALM_READS + 0.5 / 0.02 + 20
