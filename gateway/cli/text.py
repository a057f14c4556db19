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
