"""Opening a journal's folder: it always starts, and builds on nothing that a power cut can take."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from random import Random
from zlib import crc32

import pytest
from content import Content
from lane import Refusal, fill, saved
from rig import Rig, settle
from simdisk import Image, SimDisk

from gateway.errors import JournalLocked, JournalWriteFailed
from gateway.journal import lock as lock_module
from gateway.journal.format import BLOCK, VERSION, encode_meta
from gateway.journal.lock import lock, owner
from gateway.model import Lane

U, R = Lane.URGENT, Lane.ROUTINE


@pytest.fixture
def disk(rig: Rig) -> SimDisk:
    """A store of both lanes, the routine one gone round; its first 100 events are acknowledged."""
    disk = SimDisk()
    with rig.opened(disk) as journal:
        for _ in range(5):
            fill(journal, R, 20)
            journal.acknowledge(R, journal.durable(R))
            settle(journal)
        fill(journal, R, 5)
        fill(journal, U, 3)
    return disk


def meta_path(image: Image) -> Path:
    """Where `meta` is."""
    return next(path for path in image if path.name == "meta")


def what_counts(image: Image) -> Image:
    """Names and contents; how many zeros a file ends in is seen to when it is used."""
    return {path: data.rstrip(b"\0") for path, data in image.items()}


def is_certain(disk: SimDisk) -> bool:
    """A power cut now takes nothing that is there."""
    states = disk.medium(len(disk.ops)).every(50, Random(0))
    return all(what_counts(image) == what_counts(disk.image()) for image in states)


# --- what a killed process left -------------------------------------------------------------------


def test_what_a_killed_process_left_is_certain_once_anything_is_confirmed(rig):
    """At whatever call it was killed: what it had not flushed yet is read, and so must stay."""
    disk = SimDisk()
    with rig.opened(disk) as journal:
        fill(journal, R, 16)
        fill(journal, U, 2)
        journal.acknowledge(R, 13)
    for call in range(len(disk.ops) + 1):
        killed = disk.killed(call)
        with rig.opened(killed) as journal:
            for lane in Lane:  # a segment that was begun counts from its first record on
                journal.append(lane, b"help")
            journal.flush()
            settle(journal)
            assert is_certain(killed), f"killed at {call}"


@pytest.mark.parametrize("call", ["sync_dir", "fdatasync"])
def test_what_the_flash_refused_at_the_start_is_done_before_anything_is_confirmed(rig, disk, call):
    again = SimDisk(disk.image())
    again.fail = Refusal(call, "")
    with rig.opened(again) as journal:
        assert any("played" in note for note in journal.trouble.notes)
        for lane in Lane:
            journal.append(lane, b"help")
            with pytest.raises(JournalWriteFailed, match="played"):
                journal._logs[lane].flush()
        again.fail.on = False
        journal.flush()
        settle(journal)
        assert is_certain(again)


# --- meta -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["gone", "zeros", "rubbish"])
def test_a_meta_that_is_lost_costs_no_event_and_invents_no_loss(rig, disk, how):
    """It begins before the oldest segment there is: what was recycled is not missed."""
    image = disk.image()
    path, data = meta_path(image), image.pop(meta_path(disk.image()))
    if how != "gone":
        image[path] = bytes(len(data)) if how == "zeros" else b"\xee" * len(data)
    with rig.opened(disk) as journal:
        name, before = journal.uuid, Content(journal, R)
    with rig.opened(SimDisk(image)) as journal:
        assert journal.uuid == name
        got = Content(journal, R)
        assert before.payloads.items() <= got.payloads.items()
        assert got.gaps == before.gaps == []
        assert min(got.payloads) > 1
        assert any("meta was lost" in note for note in journal.trouble.notes)


def test_a_meta_that_cannot_be_read_now_is_not_written_over(rig, disk):
    """Another start may read it; until then everything goes out again."""
    path = meta_path(disk.image())
    before = disk.image()[path]
    disk.bad[path] = {0, BLOCK // 512}
    with rig.opened(disk) as journal:
        assert any("read meta" in note for note in journal.trouble.notes)
        assert journal.append(U, b"help").result(5) == 4
        journal.acknowledge(U, 4)
    assert disk.image()[path] == before
    with rig.opened(SimDisk(disk.image())) as journal:
        assert journal.acknowledged(R) == 100
        assert list(Content(journal, U).payloads) == [1, 2, 3, 4]


def test_a_store_of_a_later_format_is_set_aside_whole_and_stays_there(rig, disk):
    image = disk.image()
    path = meta_path(image)
    slot = bytearray(encode_meta(saved(disk), 99))
    slot[11] = VERSION + 1
    slot[-4:] = crc32(slot[:-5]).to_bytes(4, "big")
    image[path] = bytes(slot).ljust(BLOCK, b"\0") * 2
    again = SimDisk(image)
    with rig.opened(again) as journal:
        assert journal.append(U, b"help").result(5) == 1
        (aside,) = journal.trouble.set_aside
        settle(journal)
    kept = path.parent / aside
    for found in again.medium(len(again.ops)).every(10, Random(0)):
        assert {
            there.relative_to(kept): data for there, data in found.items() if kept in there.parents
        } == {there.relative_to(path.parent): data for there, data in image.items()}


# --- one writer -----------------------------------------------------------------------------------


def test_one_writer_a_journal(tmp_path):
    assert owner(tmp_path) == ""
    fd = lock(tmp_path)
    try:
        assert owner(tmp_path) == str(os.getpid())
        with pytest.raises(JournalLocked, match=str(os.getpid())):
            lock(tmp_path)
    finally:
        os.close(fd)
    assert owner(tmp_path) == ""
    os.close(lock(tmp_path))


@pytest.mark.parametrize("call", ["ftruncate", "pwrite"])
def test_the_lock_is_taken_also_where_not_a_byte_can_be_written(tmp_path, monkeypatch, call):
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(lock_module.os, call, refuse)
        fd = lock(tmp_path)
    try:
        with pytest.raises(JournalLocked):
            lock(tmp_path)
    finally:
        os.close(fd)
