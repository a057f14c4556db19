"""Finding a GPIO chip, and what libgpiod's errors mean for a fitter."""

from __future__ import annotations

import errno
from pathlib import Path

import gpiod

from gateway.errors import LinkLost

_HINTS = {
    errno.EBUSY: "another process holds this line; gpioinfo shows which",
    errno.EACCES: "this user may not open the chip; add it to the group gpio",
    errno.EPERM: "this user may not open the chip; add it to the group gpio",
    errno.EINVAL: "the chip has no such line, or cannot do this bias; gpioinfo shows its lines",
}
_HINT_NO_CHIP = "gpiodetect lists the chips of this machine with their labels"


def find_chip(chip: str) -> str:
    """Path of a chip given by path, name or label; LinkLost if there is none, or several."""
    if "/" in chip:
        return chip
    named = Path("/dev") / chip
    if gpiod.is_gpiochip_device(str(named)):
        return str(named)
    labelled = [path for path in sorted(Path("/dev").glob("gpiochip*")) if _label(path) == chip]
    if len(labelled) != 1:
        what = f"{len(labelled)} GPIO chips are labelled {chip!r}" if labelled else "no such chip"
        raise LinkLost(what, where=chip, hint=_HINT_NO_CHIP)
    return str(labelled[0])


def link_lost(error: OSError | ValueError, where: str) -> LinkLost:
    """What gpiod raised, as LinkLost; a line beyond the end of the chip is its ValueError."""
    code = (error.errno if isinstance(error, OSError) else errno.EINVAL) or 0
    what = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return LinkLost(what, where=where, hint=_HINTS.get(code, _HINT_NO_CHIP))


def _label(path: Path) -> str:
    if not gpiod.is_gpiochip_device(str(path)):
        return ""
    try:
        with gpiod.Chip(str(path)) as chip:
            return chip.get_info().label
    except OSError as error:
        raise link_lost(error, str(path)) from error
