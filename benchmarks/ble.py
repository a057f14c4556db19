"""Wristbands: what ten of them cost, a call to the flash, a dropped link, and taking turns.

    python -m benchmarks.ble [--seconds N]

Everything is virtual but hearth itself. The cost needs dbus-daemon (the played bluetoothd).
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from benchmarks.ble_cost import bands_cost
from benchmarks.ble_delay import calls_to_flash, drop_to_subscribed
from benchmarks.ble_turns import computed_table, ten_on_five
from benchmarks.report import show, skip
from gateway.cli.main import SWITCH_INTERVAL_S


def _cost(folder: Path, seconds: float) -> int:
    import private_bus

    if private_bus.DBUS_DAEMON is None:
        skip("what ten bands cost", "needs dbus-daemon")
        return 0
    return show(asyncio.run(bands_cost(folder, seconds)))


def main(seconds: float = 30) -> int:
    """Print all figures; how many missed."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)  # as the daemon does
    with tempfile.TemporaryDirectory(prefix="hearth-bench-") as scratch:
        folder = Path(scratch)
        missed = _cost(folder, seconds)
        missed += show(asyncio.run(calls_to_flash(folder)))
        missed += show([asyncio.run(drop_to_subscribed(folder / "drop"))])
        computed_table()
        return missed + show(ten_on_five(folder / "turns"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30)
    raise SystemExit(main(parser.parse_args().seconds))
