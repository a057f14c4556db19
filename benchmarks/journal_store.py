"""What a large store costs: the time to open it after a crash, the memory to hold it, its scan."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.daemon import memory_mib
from benchmarks.disk import drop_page_cache
from benchmarks.journal_events import call, fill, open_journal, reading
from benchmarks.report import Figure
from gateway.errors import JournalSaturated
from gateway.journal.format import BLOCK, encode_record, salt_seed
from gateway.journal.geometry import ROUTINE_SEGMENT
from gateway.journal.scan import scan
from gateway.model import Lane

ROOT = Path(__file__).parents[1]
LARGE_BYTES = 60_000  # of events that fill a store quickly: of old segments only headers are read
NEARLY_FULL_BYTES = 64 * 1024
READ_BYTES = 64 * 1024  # what a forwarder asks for is of this order
BACKLOGS = 10_000, 1_000_000
BACKLOG_QUOTA = 256 << 20
GROUP = 100
SCANS = 7


# --- opening ------------------------------------------------------------------------------------


def opening(folder: Path, mib: int) -> Figure:
    """Journal.open on a full store whose process was killed while it wrote."""
    process = _start("write_until_killed", folder, mib << 20)
    _line(process)
    time.sleep(0.2)  # somewhere in the middle of a commit
    process.kill()
    process.communicate()
    cold = drop_page_cache()
    started = time.perf_counter()
    journal = open_journal(folder, quota=mib << 20)
    took = time.perf_counter() - started
    status = journal.status()[Lane.ROUTINE]
    journal.close()
    note = (
        f"after kill -9; {status.segments} routine segments, {status.free_segments} free;"
        f" page cache {'dropped' if cold else 'warm'}"
    )
    return Figure(f"opening a full store of {mib} MiB", took, "s", 2, "less", note)


def write_until_killed(folder: str, quota: int) -> None:
    """What the other process does: fill the store, say so, write on.

    The newest segment gets small events: it is the one whose records are scanned at opening.
    """
    journal = open_journal(Path(folder), interval_s=0.001, quota=quota)
    fill(journal, bytes(LARGE_BYTES), quota // LARGE_BYTES)
    log, payload = journal._logs[Lane.ROUTINE], call()
    began = log.segments()[0][-1]
    while (newest := log.segments()[0][-1]) is began or newest.room > NEARLY_FULL_BYTES:
        fill(journal, payload, GROUP)
    print("full", flush=True)
    while True:
        try:
            receipt = journal.append(Lane.URGENT, payload)
        except JournalSaturated:
            receipt.result()


# --- memory -------------------------------------------------------------------------------------


def memory(folder: Path) -> Figure:
    """RSS of a process that holds an open journal and has read all of it: few events, and many."""
    few, many = (_memory_with(folder, backlog) for backlog in BACKLOGS)
    note = f"{few:.1f} MiB with {BACKLOGS[0]:,} events waiting, {many:.1f} MiB with {BACKLOGS[1]:,}"
    return Figure("memory, a long backlog / a short one", many / few, "times", 1.1, "less", note)


def _memory_with(folder: Path, backlog: int) -> float:
    journal = open_journal(folder, quota=BACKLOG_QUOTA)
    fill(journal, call(), backlog - journal.accepted(Lane.ROUTINE))
    journal.close()
    process = _start("read_and_hold", folder, BACKLOG_QUOTA)
    read = int(_line(process))
    mib = memory_mib(process.pid)
    process.communicate("")
    if read != backlog:
        raise RuntimeError(f"{backlog} events were written, {read} came back")
    return mib


def read_and_hold(folder: str, quota: int) -> None:
    """What the other process does: open, read all, say how many, and wait to be measured."""
    journal = open_journal(Path(folder), quota=quota)
    after = count = 0
    while run := journal.read(Lane.ROUTINE, after, READ_BYTES):
        after = run.last
        count += len(run.payloads)
    print(count, flush=True)
    sys.stdin.read()
    journal.close()


# --- scanning -----------------------------------------------------------------------------------


def scan_rate() -> Figure:
    """What recovery does with the newest segment, of the routine lane's size and full."""
    seed, payloads = salt_seed(7), (call(), reading())
    data, seq = bytearray(BLOCK), 1
    while len(data) < ROUTINE_SEGMENT - 2 * BLOCK:
        synced = seq - 1 if seq % GROUP == 1 else None
        data += encode_record(seed, seq, 1, payloads[seq % 2], synced)
        seq += 1
    segment, rates = bytes(data).ljust(ROUTINE_SEGMENT - BLOCK, b"\0"), []
    for _ in range(SCANS):
        started = time.perf_counter()
        found = scan(segment, seed, 1)
        rates.append((seq - 1) / (time.perf_counter() - started))
        if found.spans[-1].last != seq - 1:
            raise RuntimeError(f"{seq - 1} records were written, {found.spans} were found")
    lengths = " and ".join(str(len(payload)) for payload in payloads)
    note = f"{seq - 1} records with events of {lengths} B, {ROUTINE_SEGMENT >> 20} MiB"
    return Figure("scan of a segment", statistics.median(rates), "records/s", 500_000, "more", note)


# --- the other process --------------------------------------------------------------------------


def _start(function: str, folder: Path, quota: int) -> subprocess.Popen[str]:
    """One of the functions above in a process of its own."""
    code = f"from benchmarks import journal_store as b; b.{function}({str(folder)!r}, {quota})"
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def _line(process: subprocess.Popen[str]) -> str:
    """What it says next."""
    line = process.stdout.readline() if process.stdout else ""
    if not line:
        raise RuntimeError(f"the other process ended with {process.wait()}")
    return line.strip()
