"""The machine: whether its time can be believed, where it is, and as whom we look."""

from __future__ import annotations

import os
import pwd
import time
from typing import TYPE_CHECKING

from gateway.clock import SystemClock
from gateway.finding import Finding, Words, ok, warning
from gateway.model import TimeQuality

if TYPE_CHECKING:
    from collections.abc import Iterator

USER = "hearth"  # the daemon's, as systemd/hearth.sysusers makes it


def look_around() -> Iterator[Finding]:
    """All of it."""
    if os.geteuid() == 0 and _exists(USER):
        yield warning(
            "looked at as root, who may open everything; the daemon may not",
            "当前以 root 检查，root 可打开一切文件，而守护程序未必可以",
            hint=Words.same(f"sudo -u {USER} hearth doctor"),
            about="user",
        )
    yield clock(SystemClock().stamp().quality)
    yield zone(time.tzname[0], time.timezone)


def clock(quality: TimeQuality) -> Finding:
    """Whether a time server has set it."""
    if quality is TimeQuality.SYNCHRONISED:
        return ok("synchronised", "已同步", about="clock")
    return warning(
        "not synchronised: after a power cut reminders wait until it is",
        "未同步：断电重启后，提醒要等到时钟同步才会响",
        hint=Words(
            "timedatectl; the network must let NTP (UDP port 123) through",
            "运行 timedatectl 查看；网络须放行 NTP（UDP 123 端口）",
        ),
        about="clock",
    )


def zone(name: str, west_s: int) -> Finding:
    """Whether local time is that of a home.

    Args:
        name: of standard time.
        west_s: s that it is behind UTC.
    """
    if name == "UTC" and west_s == 0:
        return warning(
            "UTC: reminders ring and days of water end by it",
            "时区为 UTC：提醒时刻和每日用水量都将按 UTC 计算",
            hint=Words.same("sudo timedatectl set-timezone Asia/Shanghai"),
            about="time zone",
        )
    return ok(name, name, about="time zone")


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True
