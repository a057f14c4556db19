"""Whether the lines of a device are there and free, told without holding one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gpiod

from drivers.gpio.chip import find_chip, link_lost
from drivers.gpio.kernel import CONSUMER
from drivers.gpio.link import SIM_PREFIX
from gateway.errors import LinkLost
from gateway.finding import Words, fault, fault_of, ok

if TYPE_CHECKING:
    from drivers.gpio.lines import Wanted
    from gateway.finding import Finding


def look_at_lines(wanted: Wanted) -> list[Finding]:
    """The chip and each line of it. Those that hearth holds are as they must be."""
    if wanted.chip.startswith(SIM_PREFIX):
        from drivers.sim.look import look_at_socket  # noqa: PLC0415 - only for virtual hardware

        return [look_at_socket(wanted.chip.removeprefix(SIM_PREFIX))]
    offsets = [wire.offset for wire in (*wanted.inputs, *wanted.outputs)]
    try:
        with gpiod.Chip(find_chip(wanted.chip)) as chip:
            held = [it for offset in offsets if (it := _held(chip, offset))]
    except LinkLost as error:
        return [fault_of(error)]
    except (OSError, ValueError) as error:
        return [fault_of(link_lost(error, str(wanted)))]
    return held or [ok(f"{wanted} can be had", f"{wanted} 可用")]


def _held(chip: gpiod.Chip, offset: int) -> Finding | None:
    """That somebody else has this line, if so."""
    info = chip.get_line_info(offset)
    if not info.used or info.consumer == CONSUMER:
        return None
    owner = info.consumer or "the kernel"
    return fault(
        f"line {offset} is held by {owner}",
        f"线路 {offset} 被 {owner} 占用",
        hint=Words("gpioinfo shows who holds which line", "gpioinfo 显示各线路由谁占用"),
    )
