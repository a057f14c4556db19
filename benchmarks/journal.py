"""The journal: what a commit costs in time and in bytes of flash.

python -m benchmarks.journal [--commits N]
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.disk import Unavailable, ext4, written_bytes
from benchmarks.report import Figure, show, skip
from gateway.clock import SystemClock
from gateway.codec import encode_event
from gateway.journal import Journal
from gateway.model import Event, Kind, Lane, Measurement, Observation
from gateway.recorder import Recorder

QUOTA = 64 << 20
ROUNDS = 5


def _event() -> bytes:
    call = Event(Kind.CALL, "call-bedroom", SystemClock().stamp(), labels={"room": "bedroom"})
    return encode_event(call)


def _open(folder: Path, interval_s: float = 3600) -> Journal:
    return Journal.open(
        folder, quota_bytes=QUOTA, clock=SystemClock(), commit_interval_s=interval_s
    )


def bare_commits_per_s(folder: Path, count: int, payload: bytes) -> float:
    """Bare pwrite + fdatasync over a file of zeros: what the disk can do at best."""
    path = folder / "bare"
    path.write_bytes(bytes(4 << 20))
    fd = os.open(path, os.O_RDWR)
    os.fsync(fd)
    record, offset = payload + bytes(29), 0
    started = time.perf_counter()
    for _ in range(count):
        os.pwrite(fd, record, offset)
        os.fdatasync(fd)
        offset += len(record)
    took = time.perf_counter() - started
    os.close(fd)
    path.unlink()
    return count / took


def journal_commits_per_s(journal: Journal, count: int, payload: bytes) -> float:
    """Lone urgent commits: append, wait until durable, again."""
    started = time.perf_counter()
    for _ in range(count):
        journal.append(Lane.URGENT, payload).result()
    return count / (time.perf_counter() - started)


def lone_commit(folder: Path, count: int, where: str) -> Figure:
    """Both in turn, several times; the median of the ratios.

    What the journal adds is the way to its writer's thread and back, whatever the flush costs: the
    faster the disk, the lower the ratio.
    """
    payload, ratios, rates = _event(), [], []
    journal = _open(folder / "lone")
    for _ in range(ROUNDS):
        bare = bare_commits_per_s(folder, count, payload)
        ours = journal_commits_per_s(journal, count, payload)
        ratios.append(ours / bare)
        rates.append(1e6 / ours)
    journal.close()
    note = f"{statistics.median(rates):.0f} us a commit, {where}"
    name = "lone urgent commit / bare pwrite + fdatasync"
    return Figure(name, statistics.median(ratios), "of bare", 0.8, "more", note)


def accept_rate(folder: Path) -> Figure:
    """Routine events through the public API: stamped, encoded, journaled, in groups of 100."""
    journal = _open(folder / "rate", 0.01)
    recorder = Recorder(journal, SystemClock())
    observation = Observation(
        Kind.MEASUREMENT, (Measurement("volume", 12.345, "m3"), Measurement("flow", 1e-4, "m3/s"))
    )
    groups, rates = 300, []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for _ in range(groups):
            for _ in range(100):
                receipt = recorder.record(observation, "meter-kitchen", {"room": "kitchen"})
            if journal.accepted(Lane.ROUTINE) - journal.durable(Lane.ROUTINE) > 4000:
                receipt.result()
        journal.flush()
        rates.append(groups * 100 / (time.perf_counter() - started))
    journal.close()
    return Figure(
        "routine events accepted, encoded, committed", statistics.median(rates), "events/s",
        50_000, "more",
    )  # fmt: skip


def on_ext4(count: int) -> list[Figure]:
    """A lone commit against a bare one, and the bytes that reach the block device."""
    payload = _event()
    with ext4(2 * QUOTA // 2**20 + 64) as (mount, stat):
        lone_ratio = lone_commit(mount, count, "ext4 on a loop device")
        journal = _open(mount / "journal")
        os.sync()
        before = written_bytes(stat)
        for _ in range(count):
            journal.append(Lane.URGENT, payload).result()
        lone = (written_bytes(stat) - before) / count
        os.sync()
        before = written_bytes(stat)
        for _ in range(count):
            for _ in range(100):
                journal.append(Lane.ROUTINE, payload)
            journal.flush()
        grouped = (written_bytes(stat) - before) / count / 100
        journal.close()
    note = f"events of {len(payload)} B, ext4 on a loop device"
    return [
        lone_ratio,
        Figure("flash written by a lone commit", lone, "B", 4300, "less", note),
        Figure("flash written an event at 100 a commit", grouped, "B", 200, "less", note),
    ]


def main(commits: int = 1000) -> int:
    """Print all figures; how many missed."""
    with tempfile.TemporaryDirectory(prefix="hearth-bench-") as scratch:
        missed = show(
            [lone_commit(Path(scratch), commits, "temporary folder"), accept_rate(Path(scratch))]
        )
    try:
        missed += show(on_ext4(commits))
    except Unavailable as error:
        skip("flash written", str(error))
    return missed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commits", type=int, default=1000)
    raise SystemExit(main(parser.parse_args().commits))
