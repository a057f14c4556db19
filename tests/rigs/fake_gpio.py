"""The wires of a simulated GPIO chip: the harness side of gpio_shim.c.

    async with FakeGpio(shim) as gpio:                       # shim = build_shim(GPIO, folder)
        process = await create_subprocess_exec(..., env={**os.environ, **gpio.env})
        await gpio.requested(17)
        gpio.set(17, 0)                                      # press, against a pull-up

In the other process libgpiod is real, and so is its view of the kernel: debounce, active low,
clocks, numbered edges, busy lines, a chip that is pulled out.
"""

from __future__ import annotations

import asyncio
import errno
import mmap
import struct
import tempfile
import time
from pathlib import Path

LINES = 64
LABEL = "pinctrl-fake"

# struct gpio_v2_line_request: offsets, consumer, config (flags, attributes), num_lines, ...
REQUEST_BYTES = 592
CONSUMER_AT, CONFIG_AT, ATTRS_AT, NUM_LINES_AT = 256, 288, 320, 560
ATTR = struct.Struct("<IIQQ")  # id, padding, value, mask
ATTR_FLAGS, ATTR_DEBOUNCE = 1, 3
EVENT = struct.Struct("<QIIII24x")  # struct gpio_v2_line_event

ACTIVE_LOW, OUTPUT, EDGE_RISING, EDGE_FALLING = 1 << 1, 1 << 3, 1 << 4, 1 << 5
RISING, FALLING = 1, 2


class HeldLine:
    """One line of a request: what the process asked for it."""

    def __init__(self, request: LineRequest, offset: int, flags: int) -> None:
        self.request = request
        self.consumer = request.consumer
        self.flags = flags
        self.debounce_s = 0.0
        self.seqno = 0
        self._offset = offset

    def send_edge(self, level: int) -> None:
        active = level ^ bool(self.flags & ACTIVE_LOW)
        if self.flags & (EDGE_RISING if active else EDGE_FALLING):
            self.seqno += 1
            self.request.send(RISING if active else FALLING, self._offset, self.seqno)


class LineRequest:
    """What a process asked for: several lines, whose events come in order."""

    def __init__(self, body: bytes, writer: asyncio.StreamWriter) -> None:
        (count,) = struct.unpack_from("<I", body, NUM_LINES_AT)
        self.offsets = struct.unpack_from(f"<{count}I", body)
        self.consumer = body[CONSUMER_AT:CONFIG_AT].rstrip(b"\0").decode()
        flags, attrs = struct.unpack_from("<QI", body, CONFIG_AT)
        self.writer = writer
        self._seqno = 0
        self.lines = {offset: HeldLine(self, offset, flags) for offset in self.offsets}
        for index in range(attrs):
            kind, _, value, mask = ATTR.unpack_from(body, ATTRS_AT + ATTR.size * index)
            for number, line in enumerate(self.lines.values()):
                if mask >> number & 1 and kind == ATTR_FLAGS:
                    line.flags = value
                elif mask >> number & 1 and kind == ATTR_DEBOUNCE:
                    line.debounce_s = (value & 0xFFFFFFFF) / 1e6

    def send(self, kind: int, offset: int, line_seqno: int) -> None:
        self._seqno += 1
        event = (time.monotonic_ns(), kind, offset, self._seqno, line_seqno)
        self.writer.write(EVENT.pack(*event))


class FakeGpio:
    """64 wires, all pulled up."""

    def __init__(self, shim: Path) -> None:
        self._shim = shim
        self._held: dict[int, HeldLine] = {}
        self._stable: dict[int, int] = {}
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._changed = asyncio.Event()

    async def __aenter__(self) -> FakeGpio:
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        (folder / "levels").write_bytes(b"\1" * LINES)
        (folder / "dev").mkdir()
        (folder / "dev" / "gpiochip0").touch()
        with (folder / "levels").open("r+b") as levels:
            self._levels = mmap.mmap(levels.fileno(), LINES)
        self._server = await asyncio.start_unix_server(self._serve, folder / "sock")
        self.env = {"FAKE_GPIO_DIR": str(folder), "LD_PRELOAD": str(self._shim)}
        return self

    async def __aexit__(self, *_: object) -> None:
        self.unplug()
        self._levels.close()
        self._folder.cleanup()

    def unplug(self) -> None:
        """The chip disappears under whoever holds its lines."""
        self._server.close()
        for line in self._held.values():
            line.request.writer.transport.abort()

    def set(self, offset: int, level: int) -> None:
        """A wire changes its level."""
        self._levels[offset] = level
        if timer := self._timers.pop(offset, None):
            timer.cancel()
        line = self._held.get(offset)
        debounce_s = line.debounce_s if line else 0.0
        if debounce_s:
            loop = asyncio.get_running_loop()
            self._timers[offset] = loop.call_later(debounce_s, self._settled, offset, level)
        else:
            self._settled(offset, level)

    def lose_edges(self, offset: int, count: int) -> None:
        """The kernel's buffer overflowed: this many edges are gone."""
        self._held[offset].seqno += count

    def level(self, offset: int) -> int:
        """The level of a wire."""
        return self._levels[offset]

    def held(self, offset: int) -> HeldLine:
        """What the process that holds a line asked for."""
        return self._held[offset]

    async def requested(self, offset: int) -> HeldLine:
        """Until a process holds a line."""
        await self._until(lambda: offset in self._held)
        return self._held[offset]

    async def released(self, offset: int) -> None:
        """Until nobody holds a line."""
        await self._until(lambda: offset not in self._held)

    async def driven(self, offset: int, level: int) -> None:
        """Until an output has a level."""
        await self._until(lambda: self._levels[offset] == level)

    async def _until(self, predicate) -> None:
        while not predicate():
            self._changed.clear()
            await self._changed.wait()

    def _settled(self, offset: int, level: int) -> None:
        if self._stable.get(offset, 1) != level:
            self._stable[offset] = level
            if line := self._held.get(offset):
                line.send_edge(level)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mine: list[int] = []
        try:
            while True:
                message = await reader.readexactly(1 + REQUEST_BYTES)
                if message[:1] == b"R":
                    request = LineRequest(message[1:], writer)
                    free = not any(offset in self._held for offset in request.offsets)
                    if free:
                        mine += request.offsets
                        self._held |= request.lines
                    writer.write(bytes([0 if free else errno.EBUSY]))
                self._changed.set()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the process gave the line back, or died
        finally:
            writer.close()
            for offset in mine:
                del self._held[offset]
            self._changed.set()
