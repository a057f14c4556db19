"""A process that writes to a journal on a real disk, and is killed at any moment."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from gateway.clock import SystemClock
from gateway.journal import Journal
from gateway.model import Lane

QUOTA = 2 << 20

# Says what it was told: `u 7` when seq 7 of the urgent lane was confirmed, `u !` when refused.
WRITER = """
import sys
from gateway.clock import SystemClock
from gateway.errors import JournalError
from gateway.journal import Journal
from gateway.model import Lane
journal = Journal.open(sys.argv[1], quota_bytes=2 << 20, clock=SystemClock(), commit_interval_s=.01)
print("ready", flush=True)
number = 0
while True:
    try:
        routine = [journal.append(Lane.ROUTINE, b"r%d" % i) for i in range(5)]
        number += 1
        print("u", journal.append(Lane.URGENT, b"call %d" % number).result(), flush=True)
        print("r", routine[-1].result(), flush=True)
    except JournalError:
        print("u !", flush=True)
    if number % 50 == 0:
        for lane in Lane:
            journal.acknowledge(lane, max(0, journal.durable(lane) - 20))
"""


class Writer:
    """A process that writes to a journal and says what was confirmed."""

    def __init__(self, folder: Path, *before: str) -> None:
        self.confirmed = {"u": 0, "r": 0}
        self.refused = 0
        self._process = subprocess.Popen(
            [*before, sys.executable, "-c", WRITER, str(folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdout
        self._out = self._process.stdout
        assert self._out.readline() == "ready\n"

    def hear(self, lines: int) -> None:
        """The next so many lines."""
        for _ in range(lines):
            self._take(self._out.readline())

    def kill(self) -> None:
        """SIGKILL, and what it managed to say before."""
        os.killpg(self._process.pid, signal.SIGKILL)
        for line in self._out:
            self._take(line)
        self._process.wait()
        self._out.close()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def _take(self, line: str) -> None:
        if not line.endswith("\n"):
            return  # killed in the middle of a word
        lane, seq = line.split()
        if seq == "!":
            self.refused += 1
        else:
            self.confirmed[lane] = max(self.confirmed[lane], int(seq))


def check(folder: Path, confirmed: dict[str, int]) -> dict[Lane, list[bytes]]:
    """Every confirmed seq is there or acknowledged, in order, without a gap; what is there."""
    journal = Journal.open(folder, quota_bytes=QUOTA, clock=SystemClock())
    found = {}
    for lane, key in ((Lane.URGENT, "u"), (Lane.ROUTINE, "r")):
        assert journal.durable(lane) >= confirmed[key], f"{lane.name}: confirmed and gone"
        payloads, expected = [], journal.acknowledged(lane) + 1
        while run := journal.read(lane, expected - 1, 1 << 16):
            assert run.first == expected, f"{lane.name}: a hole before {run.first}"
            payloads += run.payloads
            expected = run.last + 1
        assert expected == journal.durable(lane) + 1
        found[lane] = payloads
    assert not journal.trouble.set_aside
    journal.close()
    return found


def kill_case(folder: Path, confirmed: dict[str, int], rng: random.Random) -> None:
    """A writer goes on with the store in `folder`, for a random while; `confirmed` is raised."""
    writer = Writer(folder)
    writer.hear(rng.choice([0, 1, 5, 20, 60]))
    time.sleep(rng.random() * 0.004)  # the moment is the point, and it is drawn by lot
    writer.kill()
    for key, seq in writer.confirmed.items():
        confirmed[key] = max(seq, confirmed[key])
