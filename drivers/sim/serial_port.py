"""A serial port that is not there: a pseudo-terminal under a name that stays the same.

The name is a symlink, as /dev/serial/by-id has them, so that `unplug` and `plug_in` look to the
other side as they do with a USB adapter: reads and writes fail, the name is gone, and later the
same name leads to a new port.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import tty
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_READ_BYTES = 4096


class VirtualPort:
    """The far end of a serial line. Bytes written to `path` by others go to `receive`."""

    def __init__(self, receive: Callable[[bytes], None]) -> None:
        self._receive = receive
        self._folder = Path(tempfile.mkdtemp(prefix="hearth-line-"))
        self._ends: tuple[int, int] | None = None

    @property
    def path(self) -> str:
        """What goes into `port` of a `[[bus]]`."""
        return str(self._folder / "port")

    def plug_in(self) -> None:
        """Make the port appear; the running event loop serves it."""
        if self._ends:
            return
        # The slave end stays open here: while nobody else has it, reading the master would fail.
        master, slave = self._ends = os.openpty()
        tty.setraw(slave)
        os.set_blocking(master, False)
        Path(self.path).symlink_to(os.ttyname(slave))
        asyncio.get_running_loop().add_reader(master, self._readable, master)

    def unplug(self) -> None:
        """Make the port vanish, even while somebody has it open."""
        if not self._ends:
            return
        master, slave = self._ends
        self._ends = None
        asyncio.get_running_loop().remove_reader(master)
        Path(self.path).unlink(missing_ok=True)
        os.close(master)
        os.close(slave)

    def write(self, data: bytes) -> None:
        """Send to whoever has the port open; lost while it is unplugged, as on a real line."""
        if self._ends:
            os.write(self._ends[0], data)

    def close(self) -> None:
        """Unplug for good and remove the name."""
        self.unplug()
        shutil.rmtree(self._folder)

    def _readable(self, master: int) -> None:
        self._receive(os.read(master, _READ_BYTES))
