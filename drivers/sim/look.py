"""Whether the virtual hardware of a `sim:` address is there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gateway.finding import Words, fault, ok

if TYPE_CHECKING:
    from gateway.finding import Finding


def look_at_socket(path: str) -> Finding:
    """The socket behind which it lives; nobody connects."""
    if Path(path).is_socket():
        return ok("virtual hardware is there", "虚拟硬件已就绪")
    return fault(
        f"no virtual hardware at {path}",
        f"{path} 处没有虚拟硬件",
        hint=Words("is it running?", "它是否在运行？"),
    )
