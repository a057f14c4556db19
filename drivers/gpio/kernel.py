"""Lines of a GPIO chip of this machine, by libgpiod."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import gpiod
from gpiod.line import Bias, Clock, Direction, Value
from gpiod.line import Edge as EdgeDetection

from drivers.gpio.chip import find_chip, link_lost
from drivers.gpio.wire.edge import Edge
from gateway.errors import LinkLost

if TYPE_CHECKING:
    from collections.abc import Iterable

    from drivers.gpio.lines import Wanted, Wire

    LineConfig = dict[Iterable[int | str] | int | str, gpiod.LineSettings | None]

CONSUMER = "hearth"

# Edges the kernel keeps for each line while we are busy. A chattering contact makes about a
# thousand a second; this rides out a quarter of a second. What is thrown away beyond it is told by
# the numbers.
EVENT_BUFFER = 256

_NOW = timedelta(0)

_BIAS = {
    "pull-up": Bias.PULL_UP,
    "pull-down": Bias.PULL_DOWN,
    "disabled": Bias.DISABLED,
    "as-is": Bias.AS_IS,
}


class KernelLines:
    """The lines of one device: one request for its inputs, so that their edges come in order."""

    def __init__(self, wanted: Wanted) -> None:
        self.active: dict[int, bool] = {}
        self._where = str(wanted)
        self._outputs = [wire.offset for wire in wanted.outputs]
        self._requests: list[gpiod.LineRequest] = []
        path = find_chip(wanted.chip)
        try:
            if wanted.inputs:
                self._requests.append(_request_inputs(path, wanted))
                self.active = _levels(self._requests[0], wanted)
            if wanted.outputs:
                self._requests.append(_request_outputs(path, wanted.outputs))
        except (OSError, ValueError) as error:
            self._release()
            raise link_lost(error, self._where) from error

    async def readable(self) -> None:
        """Return when there are edges, or when the chip is gone. Cancelling loses none."""
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        fd = self._requests[0].fd
        loop.add_reader(fd, readable.set)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(fd)

    def edges(self) -> list[Edge]:
        """What came until now, perhaps nothing; LinkLost when the chip is gone."""
        request = self._requests[0]
        try:
            events = request.read_edge_events() if request.wait_edge_events(_NOW) else []
        except OSError as error:
            raise link_lost(error, self._where) from error
        return [
            Edge(
                event.line_offset,
                event.event_type is event.Type.RISING_EDGE,
                event.timestamp_ns,
                event.line_seqno,
            )
            for event in events
        ]

    def drive(self, offset: int, *, on: bool) -> None:
        """An output active or not. LinkLost when the chip is gone."""
        try:
            self._requests[-1].set_value(offset, Value.ACTIVE if on else Value.INACTIVE)
        except OSError as error:
            raise link_lost(error, self._where) from error

    async def close(self) -> None:
        """Outputs off, lines given back."""
        with suppress(LinkLost):  # a chip that is gone has no light to turn off
            for offset in self._outputs:
                self.drive(offset, on=False)
        self._release()

    def _release(self) -> None:
        for request in self._requests:
            request.release()


def _levels(request: gpiod.LineRequest, wanted: Wanted) -> dict[int, bool]:
    return {wire.offset: request.get_value(wire.offset) is Value.ACTIVE for wire in wanted.inputs}


def _request_inputs(path: str, wanted: Wanted) -> gpiod.LineRequest:
    lines: LineConfig = {
        wire.offset: gpiod.LineSettings(
            direction=Direction.INPUT,
            edge_detection=EdgeDetection.BOTH,
            bias=_BIAS[wanted.bias],
            active_low=wire.active_low,
            debounce_period=timedelta(seconds=wanted.debounce_s),
            event_clock=Clock.MONOTONIC,
        )
        for wire in wanted.inputs
    }
    size = EVENT_BUFFER * len(lines)
    return gpiod.request_lines(path, lines, consumer=CONSUMER, event_buffer_size=size)


def _request_outputs(path: str, wires: tuple[Wire, ...]) -> gpiod.LineRequest:
    lines: LineConfig = {
        wire.offset: gpiod.LineSettings(
            direction=Direction.OUTPUT, active_low=wire.active_low, output_value=Value.INACTIVE
        )
        for wire in wires
    }
    return gpiod.request_lines(path, lines, consumer=CONSUMER)
