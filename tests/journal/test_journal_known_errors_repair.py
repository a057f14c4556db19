"""What a start would do to a damaged journal is foretold exactly, and telling it changes nothing."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from zlib import crc32

import pytest

from gateway.clock import SystemClock
from gateway.codec import encode_event
from gateway.errors import JournalError, JournalLocked
from gateway.journal import Journal
from gateway.journal.files import OsFiles
from gateway.journal.format import BLOCK, VERSION, encode_meta, encode_record
from gateway.journal.meta import read_slots
from gateway.journal.repair import foresee, repair
from gateway.journal.segment import Segment
from gateway.journal.view import view
from gateway.journal.wear import DAY_S, Wear
from gateway.model import Event, Kind, Lane

U, R = Lane.URGENT, Lane.ROUTINE
QUOTA = 2 << 20


def open_journal(folder: Path) -> Journal:
    return Journal.open(folder, quota_bytes=QUOTA, clock=SystemClock(), commit_interval_s=3600)


def call(number: int) -> bytes:
    return encode_event(Event(Kind.CALL, "b", SystemClock().stamp(), detail={"n": number}))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Ten calls in commits of one; a reading; closed."""
    journal = open_journal(tmp_path / "j")
    for number in range(10):
        journal.append(U, call(number)).result(5)
    journal.append(R, call(0))
    journal.close()
    return tmp_path / "j"


