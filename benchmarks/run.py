"""All figures: `make bench`. Ends with 1 if one of them misses its limit."""

from __future__ import annotations

from benchmarks import daemon, journal, uplink

if __name__ == "__main__":
    raise SystemExit(1 if journal.main() + uplink.main() + daemon.main() else 0)
