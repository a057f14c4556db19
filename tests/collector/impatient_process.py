"""`hearth collect` in a process of its own, which waits for PostgreSQL for no longer than 2 s."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from collector.storage import postgres
from gateway.cli.main import main

postgres.WRITE_LIMIT_S = 2.0

sys.exit(main(sys.argv[1:]))
