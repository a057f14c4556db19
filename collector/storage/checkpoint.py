"""Moving SQLite's write-ahead log into the database, beside the commits instead of within one.

By default the commit that fills the log copies it, and a call that waits for this commit waits for
tens of milliseconds of disk. A passive checkpoint on a connection of its own holds nobody up.
"""

from __future__ import annotations

import sqlite3
import threading

# About 4 MB of log at some 300 bytes an event and two pages touched: SQLite's own default.
EVERY_EVENTS = 2000


class Checkpointer:
    """Checkpoints after every so many events, on a thread of its own."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._events = 0
        self._due = threading.Event()
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="checkpoint", daemon=True)
        self._thread.start()

    def committed(self, events: int) -> None:
        """So many events were committed."""
        self._events += events
        if self._events >= EVERY_EVENTS:
            self._events = 0
            self._due.set()

    def close(self) -> None:
        """End the thread."""
        self._ending = True
        self._due.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            self._due.wait()
            self._due.clear()
            if self._ending:
                return
            try:
                database = sqlite3.connect(self._path)
                try:
                    database.execute("PRAGMA wal_checkpoint(PASSIVE)")
                finally:
                    database.close()
            except sqlite3.Error:
                continue  # the log grows until the next one; a commit tells of a disk that fails
