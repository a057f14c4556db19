"""A D-Bus system bus of one's own: a dbus-daemon on a socket in a temporary folder.

async with PrivateBus() as bus:
    environment["DBUS_SYSTEM_BUS_ADDRESS"] = bus.address
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path

CONFIG = """<busconfig>
  <type>system</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow own="*"/><allow user="*"/>
    <allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
  </policy>
</busconfig>"""

DBUS_DAEMON = shutil.which("dbus-daemon")


class PrivateBus:
    async def __aenter__(self) -> PrivateBus:
        self._folder = tempfile.TemporaryDirectory()
        socket = Path(self._folder.name) / "bus"
        config = Path(self._folder.name) / "bus.conf"
        config.write_text(CONFIG.format(socket=socket))
        self.address = f"unix:path={socket}"
        self._daemon = await asyncio.create_subprocess_exec(
            DBUS_DAEMON or "dbus-daemon",
            f"--config-file={config}",
            "--nofork",
            "--print-address=1",
            stdout=asyncio.subprocess.PIPE,
        )
        await self._daemon.stdout.readline()  # the address: it listens
        return self

    async def __aexit__(self, *_: object) -> None:
        self._daemon.terminate()
        await self._daemon.wait()
        self._folder.cleanup()
