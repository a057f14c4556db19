"""A minute of many meters on bad wires: what `make hil` does at length."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "hil"))


@pytest.mark.parametrize("seed", [6])
async def test_no_value_is_wrong_and_every_missed_poll_is_told(tmp_path, seed):
    import meters
    from shims import CLOCK, build_shim

    shim = build_shim(CLOCK, tmp_path)
    if shim is None:
        pytest.skip("needs a C compiler")
    rows, faults = await meters.run(tmp_path, shim, polls=500, meters=20, share=0.15, seed=seed)
    assert all(row.good for row in rows), "\n" + meters.table(rows)
    assert sum(row.read for row in rows) > 300
    assert sum(row.missed for row in rows) > 20
    assert set(faults) == set(meters.FAULTS)
    (dead,) = [row for row in rows if not row.read]
    assert dead.asked
