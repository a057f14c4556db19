"""Alarms as JSON lines on standard output: `hearth collect --lines | jq ...`.

Who reads slowly makes this output wait and nobody else: a write to a pipe that is full blocks, so
it is done on a thread of its own. It is a daemon thread, because a reader that never reads again
must not keep the collector from ending.
"""

from __future__ import annotations

import asyncio
import os
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING

from collector.outputs.port import TOLD, Outcome, Verdict

if TYPE_CHECKING:
    from collector.outputs.alarm import Alarm

_Job = tuple[bytes, "asyncio.Future[None]"]


class Lines:
    """Writes to an open file descriptor, by default standard output."""

    name = "lines"
    width = 16
    in_order = True

    def __init__(self, descriptor: int = 1) -> None:
        self._descriptor = descriptor
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._write, name="output-lines", daemon=True).start()

    async def tell(self, alarm: Alarm) -> Verdict:
        """Write one line; waits for as long as the reader does not read."""
        written = self._loop.create_future()
        self._jobs.put((alarm.json + b"\n", written))
        try:
            await written
        except BrokenPipeError:
            return Verdict(Outcome.ENDED, "nobody reads standard output any more")
        except OSError as error:  # it is a file, and its disk is full
            return Verdict(Outcome.FAILED, f"standard output: {error.strerror}")
        return TOLD

    async def close(self) -> None:
        """Let the thread end, when it can."""
        self._jobs.put(None)

    def _write(self) -> None:
        cut = b""
        while (job := self._jobs.get()) is not None:
            line, written = job
            try:
                line = cut + line
                while line:
                    line = line[os.write(self._descriptor, line) :]
            except OSError as error:
                cut = b"\n"  # ends what may be there of the line that failed
                self._done(written, error)
            else:
                cut = b""
                self._done(written, None)

    def _done(self, written: asyncio.Future[None], error: OSError | None) -> None:
        try:
            self._loop.call_soon_threadsafe(_settle, written, error)
        except RuntimeError:
            return  # the loop was closed meanwhile: nobody waits


def _settle(written: asyncio.Future[None], error: OSError | None) -> None:
    if written.done():
        return  # cancelled
    if error is None:
        written.set_result(None)
    else:
        written.set_exception(error)
