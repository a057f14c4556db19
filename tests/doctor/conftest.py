"""Makes the helpers and rigs beside this folder importable."""

import sys
from pathlib import Path

TESTS = Path(__file__).parent.parent
for folder in (TESTS / "rigs", TESTS / "drivers"):
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
