"""A short day of people with wristbands: what `make hil` lives at length."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "hil"))


@pytest.mark.parametrize("seed", [4, 5])
async def test_each_reading_is_at_the_collector_once_or_told_as_absent(tmp_path, seed):
    import day
    from shims import CLOCK, build_shim

    shim = build_shim(CLOCK, tmp_path)
    if shim is None or day.DBUS_DAEMON is None:
        pytest.skip("needs a C compiler and dbus-daemon")
    rows = await day.live(tmp_path, shim, bands=4, seconds=20, seed=seed)
    assert all(row.good for row in rows), "\n" + day.table(rows)
    assert sum(row.produced for row in rows) > 100
    assert sum(row.absences for row in rows) > 4
