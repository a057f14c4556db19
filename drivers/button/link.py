"""The line a button hangs on: one port, and libgpiod behind it. The only importer of gpiod.

A chip address `sim:<path>` is the virtual line of `drivers.sim`; everything else is a chip of this
machine, by its label, name or path. Labels are best: on a Pi 5 the numbers differ from other Pis
and from kernel to kernel.
"""

from __future__ import annotations

import asyncio
import errno
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import gpiod
from gpiod.line import Bias, Clock, Direction, Value
from gpiod.line import Edge as EdgeDetection

from drivers.button.wire import Edge
from gateway.errors import LinkLost

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drivers.button.settings import ButtonSettings

SIM_PREFIX = "sim:"
CONSUMER = "hearth"

# Edges the kernel keeps while we are busy. A chattering contact makes about a thousand a second;
# this rides out a quarter of a second. What is thrown away beyond it is told by the numbers.
EVENT_BUFFER = 256

_BIAS = {
    "pull-up": Bias.PULL_UP,
    "pull-down": Bias.PULL_DOWN,
    "disabled": Bias.DISABLED,
    "as-is": Bias.AS_IS,
}
_HINTS = {
    errno.EBUSY: "another process holds this line; gpioinfo shows which",
    errno.EACCES: "this user may not open the chip; add it to the group gpio",
    errno.EPERM: "this user may not open the chip; add it to the group gpio",
    errno.EINVAL: "the chip has no such line, or cannot do this bias; gpioinfo shows its lines",
}
_HINT_NO_CHIP = "gpiodetect lists the chips of this machine with their labels"


class Line(Protocol):
    """An input line that is watched, and the light beside it."""

    active: bool  # whether the button was pressed when watching began

    async def edges(self) -> Sequence[Edge]:
        """The next edges, at least one; LinkLost when the chip is gone. Cancelling loses none."""
        ...

    def set_light(self, *, on: bool) -> None:
        """Light on or off; nothing if there is none. LinkLost when the chip is gone."""
        ...

    async def close(self) -> None:
        """Light off, line given back."""
        ...


async def open_line(settings: ButtonSettings) -> Line:
    """The line of a button; LinkLost if it cannot be had."""
    if settings.chip.startswith(SIM_PREFIX):
        from drivers.sim.line import SimLine  # noqa: PLC0415 - only virtual hardware needs it

        return await SimLine.open(settings.chip.removeprefix(SIM_PREFIX), settings)
    return GpioLine(settings)


class GpioLine:
    """A line of a GPIO chip of this machine."""

    def __init__(self, settings: ButtonSettings) -> None:
        self._where = f"{settings.chip} line {settings.offset}"
        self._offset = settings.offset
        self._light_offset = settings.light
        self._light: gpiod.LineRequest | None = None
        path = find_chip(settings.chip)
        try:
            self._request = _request_button(path, settings)
        except (OSError, ValueError) as error:
            raise _link_lost(error, self._where) from error
        try:
            self.active = self._request.get_value(self._offset) is Value.ACTIVE
            if settings.light is not None:
                self._light = _request_light(path, settings.light)
        except (OSError, ValueError) as error:
            self._request.release()
            raise _link_lost(error, self._where) from error

    async def edges(self) -> list[Edge]:
        """The next edges, at least one; LinkLost when the chip is gone. Cancelling loses none."""
        await self._readable()
        try:
            events = self._request.read_edge_events()
        except OSError as error:
            raise _link_lost(error, self._where) from error
        return [
            Edge(event.event_type is event.Type.RISING_EDGE, event.timestamp_ns, event.line_seqno)
            for event in events
        ]

    def set_light(self, *, on: bool) -> None:
        """Light on or off; nothing if there is none. LinkLost when the chip is gone."""
        if self._light is None or self._light_offset is None:
            return
        try:
            self._light.set_value(self._light_offset, Value.ACTIVE if on else Value.INACTIVE)
        except OSError as error:
            raise _link_lost(error, self._where) from error

    async def close(self) -> None:
        """Light off, line given back."""
        with suppress(LinkLost):  # a chip that is gone has no light to turn off
            self.set_light(on=False)
        if self._light is not None:
            self._light.release()
        self._request.release()

    async def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(self._request.fd, readable.set)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(self._request.fd)


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


def _label(path: Path) -> str:
    if not gpiod.is_gpiochip_device(str(path)):
        return ""
    try:
        with gpiod.Chip(str(path)) as chip:
            return chip.get_info().label
    except OSError as error:
        raise _link_lost(error, str(path)) from error


def _request_button(path: str, settings: ButtonSettings) -> gpiod.LineRequest:
    line = gpiod.LineSettings(
        direction=Direction.INPUT,
        edge_detection=EdgeDetection.BOTH,
        bias=_BIAS[settings.bias],
        active_low=settings.active == "low",
        debounce_period=timedelta(seconds=settings.debounce),
        event_clock=Clock.MONOTONIC,
    )
    return gpiod.request_lines(
        path, {settings.offset: line}, consumer=CONSUMER, event_buffer_size=EVENT_BUFFER
    )


def _request_light(path: str, offset: int) -> gpiod.LineRequest:
    line = gpiod.LineSettings(direction=Direction.OUTPUT, output_value=Value.INACTIVE)
    return gpiod.request_lines(path, {offset: line}, consumer=CONSUMER)


def _link_lost(error: OSError | ValueError, where: str) -> LinkLost:
    """What gpiod raised, as LinkLost; a line beyond the end of the chip is its ValueError."""
    code = (error.errno if isinstance(error, OSError) else errno.EINVAL) or 0
    what = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return LinkLost(what, where=where, hint=_HINTS.get(code, _HINT_NO_CHIP))
