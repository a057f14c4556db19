"""Faults that are known to happen, one by one."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from rig import FixedClock
from simdisk import SimDisk

from gateway.errors import JournalClosed, JournalLocked, JournalNoRoom, JournalWriteFailed
from gateway.journal import Journal
from gateway.journal.files import OsFiles
from gateway.journal.format import VERSION, decode_meta, encode_header
from gateway.journal.segment import Segment
from gateway.model import Lane

QUOTA = 2 << 20


def _open(path: Path) -> Journal:
    return Journal.open(path, quota_bytes=QUOTA, clock=FixedClock())


def _failing(call: str, times: int, suffix: str = ".seg"):
    """Raises EIO at the next `times` such calls on a segment."""
    left = [times]

    def fail(name: str, path: Path | None) -> None:
        if name == call and path and path.suffix == suffix and left[0]:
            left[0] -= 1
            raise OSError(errno.EIO, "Input/output error")

    return fail


def test_a_second_daemon_is_refused(tmp_path):
    journal = _open(tmp_path / "j")
    with pytest.raises(JournalLocked, match=str(os.getpid())):
        _open(tmp_path / "j")
    journal.close()
    _open(tmp_path / "j").close()


def test_a_full_disk_at_creation_says_how_much_is_missing(open_small):
    with pytest.raises(JournalNoRoom, match=r"needs 0\.1 MiB more, 0\.0 MiB are free") as caught:
        open_small(SimDisk(room=1000))
    assert "free 0." in caught.value.hint


def test_what_is_appended_after_close_is_refused(tmp_path):
    journal = _open(tmp_path / "j")
    journal.close()
    with pytest.raises(JournalClosed):
        journal.append(Lane.URGENT, b"x")


@pytest.mark.parametrize("call", ["fdatasync", "pwrite"])
def test_one_refused_flush_moves_to_another_segment(call, open_small, content):
    disk = SimDisk()
    journal = open_small(disk)
    journal.append(Lane.URGENT, b"before").result()
    disk.fail = _failing(call, 1)
    journal.append(Lane.URGENT, b"help").result(5)
    journal.append(Lane.URGENT, b"after").result(5)
    journal.close()
    got = content(disk.image(), Lane.URGENT)
    assert got.payloads == {1: b"before", 2: b"help", 3: b"after"}
    assert not got.gaps


def test_flash_that_refuses_twice_is_admitted_and_tried_again(open_small, monkeypatch):
    monkeypatch.setattr("gateway.journal.pending.RETRY_INTERVAL_S", 0.01)
    disk = SimDisk()
    journal = open_small(disk)
    disk.fail = _failing("fdatasync", 2)
    receipt = journal.append(Lane.URGENT, b"help")
    with pytest.raises(JournalWriteFailed, match="Input/output"):
        receipt.result(5)
    assert not receipt.durable
    journal.append(Lane.URGENT, b"again").result(5)
    run = journal.read(Lane.URGENT, 0, 4096)
    assert run
    assert run.payloads == (b"help", b"again")
    assert journal.status()[Lane.URGENT].failed == ""
    journal.close()


def test_a_lane_that_is_refused_does_not_hold_up_the_other(open_small):
    """flush() commits both lanes, and only then says what was refused."""
    disk = SimDisk()
    journal = open_small(disk)

    def fail(call: str, path: Path | None) -> None:
        if call == "pwrite" and path and path.parent.name == "urgent":
            raise OSError(errno.EROFS, "Read-only file system")

    disk.fail = fail
    urgent = journal.append(Lane.URGENT, b"help")
    routine = journal.append(Lane.ROUTINE, b"tick")
    with pytest.raises(JournalWriteFailed, match="Read-only"):
        journal.flush()
    assert routine.durable
    assert not urgent.durable
    disk.fail = lambda call, path: None
    journal.close()


def test_a_lost_meta_is_rebuilt_from_the_segments(open_small, content):
    disk = SimDisk()
    journal = open_small(disk)
    uuid = journal.uuid
    for number in range(3):
        journal.append(Lane.URGENT, b"%d" % number).result()
    journal.close()
    image = disk.image()
    meta = next(path for path in image if path.name == "meta")
    for damaged in (bytes(8192), os.urandom(8192), None):
        broken = {p: d for p, d in image.items() if p != meta}
        if damaged is not None:
            broken[meta] = damaged
        again = SimDisk(broken)
        journal = open_small(again)
        assert journal.uuid == uuid
        journal.close()
        assert list(content(again.image(), Lane.URGENT).payloads.values()) == [b"0", b"1", b"2"]


def test_one_good_slot_of_meta_is_enough(open_small):
    disk = SimDisk()
    journal = open_small(disk)
    for _ in range(3):
        journal.append(Lane.URGENT, b"x").result()
    journal.acknowledge(Lane.URGENT, 2)
    journal.close()
    image = disk.image()
    meta = next(path for path in image if path.name == "meta")
    slots = {at: decode_meta(image[meta][at : at + 4096])[0] for at in (0, 4096)}
    older = min(slots, key=lambda at: slots[at])
    data = bytearray(image[meta])
    data[older : older + 4096] = os.urandom(4096)
    journal = open_small(SimDisk(image | {meta: bytes(data)}))
    assert journal.acknowledged(Lane.URGENT) == 2
    journal.close()


def test_a_header_survives_in_its_second_copy(open_small, content):
    disk = SimDisk()
    journal = open_small(disk)
    journal.append(Lane.URGENT, b"help").result()
    journal.close()
    image = disk.image()
    victim = next(p for p in image if p.parent.name == "urgent" and any(image[p]))
    image[victim] = bytes(512) + image[victim][512:]
    assert content(image, Lane.URGENT).payloads == {1: b"help"}


def test_a_segment_without_header_is_a_gap_and_starts_all_the_same(open_small, content):
    disk = SimDisk()
    journal = open_small(disk)
    for number in range(60):
        journal.append(Lane.ROUTINE, b"%03d" % number + bytes(400))
        journal.flush()
    journal.close()
    image = disk.image()
    whole = content(image, Lane.ROUTINE).payloads
    used = sorted(p for p in image if p.parent.name == "routine" and any(image[p]))
    data = image[used[0]]
    image[used[0]] = os.urandom(4096) + data[4096:-4096] + os.urandom(4096)
    got = content(image, Lane.ROUTINE)
    assert got.lost
    assert got.lost | got.payloads.keys() == whole.keys()
    assert all(whole[seq] == payload for seq, payload in got.payloads.items())


def test_a_store_from_the_future_is_kept_aside(tmp_path):
    journal = _open(tmp_path / "j")
    journal.append(Lane.URGENT, b"x").result()
    old = journal.uuid
    journal.close()
    segment = min((tmp_path / "j" / "urgent").iterdir())
    _rewrite_version(segment, VERSION + 1)
    journal = _open(tmp_path / "j")
    assert journal.uuid != old
    assert journal.trouble.set_aside
    assert (tmp_path / "j" / journal.trouble.set_aside[0] / "urgent" / segment.name).exists()
    journal.append(Lane.URGENT, b"help").result()
    journal.close()


def _rewrite_version(segment: Path, version: int) -> None:
    from zlib import crc32

    from gateway.journal.format import _HEADER, SegmentHeader

    data = bytearray(segment.read_bytes())
    length = len(encode_header(SegmentHeader(bytes(16), Lane.URGENT, 1, 1, 1)))
    assert length == _HEADER.size
    data[11] = version
    data[length - 4 : length] = crc32(data[: length - 4]).to_bytes(4, "big")
    segment.write_bytes(data)


def test_a_changed_quota_grows_and_shrinks_the_store(tmp_path):
    def disk_use() -> int:
        return sum(f.stat().st_size for f in (tmp_path / "j").rglob("*.seg"))

    sizes = []
    for mib in (16, 24, 16):
        journal = Journal.open(tmp_path / "j", quota_bytes=mib << 20, clock=FixedClock())
        journal.append(Lane.ROUTINE, b"kept")
        journal.close()
        sizes.append(disk_use())
        assert sizes[-1] <= mib << 20
    assert sizes[1] > sizes[0] == sizes[2]


def test_a_parent_that_may_not_be_read_does_not_keep_events_from_the_flash(tmp_path):
    """Many a folder may be entered and not listed; the name in it is then not ours to flush."""

    class Guarded(OsFiles):
        def sync_dir(self, path: Path) -> None:
            if path == tmp_path:
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            super().sync_dir(path)

    for _ in range(2):  # made, and found
        journal = Journal.open(
            tmp_path / "j", quota_bytes=QUOTA, clock=FixedClock(), files=Guarded()
        )
        assert journal.append(Lane.URGENT, b"help").result(5)
        assert journal.trouble.notes == []
        journal.close()


def test_a_segment_gives_its_descriptor_back_once(tmp_path):
    """The second time the number may be another file's."""
    closed = []

    class Counting(OsFiles):
        def close(self, fd: int) -> None:
            closed.append(fd)
            super().close(fd)

    segment = Segment.create(Counting(), tmp_path / "0.seg", 1 << 16)
    segment.close()
    segment.close()
    assert len(closed) == 1
