"""Ports for servers of the demo and the tests: nobody else's, and never taken by a connection."""

import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from drivers.sim import loopback
from drivers.sim.loopback import HOST, free_port

KERNELS = Path("/proc/sys/net/ipv4/ip_local_port_range")


def test_no_port_is_told_twice():
    told = [free_port() for _ in range(500)]
    assert len(set(told)) == len(told)


@pytest.mark.skipif(not KERNELS.exists(), reason="no Linux")
def test_no_connection_is_given_it():
    first, last = map(int, KERNELS.read_text().split())
    assert not [it for it in (free_port() for _ in range(500)) if first <= it <= last]


def test_a_port_in_use_is_not_told(monkeypatch):
    """Of four ports three are listened on."""
    with ExitStack() as stack:
        base = _four_free()
        monkeypatch.setattr(loopback, "_PORTS_FROM", base)
        monkeypatch.setattr(loopback, "_first_ephemeral", lambda: base + 4)
        for port in (base, base + 1, base + 3):
            stack.enter_context(socket.create_server((HOST, port)))
        assert free_port() == base + 2


def _four_free() -> int:
    while True:
        base = free_port()
        try:
            for port in range(base, base + 4):
                socket.create_server((HOST, port)).close()
        except OSError:
            continue
        loopback._told.difference_update(range(base, base + 4))
        return base
