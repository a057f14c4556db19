"""One lane at work: filling it, spoiling it, waiting for its writer, reading what `meta` says of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from layout import Placed, Store
from medium import Write
from rig import PATIENCE_S
from simdisk import SimDisk

from gateway.journal import Journal
from gateway.journal.format import META_MAGIC, MetaState, decode_meta
from gateway.model import Lane


class Refusal:
    """A `fail` of a SimDisk: refuses one kind of call on one kind of file while it is `on`."""

    def __init__(self, call: str, what: str) -> None:
        self.on = True
        self.count = 0
        self._call = call
        self._what = what  # a name, or a suffix

    def __call__(self, call: str, path: Path | None) -> None:
        if self.on and call == self._call and path and path.name.endswith(self._what):
            self.count += 1
            raise OSError("played")


def wait_until(is_so: Callable[[], object]) -> None:
    """Return when it is so; a writer's thread has nobody to tell it to."""
    until = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.001)


def fill(journal: Journal, lane: Lane, count: int, size: int = 900) -> dict[int, bytes]:
    """That many events of about that size, each in a commit of its own; by seq."""
    sent = {}
    for number in range(count):
        payload = b"%d:" % number + b"." * size
        receipt = journal.append(lane, payload)
        journal.flush()
        sent[receipt.seq] = payload
    return sent


def saved(disk: SimDisk) -> MetaState:
    """What `meta` says now."""
    meta = Store.of(disk.image()).meta
    assert meta
    return meta


def saves(disk: SimDisk) -> list[MetaState]:
    """What was ever written to `meta`, in order."""
    return [
        decode_meta(op.data)[1]
        for op in disk.ops
        if isinstance(op, Write) and op.data[2:10] == META_MAGIC
    ]


def placed(disk: SimDisk, lane: Lane, seq: int) -> tuple[Path, Placed]:
    """Where a record lies."""
    return next(
        (laid.path, record)
        for laid in Store.of(disk.image()).lanes[lane]
        for record in laid.records
        if record.seq == seq
    )


def spoil(disk: SimDisk, lane: Lane, *seqs: int) -> None:
    """These records are damaged, on the medium and for who reads."""
    places = [placed(disk, lane, seq) for seq in seqs]
    for path, record in places:
        fd = disk.open(path)
        disk.pwrite(fd, b"\xff" * 12, record.start)
        disk.fdatasync(fd)
        disk.close(fd)
