"""`hearth collect` in a process of its own, where what a killed one had claimed comes back soon."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from collector.storage import line
from gateway.cli.main import main

line.CLAIM_S = 1

sys.exit(main(sys.argv[1:]))