def digests(folder: Path) -> dict[Path, str]:
    return {
        path: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def newest(folder: Path, lane: Lane = U) -> Segment:
    segments = [
        Segment.open(OsFiles(), path) for path in (folder / lane.name.lower()).glob("*.seg")
    ]
    return max(segments, key=lambda s: s.header.number if s.header else 0)


def overwrite(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def calls(journal: Journal) -> dict[int, bytes]:
    found, after = {}, 0
    while run := journal.read(U, after, 1 << 16):
        found |= dict(enumerate(run.payloads, run.first))
        after = run.last
    return found


def leave_half_a_commit(folder: Path) -> None:
    """As a power cut does: the second record of a commit is there, its first is not."""
    segment = newest(folder)
    journal = open_journal(folder)
    end = journal._logs[U].segments()[0][-1].end
    journal.close()
    second = encode_record(segment.seed, 12, 1, call(99))
    overwrite(segment.path, end + 200, second)


def lose_both_headers(folder: Path) -> Path:
    segment = newest(folder)
    for at in (0, segment.size - BLOCK):
        overwrite(segment.path, at, b"\xee" * BLOCK)
    return segment.path


def test_a_sound_journal_needs_no_repair(store):
    before = digests(store)
    found = foresee(store)
    assert found.sound
    assert [(lane.acknowledged, lane.last, lane.lost) for lane in found.lanes] == [
        (0, 10, ()),
        (0, 1, ()),
    ]
    assert digests(store) == before


def test_the_dry_run_tells_what_the_start_then_does(store):
    leave_half_a_commit(store)
    overwrite(newest(store).path, BLOCK + 150, b"\xff" * 8)  # in the second record or the third
    (store / "meta").unlink()
    before = digests(store)
    found = foresee(store)
    assert digests(store) == before, "telling changes nothing"
    assert any("meta was lost" in note for note in found.notes)
    assert any(change.startswith("erase") for change in found.changes)
    urgent = found.lanes[U]
    assert len(urgent.lost) == 1
    journal = open_journal(store)
    lost = set(range(1, 11)) - calls(journal).keys()
    assert {s for first, last in urgent.lost for s in range(first, last + 1)} == lost
    journal.close()


def test_repair_leaves_nothing_to_do_but_to_tell(store):
    leave_half_a_commit(store)
    assert not foresee(store).sound
    foretold = foresee(store).changes
    assert repair(store).changes == foretold
    assert foresee(store).sound
    journal = open_journal(store)
    assert list(calls(journal)) == list(range(1, 11))
    journal.close()


@pytest.mark.parametrize("how", ["rubbish", "zeros"])
def test_the_newest_segment_is_read_without_its_headers(store, how):
    """`meta` knows its salt, so what only it vouches for is not lost with two bad blocks."""
    victim = lose_both_headers(store)
    if how == "zeros":
        for at in (0, victim.stat().st_size - BLOCK):
            overwrite(victim, at, bytes(BLOCK))
    found = foresee(store)
    assert any("headers were lost" in note for note in found.notes)
    assert found.lanes[U].lost == ()
    journal = open_journal(store)
    assert list(calls(journal)) == list(range(1, 11))
    journal.append(U, call(10)).result(5)
    journal.close()
    assert Segment.open(OsFiles(), victim).header_copies() == 2
    journal = open_journal(store)
    assert list(calls(journal)) == list(range(1, 12))
    journal.close()


def test_a_store_of_a_later_format_is_foretold_to_be_set_aside(store):
    slot = bytearray(encode_meta(view(store).meta, 9))
    slot[11] = VERSION + 1
    slot[-4:] = crc32(slot[:-5]).to_bytes(4, "big")
    overwrite(store / "meta", 0, bytes(slot))
    before, meta = digests(store), (store / "meta").read_bytes()
    found = foresee(store)
    assert digests(store) == before
    assert [(lane.acknowledged, lane.last, lane.lost) for lane in found.lanes] == [(0, 0, ())] * 2
    assert len(found.set_aside) == 1
    assert {f"rename j/{name} to {name}" for name in ("urgent", "routine")} <= set(found.changes)
    assert len(repair(store).set_aside) == 1
    assert foresee(store).sound
    assert [path.read_bytes() for path in store.glob("*/meta")] == [meta]


def test_a_journal_in_use_is_left_alone(store):
    journal = open_journal(store)
    with pytest.raises(JournalError, match="is writing it"):
        foresee(store)
    with pytest.raises(JournalLocked):
        repair(store)
    journal.close()


def test_no_journal_is_made_by_repairing(tmp_path):
    for action in (foresee, repair):
        with pytest.raises(JournalError, match="no journal here"):
            action(tmp_path)
    assert list(tmp_path.iterdir()) == []


def hearth(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway.cli.main", "journal", *arguments],
        capture_output=True,
        text=True,
    )


def test_the_command_explains(store):
    assert "nothing to repair" in hearth("repair", "--dry-run", str(store)).stdout
    leave_half_a_commit(store)
    told = hearth("repair", "--dry-run", str(store))
    assert told.returncode == 1
    assert "urgent: seqs 1..10 are kept" in told.stdout
    assert "the next start will erase" in told.stdout
    assert hearth("repair", str(store)).returncode == 1
    assert hearth("repair", str(store)).returncode == 0


def test_inspect_tells_the_oldest_event_and_the_wear(store):
    facts = json.loads(hearth("inspect", "--json", str(store)).stdout)
    assert facts["lanes"]["urgent"]["waiting"] == 10
    first = view(store).lanes[U].entries[0]
    assert facts["lanes"]["urgent"]["oldest_wall_ms"] > 1_600_000_000_000, first
    assert facts["bytes_written"] > 10 * BLOCK
    assert facts["card_life_years"] is None
    text = hearth("inspect", str(store)).stdout
    assert "too early to say how long the card lasts" in text
    assert "oldest waiting" in text


def test_time_in_use_is_counted_across_restarts(store, monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr("gateway.journal.meta.time.monotonic", lambda: clock[0])
    for hours in (1, 2):
        journal = open_journal(store)
        clock[0] += 3600 * hours
        journal.close()
    fd = OsFiles(read_only=True).open(store / "meta")
    assert max(read_slots(OsFiles(), fd))[1].seconds_used == 3 * 3600


def test_the_life_of_a_card():
    assert not Wear(10**9, DAY_S - 1).known
    assert Wear(10**9, DAY_S - 1).life_years(32 * 10**9, 300, 16) is None
    wear = Wear(bytes_written=2 * 10**8, seconds_used=2 * DAY_S)
    assert wear.bytes_a_day == 10**8
    # 32 GB x 300 erasures / (100 MB a day x 16) = 6000 days
    assert wear.life_years(32 * 10**9, 300, 16) == pytest.approx(6000 / 365)
