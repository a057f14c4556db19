"""A short run of what `make fuzz` does a million times."""

import frames
import pytest


@pytest.mark.parametrize("seed", range(3))
def test_frames_that_nobody_meant(seed):
    outcomes = frames.run(4000, seed)
    assert outcomes.total() == 4000
    assert all(outcomes[name] > 40 for name in ("read", "refused", "no answer", "withheld"))
