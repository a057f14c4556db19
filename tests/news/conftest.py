"""Helpers are imported by name: tests/rigs, tests/drivers and tests/journal are on the path."""

import sys
from pathlib import Path

TESTS = Path(__file__).parent.parent
for folder in (TESTS / "rigs", TESTS / "drivers", TESTS / "journal"):
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
