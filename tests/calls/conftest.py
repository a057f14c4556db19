"""The bench is imported by name."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from desk_bench import desk_rig


@pytest.fixture
async def rig(tmp_path):
    async with desk_rig(tmp_path) as made:
        yield made
