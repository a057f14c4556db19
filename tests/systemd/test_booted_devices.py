"""The real drivers within the sandbox of hearth.service: serial port, loudspeaker, Bluetooth."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import struct
import tty

import pytest

from drivers.sim.air import Air
from drivers.sim.band import VirtualBand
from drivers.sim.meter_modbus import VirtualModbusMeter
from drivers.sim.water_flow import WaterFlow
from drivers.sim.wires import VirtualBus
from gateway.control import ask

UNLOCK, NUMBER = 0x40045431, 0x80045430  # TIOCSPTLCK and TIOCGPTN, of asm-generic/ioctls.h
BAND = "C0:FF:EE:00:00:01"
METER = """
[[bus]]
id = "rs485-1"
port = "{port}"
[[device]]
id = "meter-kitchen"
driver = "modbus"
bus = "rs485-1"
unit = 7
profile = "xintai"
poll = 1.0
"""
SPEAKER = """
[[device]]
id = "speaker-hall"
driver = "speaker"
player = ["/srv/player"]
"""
PLAYER = "#!/bin/sh\ncat > /var/lib/hearth/$$.wav\n"
WRISTBAND = f"""
[[device]]
id = "band-1"
driver = "wristband"
resident = "resident-1"
address = "{BAND}"
"""
# What Debian's package bluez installs as /etc/dbus-1/system.d/bluetooth.conf, in short.
POLICY = """<busconfig>
  <policy user="root"><allow own="org.bluez"/><allow send_destination="org.bluez"/></policy>
  <policy group="bluetooth"><allow send_destination="org.bluez"/></policy>
  <policy context="default"><deny send_destination="org.bluez"/></policy>
</busconfig>
"""


class MachinePort:
    """The far end of a serial port that is on the machine, and belongs to group dialout there."""

    def __init__(self, machine) -> None:
        self.receive = None
        self._far = os.open(machine.file("/dev/pts/ptmx"), os.O_RDWR | os.O_NOCTTY)
        fcntl.ioctl(self._far, UNLOCK, struct.pack("i", 0))
        (number,) = struct.unpack("i", fcntl.ioctl(self._far, NUMBER, bytes(4)))
        self.path = f"/dev/pts/{number}"
        node = machine.file(self.path)
        os.chown(node, 0, machine.group("dialout"))
        node.chmod(0o660)
        self._near = os.open(node, os.O_RDWR | os.O_NOCTTY)  # else reading fails while it is closed
        tty.setraw(self._near)
        os.set_blocking(self._far, False)

    def hears(self, line) -> bool:
        return True

    def plug_in(self) -> None:
        asyncio.get_running_loop().add_reader(
            self._far, lambda: self.receive(os.read(self._far, 4096))
        )

    def unplug(self) -> None:
        asyncio.get_running_loop().remove_reader(self._far)

    def write(self, data: bytes) -> None:
        os.write(self._far, data)

    def close(self) -> None:
        self.unplug()
        os.close(self._near)
        os.close(self._far)


async def online(site, device):
    """Until hearth says that it has a device."""
    socket = str(site.machine.file("/run/hearth/control.sock"))
    found = None
    try:
        async with asyncio.timeout(40):
            while found is None or found["state"] != "online":
                await asyncio.sleep(0.05)
                found = (await asyncio.to_thread(ask, socket, "status"))["devices"][device]
    except TimeoutError:
        raise AssertionError(f"{found}\n{site.machine.journal('hearth')}") from None


async def test_a_meter_is_read_over_a_serial_port(site):
    with VirtualBus(MachinePort(site.machine)) as bus:
        bus.add(VirtualModbusMeter(7, flow=WaterFlow(900, 12_345)))
        site.configure(METER.format(port=bus.port))
        await site.start("hearth")
        await online(site, "meter-kitchen")


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
async def test_how_a_call_stands_is_spoken(site):
    """espeak-ng and the player are children of hearth, within the same bounds."""
    player = site.machine.file("/srv/player")
    player.write_text(PLAYER)
    player.chmod(0o755)
    site.configure(SPEAKER)
    await site.start("hearth")
    await online(site, "speaker-hall")
    proofs = set(_played(site))
    await site.press()
    async with asyncio.timeout(40):
        while not any(len(it.read_bytes()) > 20_000 for it in _played(site) if it not in proofs):
            await asyncio.sleep(0.05)


def _played(site):
    return list(site.machine.file("/var/lib/hearth").glob("*.wav"))


@pytest.mark.skipif(shutil.which("dbus-daemon") is None, reason="dbus-daemon is not installed")
async def test_a_band_is_heard_over_the_system_bus(site):
    """The bus has Debian's policy: who is in group bluetooth may talk to bluetoothd."""
    from fake_bluez import FakeBluez

    site.machine.file("/etc/dbus-1/system.d/bluetooth.conf").write_text(POLICY)
    await site.systemctl("restart", "dbus.service")
    air = Air()
    band = VirtualBand(air, BAND)
    address = f"unix:path={site.machine.file('/run/dbus/system_bus_socket')}"
    site.configure(WRISTBAND)
    async with FakeBluez(address, air):
        await band.power_on()
        await site.start("hearth")
        await online(site, "band-1")
        await site.systemctl("stop", "hearth")
