"""The whole daemon with all its real adapters: memory, CPU per reading, time to ready.

    python -m benchmarks.daemon [--seconds N]

Needs a C compiler (the simulated GPIO chip) and dbus-daemon (the played bluetoothd).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.report import Figure, show, skip

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "rigs"))

STARTS = 5
BEATS_PER_S = 200.0
POLL_S = 0.2  # two meters, five readings a second each: 20 readings a second with the band
COMMIT_S = 2.0  # the default of [journal] commit_interval


def memory_mib(pid: int) -> float:
    """Resident memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(pid)


def cpu_s(pid: int) -> float:
    """Seconds of CPU since the start, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _beat(home) -> None:
    while True:
        await home.band.beat(70)
        await asyncio.sleep(1 / BEATS_PER_S)


def _readings(home) -> int:
    return home.query("SELECT count(*) FROM events WHERE kind = 'measurement'")[0][0]


async def measure(folder: Path, shim: Path, seconds: float) -> list[Figure]:
    """Start it several times; then let it run."""
    from whole_home import WholeHome

    async with WholeHome(folder, shim, poll_s=POLL_S, commit_s=COMMIT_S) as home:
        await home.start()  # creates the journal: not counted
        starts = []
        for _ in range(STARTS):
            await home.stop()
            await home.start()
            starts.append(home.ready_s)
        await home.connected()
        beating = asyncio.create_task(_beat(home))
        await asyncio.sleep(2)
        pid = home.gateway.pid
        before, used = _readings(home), cpu_s(pid)
        await asyncio.sleep(seconds)
        readings, used = _readings(home) - before, cpu_s(pid) - used
        rss = memory_mib(pid)
        beating.cancel()
    note = f"{readings} readings in {seconds:.0f} s, 4 devices"
    each_ms = 1000 * used / readings
    ready_s = statistics.median(starts)
    return [
        Figure("memory of the daemon (RSS)", rss, "MiB", 45, "less", "4 devices connected"),
        Figure("CPU per reading, wire to acknowledged", each_ms, "ms", 0.3, "less", note),
        Figure("hearth run to READY=1", ready_s, "s", 1, "less", f"{STARTS} starts"),
    ]


def main(seconds: float = 20) -> int:
    """Print all figures; how many missed."""
    import private_bus
    from shims import GPIO, build_shim

    with tempfile.TemporaryDirectory(prefix="hearth-bench-") as scratch:
        shim = build_shim(GPIO, Path(scratch))
        if shim is None or private_bus.DBUS_DAEMON is None:
            skip("the whole daemon", "needs a C compiler and dbus-daemon")
            return 0
        return show(asyncio.run(measure(Path(scratch), shim, seconds)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20)
    raise SystemExit(main(parser.parse_args().seconds))
