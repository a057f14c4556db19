"""`hearth collect` in a process of its own, and a home whose button somebody presses."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from typing import TYPE_CHECKING

from brokers import GATEWAY, JOURNAL, MemoryBacklog, event_of, settings_for, until

from gateway.codec import encode_event
from gateway.forwarding.forwarder import Forwarder
from gateway.model import Kind, Lane

if TYPE_CHECKING:
    from collections.abc import Sequence


class Hearth:
    """The process, and what it said."""

    def __init__(
        self, *arguments: str, program: Sequence[str] = ("-m", "gateway.cli.main")
    ) -> None:
        self.arguments = *program, "collect", *arguments
        self.lines, self.log = [], ""

    async def __aenter__(self):
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, *self.arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=os.environ | {"HEARTH_LANG": "en"},
        )
        self._readers = [
            asyncio.create_task(self._read_lines()),
            asyncio.create_task(self._read_log()),
        ]
        return self

    async def __aexit__(self, *_):
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
        await asyncio.wait(self._readers)

    async def said(self, what):
        await until(lambda: what in self.log, f"{what!r} in {self.log!r}", timeout_s=40)

    async def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), 40)

    async def _read_lines(self):
        while line := await self.process.stdout.readline():
            self.lines.append(json.loads(line))

    async def _read_log(self):
        while text := await self.process.stderr.read(4096):
            self.log += text.decode()


@contextlib.asynccontextmanager
async def home(broker):
    """A gateway; yields what makes somebody press its button."""
    backlog = MemoryBacklog()
    forwarding = asyncio.create_task(
        Forwarder(GATEWAY, settings_for(broker), (backlog,)).run(),
    )

    def press():
        seq = backlog.durable(Lane.URGENT) + 1
        detail = {"call": f"c{seq}"}
        event = event_of(seq, Kind.CALL, measurements=(), detail=detail)
        backlog.append(Lane.URGENT, encode_event(event))
        return f"{JOURNAL.hex()}/urgent/{seq}"

    try:
        yield press
    finally:
        forwarding.cancel()
        await asyncio.wait([forwarding])
