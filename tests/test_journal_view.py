"""Looking at a journal: never a change, never an exception, never a loss that is none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from unittest import mock

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.codec import decode_event, encode_event, gap_of, observe_gap
from gateway.errors import JournalError
from gateway.journal import Journal
from gateway.journal import view as view_module
from gateway.journal.files import OsFiles
from gateway.journal.format import BLOCK, encode_header, encode_record, salt_seed
from gateway.journal.geometry import LaneGeometry
from gateway.journal.segment import Segment
from gateway.journal.view import Entry, LaneView, SegmentView, view
from gateway.model import Event, Gap, Kind, Lane, Measurement, Stamp, TimeQuality

HERE = Path(__file__).parent
SMALL = dict.fromkeys(Lane, LaneGeometry(16 * 1024, 7))
STAMP = Stamp(b"bootboot", 1, 2, TimeQuality.UNKNOWN)


class FixedClock:
    def stamp(self, uptime_ms: int | None = None) -> Stamp:
        return STAMP


def opened(folder: Path) -> Journal:
    with mock.patch("gateway.journal.store.divide", return_value=SMALL):
        return Journal.open(folder, quota_bytes=0, clock=FixedClock(), commit_interval_s=3600)


def reading(number: int) -> bytes:
    measurements = (Measurement("n", number), Measurement("fill", "x" * (150 + number % 50)))
    return encode_event(Event(Kind.MEASUREMENT, "m", STAMP, measurements))


def number_of(payload: bytes) -> int | None:
    event = decode_event(payload)
    return None if event.kind is Kind.GAP else event.measurements[0].value


def seqs(lane: LaneView) -> list[int]:
    return [entry.seq for entry in lane.entries]


def routine(folder: Path) -> LaneView:
    return view(folder).lanes[Lane.ROUTINE]


@pytest.fixture
def store(tmp_path) -> Path:
    """80 readings over three segments, the first 20 acknowledged; one call."""
    journal = opened(tmp_path / "j")
    for number in range(1, 81):
        journal.append(Lane.ROUTINE, reading(number))
        if number % 3 == 0:
            journal.flush()
    journal.append(Lane.URGENT, reading(1)).result(10)
    journal.flush()
    journal.acknowledge(Lane.ROUTINE, 20)
    journal.close()
    return tmp_path / "j"


def segment_files(folder: Path) -> list[Path]:
    """The routine lane's segments in the order of their numbers."""
    files, found = OsFiles(read_only=True), []
    for path in (folder / "routine").glob("*.seg"):
        segment = Segment.open(files, path)
        if segment.header:
            found.append((segment.header.number, path))
        segment.close()
    return [path for _, path in sorted(found)]


