"""What systemd hears, over a real datagram socket."""

from __future__ import annotations

import asyncio
import os
import socket
import uuid

import pytest

from gateway.notify import Systemd


class Manager:
    """The service manager's end of the notification socket."""

    def __init__(self, address: str) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.settimeout(5)
        self.sock.bind("\0" + address[1:] if address.startswith("@") else address)
        self.environment = {"NOTIFY_SOCKET": address}

    def heard(self) -> str:
        return self.sock.recv(4096).decode()

    async def hears(self) -> str:
        self.sock.setblocking(False)
        data = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self.sock, 4096), 5)
        return data.decode()


@pytest.fixture(params=["file", "abstract"])
def manager(request, tmp_path):
    name = f"@hearth-test-{uuid.uuid4()}" if request.param == "abstract" else f"{tmp_path}/notify"
    manager = Manager(name)
    yield manager
    manager.sock.close()


def test_ready_and_stopping(manager):
    systemd = Systemd(manager.environment)
    systemd.ready("gw-1: 4 devices")
    assert manager.heard() == "READY=1\nSTATUS=gw-1: 4 devices"
    systemd.stopping()
    assert manager.heard() == "STOPPING=1"


async def test_the_watchdog_is_fed_until_cancelled(manager):
    systemd = Systemd({**manager.environment, "WATCHDOG_USEC": "20000"})
    assert systemd.watchdog_s == 0.02
    feeding = asyncio.create_task(systemd.keep_alive())
    for _ in range(3):
        assert await manager.hears() == "WATCHDOG=1"
    feeding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await feeding


async def test_twice_within_the_time_that_systemd_gives(manager, monkeypatch):
    slept = []

    async def sleep(delay_s: float) -> None:
        slept.append(delay_s)
        if len(slept) == 3:
            raise asyncio.CancelledError

    monkeypatch.setattr("gateway.notify.asyncio.sleep", sleep)
    systemd = Systemd({**manager.environment, "WATCHDOG_USEC": "60000000"})
    with pytest.raises(asyncio.CancelledError):
        await systemd.keep_alive()
    assert slept == [30.0, 30.0, 30.0]
    assert [manager.heard() for _ in slept] == ["WATCHDOG=1"] * 3


@pytest.mark.parametrize(
    "environment",
    [{}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "1000", "WATCHDOG_PID": str(os.getpid() + 1)}],
    ids=["none", "off", "of another process"],
)
async def test_no_watchdog_to_feed(manager, environment):
    await asyncio.wait_for(Systemd({**manager.environment, **environment}).keep_alive(), 5)
    manager.sock.setblocking(False)
    with pytest.raises(BlockingIOError):
        manager.heard()


def test_our_own_watchdog():
    systemd = Systemd({"WATCHDOG_USEC": "1500000", "WATCHDOG_PID": str(os.getpid())})
    assert systemd.watchdog_s == 1.5


def test_silent_without_systemd(tmp_path, monkeypatch):
    Systemd({}).ready("nobody listens")
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    Systemd().stopping()


def test_a_manager_that_is_gone_does_not_stop_hearth(tmp_path):
    Systemd({"NOTIFY_SOCKET": f"{tmp_path}/gone"}).ready("nobody listens")
    manager = Manager(f"{tmp_path}/closed")
    manager.sock.close()
    Systemd(manager.environment).stopping()


def test_a_manager_that_does_not_read_does_not_stop_hearth(manager):
    """Its queue fills; a call must not wait behind that."""
    systemd = Systemd(manager.environment)
    for _ in range(2000):  # more than net.unix.max_dgram_qlen
        systemd.ready("again")
    assert manager.heard() == "READY=1\nSTATUS=again"
