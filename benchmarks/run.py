"""All figures: `make bench`. Ends with 1 if one of them misses its limit."""

from __future__ import annotations

from benchmarks import ble, calls, daemon, drain, journal, meters, store, uplink

if __name__ == "__main__":
    missed = journal.main() + uplink.main() + daemon.main() + ble.main()
    missed += meters.main() + calls.main() + store.main() + drain.main()
    raise SystemExit(1 if missed else 0)
