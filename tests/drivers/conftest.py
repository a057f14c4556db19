"""Helpers of the driver tests are imported by name: this folder and tests/rigs are on the path."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
for folder in (HERE, HERE.parent / "rigs"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
