"""Whether a port is there and ours to open, told without opening it: hearth may have it.

To open a serial port changes its control lines, and a serial server may take one client only.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.finding import Finding, Words, fault, ok, warning

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.settings import BusSettings

_BY_ID = Path("/dev/serial/by-id")
# Numbered in the order in which they were found; those on the board are numbered for good.
_NUMBERED = re.compile(r"/dev/tty(USB|ACM)\d+\Z")


def look_at_bus(bus: BusSettings | None) -> Sequence[Finding]:
    """The port of a bus."""
    return [look_at_port(bus.port).of(f"bus {bus.id}")] if bus else []


def look_at_port(port: str) -> Finding:
    """One port."""
    if "://" in port:
        return ok(
            f"{port} is of another machine; its devices say whether it answers",
            f"{port} 在另一台主机上，能否通信见各设备状态",
        )
    try:
        mode = Path(port).stat().st_mode
    except OSError as error:
        return fault(
            f"{port}: {error.strerror}",
            f"{port} 无法使用：{error.strerror}",
            hint=Words(
                "is the adapter plugged in? ls /dev/serial/by-id names those that are",
                "转换器是否插好？ls /dev/serial/by-id 列出已插入的",
            ),
        )
    if not stat.S_ISCHR(mode):
        return fault(f"{port} is no serial port", f"{port} 不是串口")
    if not os.access(port, os.R_OK | os.W_OK):
        return fault(
            f"{port} is not ours to open",
            f"无权打开 {port}",
            hint=Words(
                "the user hearth must be in the group that owns it (dialout)",
                "hearth 用户须在其所属组（dialout）中",
            ),
        )
    return _named(port)


def _named(port: str) -> Finding:
    """Whether the port will have this name after the next start of the machine."""
    if not _NUMBERED.match(port):
        return ok(f"{port} is there", f"{port} 已就绪")
    return warning(
        f"{port} is there, and may have another number after replugging",
        f"{port} 已就绪，但重新插拔后编号可能改变",
        hint=Words(f"name it {stable_name(port)}", f"请改用 {stable_name(port)}")
        if stable_name(port) != port
        else Words("name it by what is in /dev/serial", "请改用 /dev/serial 下的名称"),
    )


def stable_name(port: str) -> str:
    """The name under /dev/serial/by-id that leads to the same port, which survives replugging."""
    if "://" in port or not _BY_ID.is_dir():
        return port
    real = Path(port).resolve()
    return next((str(it) for it in sorted(_BY_ID.iterdir()) if it.resolve() == real), port)
