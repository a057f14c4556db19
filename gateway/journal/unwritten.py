"""Events that the flash refused: kept in memory, and forwarded from there.

A card that fell read-only must not keep a call from the far side. What the flash refused waits in
its lane and is tried again; as soon as the forwarder has a link it claims such events from here.
They leave their lane then and travel under a journal uuid of their own, with seqs of their own:
the seqs of the lane belong to what is on flash, and after a restart they would be given again.

Nothing here was confirmed to anybody, and it is gone when the process ends. The claimed events stay
until they are acknowledged, and are bounded by what the forwarder lets be outstanding.
"""

from __future__ import annotations

import threading
import uuid
from collections import deque
from typing import TYPE_CHECKING

from gateway.journal.reader import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gateway.journal.entry import Entry
    from gateway.journal.log import Log
    from gateway.model import Lane


class Unwritten:
    """What both lanes' flash refused, as one more journal to forward. Thread-safe."""

    def __init__(self, logs: Mapping[Lane, Log]) -> None:
        self.uuid = uuid.uuid4().bytes
        self._lanes = {lane: _Claimed(log) for lane, log in logs.items()}

    def durable(self, lane: Lane) -> int:
        """The highest seq that could be read now. It falls when the flash takes what it refused."""
        return self._lanes[lane].readable()

    def acknowledged(self, lane: Lane) -> int:
        """Everything up to here is stored at the far side."""
        return self._lanes[lane].acknowledged

    def read(self, lane: Lane, after: int, max_bytes: int) -> Run | None:
        """The next events behind `after`; claims them from their lane if need be."""
        return self._lanes[lane].read(after, max_bytes)

    def acknowledge(self, lane: Lane, through: int) -> None:
        """Everything up to `through` is stored at the far side and may be forgotten."""
        self._lanes[lane].acknowledge(through)

    def watch(self, callback: Callable[[Lane], None]) -> None:
        """Call back, on a writer's thread, when the flash refused something."""
        for claimed in self._lanes.values():
            claimed.log.watch_refused(callback)

    def waiting(self, lane: Lane) -> int:
        """How many events of this lane are in memory alone: refused, not yet stored anywhere."""
        claimed = self._lanes[lane]
        return claimed.readable() - claimed.acknowledged


class _Claimed:
    """The claimed events of one lane: `_events[0]` has the seq behind `acknowledged`."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.acknowledged = 0
        self._events: deque[Entry] = deque()
        self._lock = threading.Lock()

    def readable(self) -> int:
        with self._lock:
            return self.acknowledged + len(self._events) + self.log.refused

    def read(self, after: int, max_bytes: int) -> Run | None:
        with self._lock:
            start = max(after, self.acknowledged) - self.acknowledged
            if start >= len(self._events):
                self._events.extend(self.log.claim(max_bytes))
            taken: list[bytes] = []
            total = 0
            for index in range(start, len(self._events)):
                total += len(self._events[index].payload)
                if taken and total > max_bytes:
                    break
                taken.append(self._events[index].payload)
            return Run(self.acknowledged + start + 1, tuple(taken)) if taken else None

    def acknowledge(self, through: int) -> None:
        with self._lock:
            while self._events and self.acknowledged < through:
                self.log.stored(self._events.popleft())
                self.acknowledged += 1
