"""Hangs up on a server that stands still.

The kernel notices a machine that is gone. It does not notice a server whose processes are stopped,
or whose disk does not answer: its sockets are in order, over TCP as over a Unix socket, and who
waits for an answer waits for ever. Time-outs of the server's own stand still with it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Watchdog:
    """Of one connection at a time; its thread sleeps while nobody waits.

    Args:
        limit_s: how long to wait for one piece of work.
    """

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self.hung_up = False  # on this connection
        self._changed = threading.Condition()
        self._socket: socket.socket | None = None
        self._until_s: float | None = None
        self._sleeps = False
        self._closed = False
        self._thread: threading.Thread | None = None

    def guard(self, descriptor: int) -> None:
        """Whom to hang up on.

        The number is duplicated, because libpq may close its own at any time, and it could be
        somebody else's socket then.
        """
        self._socket = socket.socket(fileno=os.dup(descriptor))
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
            self._thread.start()

    def release(self) -> None:
        """The connection is closed."""
        self.hung_up = False
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """One piece of work: whoever waits for the server in it fails when its time is over."""
        with self._changed:
            self._until_s = time.monotonic() + self.limit_s
            if self._sleeps:
                self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._until_s = None

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        with self._changed:
            while not self._closed:
                if self._until_s is None:
                    self._sleeps = True
                    self._changed.wait()
                    self._sleeps = False
                elif (left_s := self._until_s - time.monotonic()) > 0:
                    self._changed.wait(left_s)
                else:
                    self._hang_up()

    def _hang_up(self) -> None:
        self._until_s, self.hung_up = None, True
        if self._socket is not None:
            with contextlib.suppress(OSError):  # the other side was faster
                self._socket.shutdown(socket.SHUT_RDWR)
