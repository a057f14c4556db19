"""A serial port that is not there: a pseudo-terminal under a name that stays the same.

A pseudo-terminal keeps the baud rate that is set on it and forgets the parity.

The name is a symlink, as /dev/serial/by-id has them, so that `unplug` and `plug_in` look to the
other side as they do with a USB adapter: reads and writes fail, the name is gone, and later the
same name leads to a new port.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import termios
import tty
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.bus.line import Line

_READ_BYTES = 4096
_BAUDRATES = {
    code: int(name[1:])
    for name, code in vars(termios).items()
    if name[:1] == "B" and name[1:].isdecimal()
}


class VirtualPort:
    """The far end of a serial line. Bytes that others write to `path` go to `receive`."""

    def __init__(self) -> None:
        self.receive: Callable[[bytes], None] = _unheard
        self._folder = Path(tempfile.mkdtemp(prefix="hearth-line-"))
        self._ends: tuple[int, int] | None = None

    @property
    def path(self) -> str:
        """What goes into `port` of a `[[bus]]`."""
        return str(self._folder / "port")

    def hears(self, line: Line) -> bool:
        """Whether the port is run so that a device with this line understands what is sent."""
        return (
            self._ends is None or _BAUDRATES[termios.tcgetattr(self._ends[1])[5]] == line.baudrate
        )

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
        self.receive(os.read(master, _READ_BYTES))


def _unheard(_data: bytes) -> None:
    """What is written while nobody listens."""
