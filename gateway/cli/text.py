"""What people read, in English and Chinese, side by side where it is written."""

from __future__ import annotations

import os

_VARIABLES = ("HEARTH_LANG", "LC_ALL", "LC_MESSAGES", "LANG")


def chinese() -> bool:
    """Whether the reader's environment asks for Chinese."""
    chosen = next((os.environ[name] for name in _VARIABLES if os.environ.get(name)), "")
    return chosen.lower().startswith("zh")


def text(english: str, zhongwen: str) -> str:
    """The one of the two that the reader wants."""
    return zhongwen if chinese() else english


def size(count: int) -> str:
    """Bytes for people."""
    amount, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, larger
    return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"


def span(seconds: float) -> str:
    """A time for people, in the unit that keeps it short."""
    if seconds < 90:
        return text(f"{seconds:.0f} s", f"{seconds:.0f} 秒")
    if seconds < 90 * 60:
        return text(f"{seconds / 60:.0f} min", f"{seconds / 60:.0f} 分钟")
    if seconds < 48 * 3600:
        return text(f"{seconds / 3600:.0f} h", f"{seconds / 3600:.0f} 小时")
    return text(f"{seconds / 86_400:.0f} days", f"{seconds / 86_400:.0f} 天")
