"""The journal: what a commit costs in time and in bytes of flash, what a large store costs.

python -m benchmarks.journal [--commits N]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.disk import Unavailable, ext4
from benchmarks.journal_commit import (
    accept_rate,
    lone_commit,
    lone_commit_on_a_card,
    urgent_behind_routine,
    urgent_behind_routine_on_a_card,
)
from benchmarks.journal_events import QUOTA
from benchmarks.journal_store import memory, opening, scan_rate
from benchmarks.journal_wear import wear
from benchmarks.report import show, skip
from gateway.cli.main import SWITCH_INTERVAL_S

FEW = 5  # so many times fewer commits where each takes milliseconds


def in_a_folder(scratch: Path, commits: int) -> int:
    """What needs no disk of its own, each in a folder of its own; how many missed."""
    missed = 0
    for measure in (
        lambda folder: lone_commit(folder, commits, "temporary folder"),
        lambda folder: lone_commit_on_a_card(folder, commits // FEW),
        lambda folder: [urgent_behind_routine(folder, commits)],
        lambda folder: [urgent_behind_routine_on_a_card(folder, commits)],
        lambda folder: [accept_rate(folder), scan_rate()],
        lambda folder: [opening(folder / "journal", 256)],
        lambda folder: [opening(folder / "journal", 1024)],
        lambda folder: [memory(folder / "journal")],
    ):
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            missed += show(measure(Path(folder)))
    return missed


def on_ext4(commits: int) -> int:
    """What needs a filesystem of its own; how many missed."""
    missed = 0
    for measure in (
        lambda mount, _: lone_commit(mount, commits, "ext4 on a loop device"),
        lambda mount, stat: wear(mount, stat, commits),
    ):
        try:
            with ext4(2 * QUOTA // 2**20 + 64) as (mount, stat):
                missed += show(measure(mount, stat))
        except Unavailable as error:
            skip("lone commit on ext4, flash written", str(error))
            break
    return missed


def main(commits: int = 1000) -> int:
    """Print all figures; how many missed."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)  # as the daemon does
    missed = on_ext4(commits)
    with tempfile.TemporaryDirectory(prefix="hearth-bench-") as scratch:
        return missed + in_a_folder(Path(scratch), commits)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commits", type=int, default=1000)
    raise SystemExit(main(parser.parse_args().commits))
