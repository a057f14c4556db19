"""Notes beside the journal: old or new after a power cut, never half, and never in the way."""

from __future__ import annotations

import asyncio
import errno
import threading
from pathlib import Path
from random import Random

import pytest
from simdisk import SimDisk

from gateway.errors import JournalWriteFailed
from gateway.notes import MAX_BYTES, FileNotes


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the notes of a device are."""
    return tmp_path / "notes" / "band-1.json"


async def test_what_was_put_is_found_again(path):
    notes = FileNotes(path)
    assert notes.get("until") is None
    await notes.put({"until": "2026-11-25T06:10:00", "count": 3})
    await notes.put({"count": 4, "worn": True})
    again = FileNotes(path)
    assert [again.get(key) for key in ("until", "count", "worn")] == [
        "2026-11-25T06:10:00", 4, True
    ]  # fmt: skip


async def test_only_its_owner_reads_it(path):
    await FileNotes(path).put({"a": 1})
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


async def test_a_power_cut_leaves_the_old_ones_or_the_new_ones(path):
    disk = SimDisk()
    disk.make_dir(path.parent)
    notes = FileNotes(path, disk)
    await notes.put({"until": "old " * 200})
    before = len(disk.ops)
    await notes.put({"until": "new"})
    assert FileNotes(path, SimDisk(disk.image())).get("until") == "new"
    found = set()
    for calls in range(before, len(disk.ops) + 1):
        for image in disk.medium(calls).every(50, Random(calls)):
            found.add(FileNotes(path, SimDisk(image)).get("until"))
    assert found == {"old " * 200, "new"}
    durable = disk.medium(len(disk.ops)).every(50, Random(0))
    assert {FileNotes(path, SimDisk(image)).get("until") for image in durable} == {"new"}


async def test_what_a_power_cut_left_half_written_does_not_stay(path):
    """The new file may be there, longer than what is written next."""
    disk = SimDisk({path.with_suffix(".new"): b"x" * 5000})
    await FileNotes(path, disk).put({"a": 1})
    assert FileNotes(path, SimDisk(disk.image())).get("a") == 1


@pytest.mark.parametrize("call", ["open", "pwrite", "fdatasync", "rename", "sync_dir"])
async def test_what_the_flash_refuses_is_said_and_known_until_the_next_start(path, call):
    disk = SimDisk()
    disk.make_dir(path.parent)
    notes = FileNotes(path, disk)
    await notes.put({"until": "old"})

    def fail(asked: str, _path: Path | None) -> None:
        if asked == call:
            raise OSError(errno.EROFS, "Read-only file system")

    disk.fail = fail
    with pytest.raises(JournalWriteFailed, match="Read-only"):
        await notes.put({"until": "new"})
    assert notes.get("until") == "new"
    disk.fail = lambda asked, _path: None
    assert FileNotes(path, SimDisk(disk.image())).get("until") in {"old", "new"}
    assert disk.open_files == 0
    await notes.put({"more": 1})  # with what was refused before
    assert FileNotes(path, SimDisk(disk.image())).get("until") == "new"


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\xff\xfe", b'{"a": [1]}', b'{"a": null}', b"[" * 100_000, b" " * MAX_BYTES + b"{}"],
    ids=["empty", "cut", "list", "not-text", "nested", "null", "deep", "large"],
)  # fmt: skip
async def test_what_cannot_be_read_is_not_believed_and_not_in_the_way(path, content, caplog):
    path.parent.mkdir()
    path.write_bytes(content)
    notes = FileNotes(path)
    assert notes.get("a") is None
    assert "notes of band-1 are lost" in caplog.text
    await notes.put({"a": 1})
    assert FileNotes(path).get("a") == 1


async def test_one_who_stops_waiting_leaves_no_half_file_to_the_next(path):
    """The write goes on in its thread; the next one waits for it."""
    disk, begun, go_on = SimDisk(), threading.Event(), threading.Event()
    disk.make_dir(path.parent)
    writers = []

    def slow(call: str, _path: Path | None) -> None:
        if call == "pwrite":
            writers.append(threading.current_thread().name)
            begun.set()
            assert go_on.wait(10)

    disk.fail = slow
    notes = FileNotes(path, disk)
    first = asyncio.ensure_future(notes.put({"a": 1}))
    assert await asyncio.to_thread(begun.wait, 10)
    first.cancel()
    second = asyncio.ensure_future(notes.put({"b": 2}))
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(writers) == 1, "two write the same file"
    go_on.set()
    await second
    again = FileNotes(path, SimDisk(disk.image()))
    assert (again.get("a"), again.get("b")) == (1, 2)
    assert first.cancelled()
