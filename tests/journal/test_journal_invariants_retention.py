"""What is too old: whole segments, by times that the kernel vouched for, and by no others."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
from simdisk import SimDisk

from gateway.codec import encode_event
from gateway.journal.format import BLOCK, RecordType, SegmentHeader, encode_record
from gateway.journal.retention import expired_through
from gateway.journal.segment import Segment
from gateway.model import Event, Kind, Lane, Stamp, TimeQuality

FOLDER = Path("/j/routine")
SIZE = 4 * BLOCK
SURE, UNSURE, ANCHORED = TimeQuality.SYNCHRONISED, TimeQuality.UNKNOWN, TimeQuality.ANCHORED
OLD_MS, BEFORE_MS, YOUNG_MS = 1_000, 2_000, 3_000


class Lanes(NamedTuple):
    """As much of a log as retention asks for."""

    live: list[Segment]

    def segments(self) -> tuple[list[Segment], int]:
        """All of them hold something needed."""
        return self.live, 0


def event(wall_ms: int, quality: TimeQuality = SURE) -> bytes:
    """An event of that time."""
    return encode_event(Event(Kind.CALL, "b", Stamp(b"bootboot", 1, wall_ms, quality)))


def lane(disk: SimDisk, *segments: list[bytes]) -> Lanes:
    """A lane of these segments, the last being the newest."""
    live, seq = [], 1
    for number, payloads in enumerate(segments):
        segment = Segment.create(disk, FOLDER / f"{number}.seg", SIZE)
        segment.begin(SegmentHeader(b"j" * 16, Lane.ROUTINE, number + 1, 1000 + number, seq))
        for payload in payloads:
            record = encode_record(segment.seed, seq, RecordType.EVENT, payload, seq - 1)
            segment.append(bytearray(record), seq)
            seq += 1
        live.append(segment)
    return Lanes(live)


@pytest.fixture
def disk() -> SimDisk:
    """The folder of the lane."""
    return SimDisk({FOLDER / "other": b""})


def expired(disk: SimDisk, *segments: list[bytes]) -> int:
    """The last seq that is too old."""
    return expired_through(lane(disk, *segments), BEFORE_MS)


def test_leading_segments_go_whose_events_are_all_too_old(disk):
    old = [event(OLD_MS)] * 3
    assert expired(disk, old, old, [event(YOUNG_MS)]) == 6


def test_the_newest_segment_never_goes(disk):
    assert expired(disk, [event(OLD_MS)]) == 0


@pytest.mark.parametrize("at", range(3))
def test_a_segment_is_as_old_as_the_newest_sure_time_in_it(disk, at):
    mixed = [event(OLD_MS)] * 3
    mixed[at] = event(YOUNG_MS)
    assert expired(disk, mixed, [event(YOUNG_MS)]) == 0


def test_only_what_is_older_goes(disk):
    assert expired(disk, [event(BEFORE_MS)], [event(YOUNG_MS)]) == 0
    assert expired_through(lane(disk, [event(BEFORE_MS - 1)], [event(YOUNG_MS)]), BEFORE_MS) == 1


def test_an_old_segment_takes_no_younger_one_before_it_along(disk):
    """A clock may have been set back between them."""
    assert expired(disk, [event(YOUNG_MS)], [event(OLD_MS)], [event(YOUNG_MS)]) == 0


@pytest.mark.parametrize("quality", [UNSURE, ANCHORED])
def test_a_time_that_nobody_vouched_for_makes_nothing_old_or_young(disk, quality):
    unsure = [event(0, quality), event(OLD_MS, quality)]
    assert expired(disk, unsure, [event(YOUNG_MS)], [event(YOUNG_MS)]) == 0
    young = [event(OLD_MS), event(YOUNG_MS, quality)]
    assert expired_through(lane(disk, young, [event(YOUNG_MS)]), BEFORE_MS) == 2


def test_a_segment_without_a_sure_time_is_as_old_as_the_one_behind_it(disk):
    unsure = [event(0, UNSURE)]
    assert expired(disk, unsure, [event(OLD_MS)], [event(YOUNG_MS)]) == 2


def test_an_event_that_this_version_cannot_read_has_no_time(disk):
    assert expired(disk, [b"of a later version", event(OLD_MS)], [event(YOUNG_MS)]) == 2


def test_damage_hides_no_time_behind_it(disk):
    lanes = lane(disk, [event(OLD_MS)] * 3 + [event(YOUNG_MS)], [event(YOUNG_MS)])
    disk.pwrite(lanes.live[0].fd, b"\xff" * 10, BLOCK)
    assert expired_through(lanes, BEFORE_MS) == 0


def test_a_card_that_cannot_be_read_now_expires_nothing(disk):
    lanes = lane(disk, [event(OLD_MS)], [event(YOUNG_MS)])

    def fail(call: str, path: Path | None) -> None:
        if call == "pread":
            raise OSError("played")

    disk.fail = fail
    assert expired_through(lanes, BEFORE_MS) == 0
    disk.fail = lambda call, path: None
    assert expired_through(lanes, BEFORE_MS) == 1
