"""Where virtual servers listen: this machine alone, each on a port that nobody else uses."""

from __future__ import annotations

import random
import socket
from contextlib import suppress
from pathlib import Path

HOST = "127.0.0.1"
# Below these a machine's own services live; above, where Linux begins unless told otherwise.
_PORTS_FROM, _LINUX_EPHEMERAL = 10_000, 32_768
_told: set[int] = set()


def free_port() -> int:
    """A TCP port of loopback that nobody uses now, and that the kernel gives to nobody unasked.

    Ports that the kernel picks are left alone: between this answer and its use, any connection of
    this machine could be given one. No port is told twice.
    """
    while True:
        port = random.randrange(_PORTS_FROM, _first_ephemeral())  # noqa: S311 - no secret
        with socket.socket() as probe, suppress(OSError):
            probe.bind((HOST, port))
            if port not in _told:
                _told.add(port)
                return port


def _first_ephemeral() -> int:
    """Where the ports begin that the kernel picks for connections: ip(7), ip_local_port_range."""
    try:
        first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text("ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return _LINUX_EPHEMERAL
    # A machine that gives out nearly all its ports leaves no room below them.
    return first if first >= _PORTS_FROM + 1000 else _LINUX_EPHEMERAL