def overwrite(path: Path, start: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(data)


# --- what it shows ------------------------------------------------------------------------------


def test_a_sound_journal(store):
    before = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
    looked = view(store)
    urgent, lane = looked.lanes
    assert (urgent.acknowledged, seqs(urgent), urgent.free) == (0, [1], 6)
    assert (lane.acknowledged, lane.last) == (20, 80)
    assert [(e.seq, number_of(e.payload)) for e in lane.entries] == [(n, n) for n in range(21, 81)]
    assert len(lane.segments) == 3
    assert (lane.lost, lane.untold, lane.gaps, lane.aside) == ([], [], [], ())
    assert looked.meta.acknowledged == (0, 20)
    assert {path: path.read_bytes() for path in store.rglob("*") if path.is_file()} == before


def test_no_journal(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    for place in ("missing", "empty", "file"):
        with pytest.raises(JournalError, match="no journal here"):
            view(tmp_path / place)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_journal_of_somebody_else(store):
    (store / "routine").chmod(0)
    with pytest.raises(JournalError, match="not readable for you"):
        view(store)
    (store / "routine").chmod(0o700)


def test_a_file_that_cannot_be_read_is_lost_and_the_rest_is_shown(store):
    whole = seqs(routine(store))
    victim = segment_files(store)[1]
    victim.unlink()
    victim.mkdir()  # it opens, and every read of it is an error
    looked = routine(store)
    assert looked.untold == looked.lost != []
    assert set(seqs(looked)) | lost_seqs(looked) == set(whole)


@pytest.mark.parametrize("harm", ["missing", "zeros", "rubbish", "short"])
def test_without_meta_the_segments_still_tell(store, harm):
    meta = store / "meta"
    match harm:
        case "missing":
            meta.unlink()
        case "zeros":
            meta.write_bytes(bytes(2 * BLOCK))
        case "rubbish":
            meta.write_bytes(os.urandom(2 * BLOCK))
        case "short":
            meta.write_bytes(b"\x85")
    looked = view(store)
    assert looked.meta is None
    assert seqs(looked.lanes[Lane.ROUTINE])[-1] == 80
    assert looked.lanes[Lane.ROUTINE].untold == []


def test_a_format_of_the_future(store):
    """Told, not guessed at."""
    path = segment_files(store)[0]
    header = Segment.open(OsFiles(read_only=True), path).header
    with mock.patch("gateway.journal.format.VERSION", 2):
        overwrite(path, 0, encode_header(header))
    with pytest.raises(JournalError, match="journal format 2; this hearth reads 1"):
        view(store)


def test_segments_set_aside_are_named(store):
    shutil.copy(segment_files(store)[0], store / "routine" / "00009.damaged")
    assert routine(store).aside == ("00009.damaged",)


def test_segments_of_another_lane_or_journal_do_not_count(store, tmp_path):
    shutil.copy(store / "urgent" / "00000.seg", store / "routine" / "00008.seg")
    other = opened(tmp_path / "other")
    other.append(Lane.ROUTINE, reading(999))
    other.close()
    shutil.copy(segment_files(tmp_path / "other")[0], store / "routine" / "00009.seg")
    assert seqs(routine(store)) == list(range(21, 81))


# --- damage -------------------------------------------------------------------------------------


def lost_seqs(lane: LaneView) -> set[int]:
    return {seq for first, last in lane.untold for seq in range(first, last + 1)}


def test_damage_in_the_middle_of_a_segment(store):
    _, path, *_ = segment_files(store)
    overwrite(path, BLOCK + 2000, bytes(512))
    lane = routine(store)
    assert lane.untold
    assert lost_seqs(lane) | set(seqs(lane)) == set(range(21, 81))
    assert not lost_seqs(lane) & set(seqs(lane))


def test_a_segment_that_is_gone(store):
    first, second, *_ = segment_files(store)
    for path, expected in ((second, "between two"), (first, "before all")):
        size = path.stat().st_size
        path.write_bytes(bytes(size))
        lane = routine(store)
        assert lane.untold, expected
        assert lost_seqs(lane) | set(seqs(lane)) == set(range(21, 81))
        assert not lost_seqs(lane) & set(seqs(lane))
    assert lane.vanished[0][0] == 21


def test_every_segment_is_gone(store):
    for path in segment_files(store):
        path.write_bytes(bytes(path.stat().st_size))
    lane = routine(store)
    assert lane.untold == [(21, 80)]  # meta knows how far it was durable
    assert lane.entries == ()


def test_a_commit_that_is_not_finished_is_no_loss(store):
    path = segment_files(store)[-1]
    segment = Segment.open(OsFiles(read_only=True), path)
    end = routine(store).segments[-1].used_bytes
    record = encode_record(salt_seed(segment.header.salt), 82, 1, reading(82))
    overwrite(path, end, bytes(100) + record)  # 81 is missing, and nobody says it was durable
    assert routine(store).untold == []
    assert seqs(routine(store))[-1] == 80


def test_losses_that_a_gap_tells_of(store):
    _, path, *_ = segment_files(store)
    overwrite(path, BLOCK + 2000, bytes(512))
    untold = routine(store).untold
    journal = opened(store)
    everything(journal)
    journal.close()
    lane = routine(store)
    assert lane.untold == []
    assert [(gap.first, gap.last) for gap in lane.gaps] == untold
    assert lane.lost == untold


def test_a_gap_event_that_this_version_cannot_read(store):
    path = segment_files(store)[-1]
    segment = Segment.open(OsFiles(read_only=True), path)
    end = routine(store).segments[-1].used_bytes
    overwrite(path, end, encode_record(salt_seed(segment.header.salt), 81, 2, b"\xa0", 80))
    lane = routine(store)
    assert lane.entries[-1] == Entry(81, b"\xa0", is_gap=True)
    assert lane.gaps == []


def everything(journal: Journal) -> dict[int, bytes]:
    """All that the routine lane gives back, and the gap events that giving it back tells."""
    found, after = {}, 0
    while run := journal.read(Lane.ROUTINE, after, 4096):
        found |= dict(enumerate(run.payloads, run.first))
        after = run.last
        journal.flush()
    return found


harm = st.tuples(
    st.integers(0, 3),
    st.integers(0, 16 * 1024 - 1),
    st.sampled_from([1, 20, 512, BLOCK, 9000]),
    st.sampled_from(["zeros", "ones", "flip"]),
)


@settings(max_examples=60)
@given(harms=st.lists(harm, min_size=1, max_size=3))
def test_it_shows_the_loss_that_opening_and_reading_tell(tmp_path_factory, harms):
    """Whatever is damaged: the books of the view and those of the journal are the same."""
    folder = _template(tmp_path_factory)
    for index, start, length, how in harms:
        path = sorted((folder / "routine").glob("*.seg"))[index]
        data = bytearray(path.read_bytes())
        part = data[start : start + length]
        new = {"zeros": bytes(len(part)), "ones": b"\xff" * len(part)}
        data[start : start + len(part)] = new.get(how, bytes([part[0] ^ 1]) + part[1:])
        path.write_bytes(data)
    lane = routine(folder)
    shown = {entry.seq: entry.payload for entry in lane.entries}
    journal = opened(folder)
    found = everything(journal)
    journal.close()
    gaps = [gap_of(event) for event in map(decode_event, found.values()) if event.kind is Kind.GAP]
    told = {seq for gap in gaps for seq in range(gap.first, gap.last + 1)}
    readings = {seq: payload for seq, payload in found.items() if number_of(payload) is not None}
    assert shown == readings
    assert lost_seqs(lane) == told
    shutil.rmtree(folder)


_made: list[Path] = []


def _template(factory: pytest.TempPathFactory) -> Path:
    """A fresh copy of a store of 80 readings, 20 acknowledged, made once."""
    if not _made or not _made[0].exists():
        folder = factory.mktemp("template") / "j"
        journal = opened(folder)
        for number in range(1, 81):
            journal.append(Lane.ROUTINE, reading(number))
            if number % 3 == 0:
                journal.flush()
        journal.flush()
        journal.acknowledge(Lane.ROUTINE, 20)
        journal.close()
        _made[:] = [folder]
    return Path(shutil.copytree(_made[0], factory.mktemp("copy") / "j"))


ranges = st.lists(
    st.tuples(st.integers(1, 40), st.integers(0, 10)).map(lambda pair: (pair[0], sum(pair))),
    max_size=5,
)


@given(ranges, ranges, st.integers(0, 50))
def test_what_is_untold_is_what_is_lost_and_needed_and_not_told(lost, told, acknowledged):
    entries = tuple(
        Entry(100 + i, encode_event(gap_event(*pair)), is_gap=True) for i, pair in enumerate(told)
    )
    segment = SegmentView("s", 1, 1, 99, 9, 9, tuple(lost))
    lane = LaneView(Lane.ROUTINE, acknowledged, (segment,), 0, (), entries)
    expected = _all(lost) - _all(told) - set(range(acknowledged + 1))
    assert lost_seqs(lane) == expected
    assert all(first <= last for first, last in lane.untold)


def gap_event(first: int, last: int) -> Event:
    seen = observe_gap(Gap(Lane.ROUTINE, first, last, "damage"))
    return Event(seen.kind, "journal", STAMP, detail=seen.detail)


def _all(pairs: list[tuple[int, int]]) -> set[int]:
    return {seq for first, last in pairs for seq in range(first, last + 1)}


# --- while it is written ------------------------------------------------------------------------


def write_for_ever(folder: str) -> None:
    """What the writer process does: events, commits, acknowledgements, evictions."""
    journal = opened(Path(folder))
    print("ready", flush=True)
    number = 0
    while True:
        number += 1
        journal.append(Lane.ROUTINE, reading(number))
        if number % 5 == 0:
            journal.flush()
        if number % 400 == 0:  # between these, the lane runs full and gives up its oldest events
            journal.acknowledge(Lane.ROUTINE, journal.durable(Lane.ROUTINE) - 10)


@pytest.fixture
def writer(tmp_path):
    code = f"import test_journal_view as t; t.write_for_ever({str(tmp_path / 'j')!r})"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent)])}
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment, text=True
    )
    try:
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def consistent(lane: LaneView) -> None:
    assert (lane.lost, lane.untold) == ([], [])
    assert seqs(lane) == list(range(lane.acknowledged + 1, lane.last + 1))
    numbers = [number for e in lane.entries if (number := number_of(e.payload)) is not None]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))) if numbers else True


