"""What one store has in hand: alarms that it claimed, and its signs of life for them.

Each claim carries the name of its store, and a beat that is raised once a second for as long as the
process lives. Whoever else looks into the line tells by it who is gone (lapses.py).
"""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from typing import TYPE_CHECKING

from gateway.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from collector.due import Due

# As often as a Teller looks into the line; what is told at once, as nearly all is, has none.
BEAT_S = 1.0
# Longer than an output tries to tell one alarm: what hangs in a live process is somebody else's
# turn after it.
CLAIM_S = 60.0


class Hands:
    """Safe to use from any thread; its own one begins with the first claim.

    Args:
        beat: raises the beats of these alarms; called on that thread, may raise StoreError.
    """

    def __init__(self, beat: Callable[[Sequence[int]], None]) -> None:
        self.name = secrets.token_hex(8)
        self._beat = beat
        self._until_s: dict[int, float] = {}  # by id
        self._lock = threading.Lock()
        self._some = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def take(self, dues: Sequence[Due]) -> None:
        """They were claimed."""
        if not dues:
            return
        with self._lock:
            self._until_s |= dict.fromkeys((due.id for due in dues), time.monotonic() + CLAIM_S)
            self._some.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="claims", daemon=True)
                self._thread.start()

    @contextlib.contextmanager
    def letting_go(self, due: Due) -> Iterator[None]:
        """It is told or put off here; if that fails, its claim lapses."""
        try:
            yield
        finally:
            with self._lock:
                self._until_s.pop(due.id, None)

    def close(self) -> None:
        """End the thread: what is still in hand lapses."""
        self._closing.set()
        self._some.set()
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        while True:
            self._some.wait()
            if self._closing.wait(BEAT_S):
                return
            if ids := self._in_hand():
                # Who has them in hand meets the same store, and says so.
                with contextlib.suppress(StoreError):
                    self._beat(ids)

    def _in_hand(self) -> list[int]:
        """In order, so that two who write the same rows do not wait for each other."""
        now_s = time.monotonic()
        with self._lock:
            self._until_s = {id_: it for id_, it in self._until_s.items() if it > now_s}
            if not self._until_s and not self._closing.is_set():
                self._some.clear()
            return sorted(self._until_s)
