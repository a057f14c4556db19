"""Telling systemd: ready, alive, stopping (sd_notify(3)). Silent when it does not listen."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress


class Systemd:
    """The notification socket of the service manager."""

    def __init__(self, environment: dict[str, str] | None = None) -> None:
        env = os.environ if environment is None else environment
        self._address = env.get("NOTIFY_SOCKET", "")
        own = env.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.watchdog_s = int(env.get("WATCHDOG_USEC", "0")) / 1e6 if own else 0.0

    def ready(self, status: str) -> None:
        """Start-up is done."""
        self._send(f"READY=1\nSTATUS={status}")

    def stopping(self) -> None:
        """Clean stop has begun."""
        self._send("STOPPING=1")

    async def keep_alive(self) -> None:
        """Feed the watchdog from the event loop: a loop that hangs stops feeding it."""
        while self.watchdog_s:
            self._send("WATCHDOG=1")
            await asyncio.sleep(self.watchdog_s / 2)  # what sd_watchdog_enabled(3) advises

    def _send(self, message: str) -> None:
        if not self._address:
            return
        address = self._address
        if address.startswith("@"):  # the abstract namespace
            address = "\0" + address[1:]
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        # sd_notify(3) advises to ignore failures: the service manager acts on what it does not
        # hear, and neither its absence nor a full queue may keep a call waiting.
        with socket.socket(socket.AF_UNIX, kind) as sock, suppress(OSError):
            sock.sendto(message.encode(), address)
