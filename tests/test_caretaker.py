"""The journal's caretaker: what it finds is told once, when it begins and when it is over."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from pathlib import Path

import pytest

from gateway import caretaker as caretaker_module
from gateway.caretaker import DAY_MS, Caretaker
from gateway.clock import SystemClock
from gateway.codec import decode_event, encode_event, gap_of
from gateway.errors import JournalWriteFailed
from gateway.journal import Journal
from gateway.journal.files import OsFiles
from gateway.journal.format import BLOCK
from gateway.journal.geometry import MIN_SEGMENT
from gateway.journal.salvage import SUFFIX
from gateway.model import Event, Kind, Lane, Stamp, TimeQuality
from gateway.recorder import Recorder
from gateway.settings import JournalSettings

U, R = Lane.URGENT, Lane.ROUTINE
QUOTA = 2 << 20
NOW_MS = 1_800_000_000_000


class SetClock:
    """A clock that says what it is told to say."""

    def __init__(self) -> None:
        self.wall_ms = NOW_MS
        self.quality = TimeQuality.SYNCHRONISED

    def stamp(self, uptime_ms: int | None = None) -> Stamp:
        return Stamp(b"bootboot", uptime_ms or 0, self.wall_ms, self.quality)


class Flash(OsFiles):
    """The system's files; a write can be refused, and reads are counted by whether they are fresh."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = False
        self.dropped: list[int] = []

    def fdatasync(self, fd):
        if self.broken:
            raise OSError(errno.EIO, "Input/output error")
        super().fdatasync(fd)

    def drop_cache(self, fd):
        self.dropped.append(fd)
        super().drop_cache(fd)


class Rig:
    def __init__(self, folder: Path, clock) -> None:
        self.folder = folder
        self.clock = clock
        self.flash = Flash()
        self.journal = Journal.open(
            folder, quota_bytes=QUOTA, clock=clock, commit_interval_s=0.01, files=self.flash
        )

    @contextlib.asynccontextmanager
    async def cared_for(self, **settings):
        recorder = Recorder(self.journal, self.clock)
        chosen = JournalSettings(**{"scrub_interval": 0.02, **settings})
        task = asyncio.create_task(Caretaker(self.journal, recorder, self.clock, chosen).run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def events(self, lane: Lane = R) -> list[Event]:
        found, after = [], 0
        while run := self.journal.read(lane, after, 1 << 16):
            found += map(decode_event, run.payloads)
            after = run.last
        return found

    def faults(self, name: str) -> list[dict]:
        return [
            event.detail
            for event in self.events()
            if event.kind is Kind.FAULT and event.detail["fault"] == name
        ]

    async def until(self, condition) -> None:
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.005)

    def fill(self, lane: Lane, count: int, size: int = 200) -> None:
        for number in range(count):
            event = Event(
                Kind.MEASUREMENT, "m", self.clock.stamp(), detail={"n": number, "x": "x" * size}
            )
            self.journal.append(lane, encode_event(event))
            if number % 50 == 49:
                self.journal.flush()
        self.journal.flush()

    def segments(self, lane: Lane) -> list[Path]:
        return sorted((self.folder / lane.name.lower()).glob(f"*{SUFFIX}"))


@pytest.fixture
def rig(tmp_path, monkeypatch):
    monkeypatch.setattr(caretaker_module, "CHECK_S", 0.01)
    monkeypatch.setattr(caretaker_module, "AGE_CHECK_S", 0.01)
    monkeypatch.setattr("gateway.journal.pending.RETRY_INTERVAL_S", 0.01)
    rig = Rig(tmp_path / "j", SetClock())
    yield rig
    rig.journal.close()


async def test_a_failing_flash_is_told_and_told_over(rig):
    async with rig.cared_for():
        rig.flash.broken = True
        with pytest.raises(JournalWriteFailed):
            await rig.journal.append(U, b"call")
        memory = rig.journal.unwritten
        await rig.until(lambda: memory.read(R, 0, 1 << 16))  # the fault cannot be stored either
        fault = decode_event(memory.read(R, 0, 1 << 16).payloads[0])
        assert fault.detail["fault"] == "flash"
        assert (fault.detail["active"], fault.detail["lane"]) == (True, "urgent")
        assert "Input/output" in fault.detail["what"]
        rig.flash.broken = False
        await rig.journal.append(U, b"again")
        await rig.until(lambda: {"lane": "urgent", "active": False} in [
            {k: d[k] for k in ("lane", "active")} for d in rig.faults("flash")
        ])  # fmt: skip
        told = rig.faults("flash")
    assert [d["active"] for d in told if d["lane"] == "urgent"] == [False], "each change once"