def test_while_another_process_writes(writer, tmp_path):
    folder = tmp_path / "j"
    acknowledged = last = looks = 0
    while looks < 100 or last < 3000:
        lane = routine(folder)
        consistent(lane)
        assert lane.acknowledged >= acknowledged
        assert lane.last >= last
        acknowledged, last = lane.acknowledged, lane.last
        looks += 1
        assert writer.poll() is None
    assert acknowledged > 1000  # it went round many times
    writer.kill()
    writer.wait()
    lane = routine(folder)
    consistent(lane)
    journal = opened(folder)
    assert journal.accepted(Lane.ROUTINE) == lane.last  # the view was right about the end
    journal.close()


def test_a_segment_that_vanishes_during_the_look(store, monkeypatch):
    """A daemon that starts may remove a free segment or set one aside."""
    opened_before, real = [], Segment.open

    def open_once(files, path):
        opened_before.append(path)
        if len(opened_before) == 3:
            raise FileNotFoundError(path)
        return real(files, path)

    monkeypatch.setattr(view_module.Segment, "open", open_once)
    descriptors = len(os.listdir("/proc/self/fd"))
    assert seqs(routine(store)) == list(range(21, 81))
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_a_hole_that_only_one_look_sees(store, monkeypatch):
    """Blocks are read one after the other; a commit may come between two of them."""
    real, reads = Segment.read_all, []

    def torn(segment):
        data = real(segment)
        reads.append(segment.path)
        if reads.count(segment.path) == 1 and segment.path.parent.name == "routine":
            return data[: BLOCK + 1000] + bytes(500) + data[BLOCK + 1500 :]
        return data

    monkeypatch.setattr(Segment, "read_all", torn)
    lane = routine(store)
    assert lane.untold == []
    assert seqs(lane) == list(range(21, 81))


def test_a_lane_that_goes_round_during_the_look(store, monkeypatch):
    """The cursor moved: what was read may be of two lives. Read again, and say so if that helps not."""
    real, metas = view_module._meta, []

    def moving(files, folder):
        meta = real(files, folder)
        metas.append(meta)
        shift = len(metas) if limit is None or len(metas) < limit else 0
        return msgspec.structs.replace(meta, acknowledged=(0, 20 + shift))

    monkeypatch.setattr(view_module, "_meta", moving)
    limit = 6
    assert seqs(routine(store)) == list(range(21, 81))
    limit = None
    with pytest.raises(JournalError, match="changes faster than it can be read"):
        view(store)
