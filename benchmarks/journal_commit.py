"""What a commit costs in time: alone, behind routine at its busiest, and in groups."""

from __future__ import annotations

import random
import statistics
import threading
import time
from typing import TYPE_CHECKING

from benchmarks.disk import SlowFiles
from benchmarks.journal_events import READING, call, open_journal, reading
from benchmarks.report import Figure
from gateway.clock import SystemClock
from gateway.errors import JournalSaturated
from gateway.journal.files import OsFiles
from gateway.model import Lane
from gateway.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gateway.journal import Journal
    from gateway.journal.files import Files

ROUNDS = 5
BARE_BYTES = 4 << 20
RECORD_HEAD = 29  # bytes, so that the bare loop writes as much as the journal
CARD_FLUSH_S = 0.002  # a card's flush takes milliseconds
CARD = f"simulated slow flush, + {1000 * CARD_FLUSH_S:.0f} ms"
HANDOFFS = 5000


# --- the peer -----------------------------------------------------------------------------------


class _Partner:
    """A thread that does one thing each time it is asked to: two raw locks, the least there is."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._asked, self._done = threading.Lock(), threading.Lock()
        self._asked.acquire()
        self._done.acquire()
        self._over = False
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def ask(self) -> None:
        """Have it done, and wait."""
        self._asked.release()
        self._done.acquire()

    def close(self) -> None:
        """End the thread."""
        self._over = True
        self._asked.release()
        self._thread.join()

    def _run(self) -> None:
        while True:
            self._asked.acquire()
            if self._over:
                return
            self._work()
            self._done.release()


def handoff_us() -> float:
    """Microseconds from one thread to another and back.

    The journal's writer is a thread of its own, so that a flush never holds up the rest of the
    gateway. This is the price.
    """
    partner = _Partner(lambda: None)
    started = time.perf_counter()
    for _ in range(HANDOFFS):
        partner.ask()
    took = time.perf_counter() - started
    partner.close()
    return 1e6 * took / HANDOFFS


def bare_commit_s(
    files: Files, folder: Path, count: int, payload: bytes, *, threaded: bool = False
) -> float:
    """Seconds of one bare pwrite + fdatasync over a file of zeros: the disk at its best.

    With `threaded` each is done by another thread, which is waited for.
    """
    path = folder / "bare"
    fd = files.open(path, create=True)
    files.allocate(fd, BARE_BYTES)
    record = payload + bytes(RECORD_HEAD)
    offsets = iter(range(0, BARE_BYTES, len(record)))

    def commit() -> None:
        files.pwrite(fd, record, next(offsets))
        files.fdatasync(fd)

    partner = _Partner(commit)
    one = partner.ask if threaded else commit
    started = time.perf_counter()
    for _ in range(count):
        one()
    took = time.perf_counter() - started
    partner.close()
    files.close(fd)
    files.unlink(path)
    return took / count


# --- a lone commit ------------------------------------------------------------------------------


def journal_commit_s(journal: Journal, count: int, payload: bytes) -> float:
    """Seconds of one lone urgent commit: append, wait until durable, again."""
    started = time.perf_counter()
    for _ in range(count):
        journal.append(Lane.URGENT, payload).result()
    return (time.perf_counter() - started) / count


def lone_commit(folder: Path, count: int, where: str, files: Files | None = None) -> list[Figure]:
    """The journal against the bare loop, and against the bare loop in a thread of its own.

    In turn, through the same files; the medians of the ratios. What the journal adds is the way to
    its writer's thread and back, whatever the flush costs: the faster the disk, the lower the first
    ratio. The second says what the journal itself adds.
    """
    files, payload = files or OsFiles(), call()
    journal = open_journal(folder / "lone", files=files)
    rounds, handoffs = [], []
    for _ in range(ROUNDS):
        bare = bare_commit_s(files, folder, count, payload)
        threaded = bare_commit_s(files, folder, count, payload, threaded=True)
        rounds.append((bare, threaded, journal_commit_s(journal, count, payload)))
        handoffs.append(handoff_us())
    journal.close()
    bare_us, threaded_us, ours_us = (
        1e6 * statistics.median(column) for column in zip(*rounds, strict=True)
    )
    note = (
        f"{where}: {bare_us:.0f} us bare, {ours_us:.0f} us ours;"
        f" two threads and back {statistics.median(handoffs):.0f} us"
    )
    ratio = statistics.median(bare / ours for bare, _, ours in rounds)
    threaded_ratio = statistics.median(threaded / ours for _, threaded, ours in rounds)
    threaded_note = f"{threaded_us:.0f} us bare in a thread of its own"
    return [
        Figure("lone urgent commit / bare pwrite + fdatasync", ratio, "of bare", 0.9, "more", note),
        Figure("  / bare in another thread", threaded_ratio, "of bare", 0.9, "more", threaded_note),
    ]


def lone_commit_on_a_card(folder: Path, count: int) -> list[Figure]:
    """The same with a flush that takes as long as a card's."""
    return lone_commit(folder, count, CARD, SlowFiles(CARD_FLUSH_S))