async def test_scrub_finds_damage_before_it_is_needed(rig):
    rig.fill(R, 800)
    live, _ = rig.journal._logs[R].segments()
    assert len(live) > 2
    victim = live[1].path
    data = bytearray(victim.read_bytes())
    data[BLOCK + 3000] ^= 1
    with victim.open("r+b") as file:
        file.write(data)
    async with rig.cared_for():
        # Three rounds; not read here meanwhile, because a reader finds the damage, too.
        await rig.until(lambda: len(rig.flash.dropped) > 6 * len(live))
    rig.journal.flush()
    (fault,) = rig.faults("journal_damaged")  # once, however often it is read
    assert fault["segment"] == f"routine/{victim.name}"
    assert fault["events_lost"] == 1
    gaps = [gap_of(event) for event in rig.events() if event.kind is Kind.GAP]
    assert [(gap.count, gap.reason) for gap in gaps] == [(1, "damage")]


async def test_scrub_asks_the_medium_and_not_the_page_cache(rig):
    rig.fill(U, 1)
    async with rig.cared_for():
        await rig.until(lambda: rig.flash.dropped)


async def test_scrub_tells_of_a_header_that_has_one_copy_left(rig):
    rig.fill(U, 3)
    live, _ = rig.journal._logs[U].segments()
    with live[-1].path.open("r+b") as file:
        file.write(bytes(BLOCK))
    async with rig.cared_for():
        await rig.until(lambda: rig.faults("journal_damaged"))
    (fault,) = rig.faults("journal_damaged")
    assert (fault["events_lost"], fault["header_copies"]) == (0, 1)


async def test_scrub_reads_nothing_when_nothing_waits(rig):
    rig.fill(U, 3)
    rig.journal.acknowledge(U, rig.journal.durable(U))
    assert rig.journal.scrub(U) is None


async def test_routine_events_that_are_too_old_are_given_up_with_a_gap(rig):
    rig.clock.wall_ms = NOW_MS - 40 * DAY_MS
    rig.fill(U, 1)
    rig.fill(R, 600)
    rig.clock.wall_ms = NOW_MS
    rig.fill(R, 600)
    async with rig.cared_for(retention=30):
        await rig.until(lambda: rig.journal.acknowledged(R) > 0)
        await rig.until(lambda: any(e.kind is Kind.GAP for e in rig.events()))
    events = rig.events()
    (gap,) = [gap_of(event) for event in events if event.kind is Kind.GAP]
    assert (gap.first, gap.last, gap.reason) == (1, rig.journal.acknowledged(R), "age")
    kept = [e.stamp.wall_ms for e in events if e.kind is Kind.MEASUREMENT]
    assert kept.count(NOW_MS) == 600, "nothing that is young goes"
    assert len(kept) < 600 + 600 * MIN_SEGMENT // 100_000, "what is old and alone goes"
    assert len(rig.events(U)) == 1, "a call is never too old"


@pytest.mark.parametrize("how", ["clock unknown", "times unknown", "no retention"])
async def test_nothing_is_given_up_by_a_time_that_is_not_sure(rig, how):
    rig.clock.wall_ms = NOW_MS - 40 * DAY_MS
    if how == "times unknown":
        rig.clock.quality = TimeQuality.UNKNOWN
    rig.fill(R, 600)
    rig.clock.wall_ms, rig.clock.quality = NOW_MS, TimeQuality.SYNCHRONISED
    if how == "clock unknown":
        rig.clock.quality = TimeQuality.UNKNOWN
    asked = []
    real, rig.clock.stamp = rig.clock.stamp, lambda *a: asked.append(1) or real(*a)
    async with rig.cared_for(retention=0 if how == "no retention" else 30):
        await rig.until(lambda: len(asked) > 3 or how == "no retention")
        await rig.until(lambda: rig.journal.scrub(R))
    assert rig.journal.acknowledged(R) == 0


async def test_what_opening_met_is_told(tmp_path):
    folder = tmp_path / "j"
    rig = Rig(folder, SystemClock())
    rig.fill(R, 800)
    live, _ = rig.journal._logs[R].segments()
    victim = live[0].path
    rig.journal.close()
    data = victim.read_bytes()
    victim.write_bytes(b"\xaa" * BLOCK + data[BLOCK:-BLOCK] + b"\xaa" * BLOCK)
    (folder / "meta").unlink()
    rig = Rig(folder, SystemClock())
    async with rig.cared_for(scrub_interval=3600):
        await rig.until(lambda: rig.faults("journal_trouble"))
    damaged = victim.with_suffix(".damaged").name
    assert [f["set_aside"] for f in rig.faults("journal_damaged")] == [f"routine/{damaged}"]
    assert ["meta was lost" in f["what"] for f in rig.faults("journal_trouble")] == [True]
    rig.journal.close()


async def test_a_name_that_is_no_text_is_told_all_the_same(rig):
    """File names are bytes; what a start met on the card must not end the daemon at each start."""
    rig.journal.trouble.notes.append("open routine/\udcff.seg: broken")
    async with rig.cared_for(scrub_interval=3600):
        await rig.until(lambda: rig.faults("journal_trouble"))
    assert [f["what"] for f in rig.faults("journal_trouble")] == ["open routine/?.seg: broken"]
