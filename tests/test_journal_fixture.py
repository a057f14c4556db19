"""A store of format version 1, kept for ever: every hearth to come must open it.

`fixtures/journal-v1/store` is the folder of a journal as a gateway left it when it was killed, and
`expected.json` beside it says what it holds: both lanes, acknowledged in part; a routine lane that
went round, so that its first events were given up for a gap; a commit that was cut short by the
kill. It was made once, by `make_store` below, and is never made again: a store that this hearth
would write otherwise gets a folder of its own.

    python -c "from tests.test_journal_fixture import make_store; make_store('journal-v2')"
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from unittest import mock

import pytest

from gateway.codec import decode_event, encode_event, gap_of
from gateway.journal import Journal
from gateway.journal.files import OsFiles
from gateway.journal.format import BLOCK, encode_record, salt_seed
from gateway.journal.geometry import LaneGeometry
from gateway.journal.scan import scan
from gateway.journal.segment import Segment
from gateway.journal.view import view
from gateway.model import Event, Kind, Lane, Measurement, Stamp, TimeQuality, lane_of

FIXTURES = Path(__file__).parent / "fixtures"
STORE = FIXTURES / "journal-v1" / "store"
EXPECTED = json.loads((FIXTURES / "journal-v1" / "expected.json").read_text("utf-8"))
SMALL = dict.fromkeys(Lane, LaneGeometry(16 * 1024, 4))
QUOTA = 2 << 20  # larger than the store: a hearth of today gives it more room


class Ticking:
    """A second passes with every stamp."""

    def __init__(self) -> None:
        self._uptime_ms = 0

    def stamp(self, uptime_ms: int | None = None) -> Stamp:
        self._uptime_ms += 1000
        wall_ms = 1_753_000_000_000 + self._uptime_ms
        return Stamp(
            bytes.fromhex("8f14e45fceea167a"), self._uptime_ms, wall_ms, TimeQuality.UNKNOWN
        )


# --- how it was made ----------------------------------------------------------------------------


def make_store(name: str) -> None:
    """Write a new fixture; FileExistsError if there is one of this name."""
    folder, clock = FIXTURES / name, Ticking()
    folder.mkdir()
    with mock.patch("gateway.journal.store.divide", return_value=SMALL):
        journal = Journal.open(folder / "store", quota_bytes=0, clock=clock, commit_interval_s=3600)
    for number in range(1, 7):
        call = Event(Kind.CALL, "call-bedroom", clock.stamp(), detail={"number": number})
        journal.append(Lane.URGENT, encode_event(call)).result(10)
    journal.acknowledge(Lane.URGENT, 4)
    for number in range(1, 301):
        journal.append(Lane.ROUTINE, encode_event(_reading(number, clock.stamp())))
        if number % 4 == 0:
            journal.flush()  # commits of four
    journal.acknowledge(Lane.ROUTINE, journal.durable(Lane.ROUTINE) - 100)
    expected = {"journal": journal.uuid.hex(), "lanes": _content(journal)}
    journal.close()
    _cut_short(folder / "store" / "routine", expected["lanes"]["routine"]["last"] + 1)
    (folder / "store" / "lock").unlink()
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n", "utf-8")


def _reading(number: int, stamp: Stamp) -> Event:
    measurements = (Measurement("volume", number / 1000, "m3"), Measurement("battery-low", False))
    return Event(Kind.MEASUREMENT, "meter-kitchen", stamp, measurements, {"room": "厨房"})


def _cut_short(folder: Path, seq: int) -> None:
    """Begin one more commit of two events, and die in the middle of the second."""
    files = OsFiles()
    segments = [Segment.open(files, path) for path in sorted(folder.glob("*.seg"))]
    newest = max((s for s in segments if s.header), key=lambda segment: segment.header.number)
    seed = salt_seed(newest.header.salt)
    end = scan(newest.read_all(), seed, newest.header.first_seq).spans[-1].end
    payload = encode_event(_reading(seq, Ticking().stamp()))
    commit = encode_record(seed, seq, 1, payload, seq - 1) + encode_record(
        seed, seq + 1, 1, payload
    )
    files.pwrite(newest.fd, commit[: -len(payload) // 2], end)
    for segment in segments:
        segment.close()


def _content(journal: Journal) -> dict[str, dict[str, object]]:
    return {
        lane.name.lower(): {
            "acknowledged": journal.acknowledged(lane),
            "last": journal.accepted(lane),
            "events": {str(seq): payload.hex() for seq, payload in _events(journal, lane)},
        }
        for lane in Lane
    }


def _events(journal: Journal, lane: Lane) -> list[tuple[int, bytes]]:
    found, after = [], 0
    while run := journal.read(lane, after, 4096):
        found += enumerate(run.payloads, run.first)
        after = run.last
    return found


# --- the tests ----------------------------------------------------------------------------------


@pytest.fixture
def copy(tmp_path):
    return shutil.copytree(STORE, tmp_path / "journal")


@pytest.fixture
def opened(copy):
    journal = Journal.open(copy, quota_bytes=QUOTA, clock=Ticking(), commit_interval_s=3600)
    yield journal
    journal.close()


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def tail(lane: str) -> dict[str, str]:
    """Where the store was cut short: one whole event and half of another, neither confirmed."""
    seq = str(EXPECTED["lanes"][lane]["last"] + 1)
    return {seq: encode_event(_reading(int(seq), Ticking().stamp())).hex()}


def test_the_fixture_holds_what_it_should_show():
    routine, urgent = EXPECTED["lanes"]["routine"], EXPECTED["lanes"]["urgent"]
    assert 0 < urgent["acknowledged"] < urgent["last"]
    assert 0 < routine["acknowledged"] < routine["last"]
    kinds = {decode_event(bytes.fromhex(hex_)).kind for hex_ in routine["events"].values()}
    assert kinds == {Kind.MEASUREMENT, Kind.GAP}
    assert sum(path.stat().st_size for path in STORE.parent.rglob("*") if path.is_file()) < 200_000


def test_it_opens_and_gives_back_exactly_what_it_holds(opened):
    assert opened.uuid.hex() == EXPECTED["journal"]
    assert opened.trouble.set_aside == []
    for lane in Lane:
        name = lane.name.lower()
        expected = EXPECTED["lanes"][name]
        found = {str(seq): payload.hex() for seq, payload in _events(opened, lane)}
        rest = tail(name) if lane is Lane.ROUTINE else {}
        assert found == expected["events"] | rest
        assert opened.acknowledged(lane) == expected["acknowledged"]
        assert opened.accepted(lane) == expected["last"] + len(rest)


def test_its_gap_tells_what_was_given_up(opened):
    events = [decode_event(payload) for _, payload in _events(opened, Lane.ROUTINE)]
    gaps = [gap_of(event) for event in events if event.kind is Kind.GAP]
    assert gaps
    assert all(gap.lane is Lane.ROUTINE and gap.reason == "quota" for gap in gaps)


def test_it_can_be_written_again(copy):
    journal = Journal.open(copy, quota_bytes=QUOTA, clock=Ticking(), commit_interval_s=3600)
    for kind in (Kind.CALL, Kind.FAULT):
        last = journal.accepted(lane_of(kind))
        event = Event(kind, "new", Ticking().stamp())
        receipt = journal.append(lane_of(kind), encode_event(event))
        journal.flush()
        assert receipt.result(10) == last + 1
    content = _content(journal)
    journal.close()
    again = Journal.open(copy, quota_bytes=QUOTA, clock=Ticking())
    assert _content(again) == content
    again.close()


def test_looking_at_it_changes_nothing():
    before = digests(STORE)
    looked = view(STORE)
    assert looked.meta.journal.hex() == EXPECTED["journal"]
    for lane in looked.lanes:
        name = lane.lane.name.lower()
        expected = EXPECTED["lanes"][name]
        rest = tail(name) if lane.lane is Lane.ROUTINE else {}
        assert {str(e.seq): e.payload.hex() for e in lane.entries} == expected["events"] | rest
        assert lane.acknowledged == expected["acknowledged"]
        assert lane.untold == []
    assert digests(STORE) == before


def test_every_used_segment_has_both_copies_of_its_header():
    for path in STORE.glob("*/*.seg"):
        data = path.read_bytes()
        assert data[:BLOCK] == data[-BLOCK:]
