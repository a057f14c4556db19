"""Calls: from the edge of a press to the first sign and to delivered, and a contact that chatters.

    python -m benchmarks.calls [--seconds N]

The whole daemon with real libgpiod on a simulated chip, a real broker and a real collector. Needs a
C compiler.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.daemon import cpu_s
from benchmarks.report import Figure, show, skip

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "rigs"))

PRESSES = 40
BOUNCES_PER_S = 1000
BETWEEN_S = 0.2  # what a released contact needs to be at rest
DEBOUNCE_S = 0.03  # of the kernel, before there is an edge at all


def flush_ms(folder: Path, times: int = 50) -> float:
    """A write and its fdatasync, the 99th of a hundred."""
    found = []
    with (folder / "flush").open("wb") as file:
        for _ in range(times):
            began = time.perf_counter()
            os.pwrite(file.fileno(), bytes(4096), 0)
            os.fdatasync(file.fileno())
            found.append(1000 * (time.perf_counter() - began))
    return sorted(found)[int(times * 0.99) - 1]


async def _lit(home, level: int) -> None:
    """Until the light has a level; looked at in the memory that the process writes."""
    from call_home import LIGHT

    while home.gpio.level(LIGHT) != level:
        await asyncio.sleep(0)


async def _press(home) -> tuple[float, float]:
    """Edge to light, and edge to delivered as the daemon tells it, in ms."""
    from call_home import BUTTON

    home.gpio.set(BUTTON, 0)
    edge = time.monotonic() + DEBOUNCE_S
    await _lit(home, 1)
    lit_ms = 1000 * (time.monotonic() - edge)
    call = await home.until("delivered")
    delivered_ms = 1000 * (time.monotonic() - edge)
    home.gpio.set(BUTTON, 1)
    await home.order("call.close", call=call)
    await _lit(home, 0)
    await asyncio.sleep(BETWEEN_S)
    return lit_ms, delivered_ms


async def presses(home, count: int) -> list[Figure]:
    """How long a person waits for the first sign."""
    found = [await _press(home) for _ in range(count)]
    lit = sorted(lit for lit, _ in found)
    delivered = sorted(delivered for _, delivered in found)
    flush = flush_ms(home.folder)
    note = f"median {statistics.median(lit):.1f} ms, {count} presses; a flush {flush:.2f} ms"
    return [
        Figure("edge of a press to on flash and lit, worst", lit[-1], "ms", 10 + flush, note=note),
        Figure("edge of a press to the first sign, worst", lit[-1], "ms", 150),
        Figure(
            "edge of a press to shown as delivered, worst", delivered[-1], "ms", 150,
            note=f"median {statistics.median(delivered):.1f} ms; asked for every 10 ms",
        ),
    ]  # fmt: skip


async def bounces(home, seconds: float) -> list[Figure]:
    """A contact that chatters, on a chip that does not debounce."""
    from call_home import BUTTON, DEVICE

    before, idle = home.count("call", DEVICE), cpu_s(home.gateway.pid)
    await asyncio.sleep(seconds)
    idle = cpu_s(home.gateway.pid) - idle
    home.gpio.held(BUTTON).debounce_s = 0.0
    used, began = cpu_s(home.gateway.pid), time.monotonic()
    for number in range(round(seconds * BOUNCES_PER_S)):
        home.gpio.set(BUTTON, number % 2)
        await asyncio.sleep(max(0.0, began + number / BOUNCES_PER_S - time.monotonic()))
    took = time.monotonic() - began
    used = cpu_s(home.gateway.pid) - used - idle
    home.gpio.set(BUTTON, 1)
    await home.stored("call", DEVICE, before + 1)
    calls = home.count("call", DEVICE) - before
    return [
        Figure("1,000 bounces a second, CPU above idle", 100 * used / took, "%", 2),
        Figure("calls of them", calls, "", 1),
    ]


async def measure(folder: Path, gpio_shim: Path, clock_shim: Path, seconds: float) -> list[Figure]:
    """All figures."""
    from call_home import CallHome

    async with CallHome(folder, gpio_shim, clock_shim) as home:
        await home.up()
        found = await presses(home, PRESSES)
        return found + await bounces(home, seconds)


def main(seconds: float = 10) -> int:
    """Print all figures; how many missed."""
    from shims import CLOCK, GPIO, build_shim

    with tempfile.TemporaryDirectory(prefix="hearth-bench-") as scratch:
        folder = Path(scratch)
        shims = [build_shim(name, folder) for name in (GPIO, CLOCK)]
        if None in shims:
            skip("calls", "needs a C compiler")
            return 0
        return show(asyncio.run(measure(folder, *shims, seconds)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10)
    raise SystemExit(main(parser.parse_args().seconds))