# --- a call among routine events ----------------------------------------------------------------


class _FlatOut:
    """Appends routine events from a thread of its own as fast as they are taken."""

    def __init__(self, journal: Journal, payload: bytes) -> None:
        self._journal = journal
        self._payload = payload
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> _FlatOut:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        receipt = self._journal.append(Lane.ROUTINE, self._payload)
        while not self._stop.is_set():
            try:
                receipt = self._journal.append(Lane.ROUTINE, self._payload)
            except JournalSaturated:
                receipt.result()


def urgent_behind_routine_on_a_card(folder: Path, count: int) -> Figure:
    """How long a call's commit takes while routine events are written as fast as they are taken.

    In flushes of this disk: its own is one, and it may have to wait for the routine one that is
    under way; the third is room for its turns among three busy threads.
    """
    files = SlowFiles(CARD_FLUSH_S)
    flush_s = bare_commit_s(files, folder, count, call())
    times, routine = _calls_behind_routine(folder, count, files, 2 * flush_s)
    p99, worst = times[int(count * 0.99) - 1] / flush_s, times[-1] / flush_s
    note = (
        f"{CARD}: a flush {1e3 * flush_s:.1f} ms; median {times[count // 2] / flush_s:.1f},"
        f" worst {worst:.1f} of them, {count} calls among {routine:,} routine events"
    )
    return Figure("urgent commit, p99, routine flat out", p99, "flushes", 3, "less", note)


def urgent_behind_routine(folder: Path, count: int) -> Figure:
    """The same where a flush may be shorter than a thread's turn, hence in milliseconds.

    The limit is a tenth of what a person notices.
    """
    flush_s = bare_commit_s(OsFiles(), folder, count, call())
    times, routine = _calls_behind_routine(folder, count, OsFiles(), CARD_FLUSH_S)
    p99_ms = 1e3 * times[int(count * 0.99) - 1]
    note = (
        f"temporary folder: a flush {1e3 * flush_s:.2f} ms; median {1e3 * times[count // 2]:.1f},"
        f" worst {1e3 * times[-1]:.1f} ms, {count} calls among {routine:,} routine events"
    )
    return Figure("urgent commit, p99, routine flat out", p99_ms, "ms", 10, "less", note)


def _calls_behind_routine(
    folder: Path, count: int, files: Files, apart_s: float
) -> tuple[list[float], int]:
    """Seconds of each call's commit, sorted, at random moments; how many routine events went by."""
    journal = open_journal(folder / "busy", interval_s=0.001, files=files)
    moments, times, payload = random.Random(1), [], call()
    with _FlatOut(journal, reading()):
        for _ in range(count):
            time.sleep(moments.uniform(0, apart_s))
            started = time.perf_counter()
            journal.append(Lane.URGENT, payload).result()
            times.append(time.perf_counter() - started)
    routine = journal.durable(Lane.ROUTINE)
    journal.close()
    return sorted(times), routine


# --- groups -------------------------------------------------------------------------------------


def accept_rate(folder: Path) -> Figure:
    """Routine events through the public API: stamped, encoded, journaled, in groups of 100."""
    journal = open_journal(folder / "rate", interval_s=0.01)
    recorder = Recorder(journal, SystemClock())
    groups, rates = 300, []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for _ in range(groups):
            for _ in range(100):
                receipt = recorder.record(READING, "meter-kitchen", {"room": "kitchen"})
            if journal.accepted(Lane.ROUTINE) - journal.durable(Lane.ROUTINE) > 4000:
                receipt.result()
        journal.flush()
        rates.append(groups * 100 / (time.perf_counter() - started))
    journal.close()
    name = "routine events accepted, encoded, committed"
    return Figure(name, statistics.median(rates), "events/s", 50_000, "more")
