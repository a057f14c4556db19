"""Whether a Bluetooth adapter is there and not blocked, as the kernel tells it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gateway.finding import Words, fault, ok

if TYPE_CHECKING:
    from gateway.finding import Finding

_ADAPTERS = Path("/sys/class/bluetooth")
_SIM_PREFIX = "sim:"


def look_at_adapter(adapter: str) -> Finding:
    """One adapter; it is not switched on, nor is bluetoothd asked."""
    if adapter.startswith(_SIM_PREFIX):
        from drivers.sim.look import look_at_socket  # noqa: PLC0415 - only for virtual hardware

        return look_at_socket(adapter.removeprefix(_SIM_PREFIX)).of("bluetooth")
    if not (_ADAPTERS / adapter).exists():
        present = sorted(path.name for path in _ADAPTERS.glob("hci*") if ":" not in path.name)
        names = ", ".join(present) or "-"
        return fault(
            f"there is no {adapter}; present: {names}",
            f"没有 {adapter}；现有：{names}",
            hint=Words(
                "is it plugged in? on a Pi: no dtoverlay=disable-bt in config.txt",
                "适配器是否插好？树莓派 config.txt 中不应有 dtoverlay=disable-bt",
            ),
            about=adapter,
        )
    if any(_is_on(switch) for switch in (_ADAPTERS / adapter).glob("rfkill*/[sh]*")):
        return fault(
            "is blocked by rfkill",
            "被 rfkill 禁用",
            hint=Words.same("rfkill list; sudo rfkill unblock bluetooth"),
            about=adapter,
        )
    return ok("is there", "已就绪", about=adapter)


def _is_on(switch: Path) -> bool:
    """Whether this is a switch that blocks, `soft` or `hard`, and is on."""
    try:
        return switch.name in {"soft", "hard"} and switch.read_text("ascii").strip() == "1"
    except OSError:
        return False  # pulled out this moment; whoever needs it will say so
