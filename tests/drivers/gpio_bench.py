"""A driver on real libgpiod, on a simulated chip, in a process of its own."""

import asyncio
import json
import os
import sys
from contextlib import asynccontextmanager
from pathlib import Path

PROCESS = Path(__file__).with_name("driver_process.py")
ROOT = Path(__file__).parents[2]


class DriverProcess:
    """What it tells, and what it is told."""

    def __init__(self, process):
        self.process = process

    async def tells(self):
        """The next thing it tells; None when it has ended."""
        line = await self.process.stdout.readline()
        return json.loads(line) if line else None

    async def until(self, *words):
        """What it tells that begins so; everything before it is passed over."""
        while (told := await self.tells()) is not None:
            if told[: len(words)] == [*words]:
                return told
        raise AssertionError(f"it ended and never told {words}")

    def hear(self, word=""):
        self.process.stdin.write(f"{word}\n".encode())


@asynccontextmanager
async def driver_process(gpio, driver, **settings):
    env = {**os.environ, **gpio.env, "PYTHONPATH": str(ROOT)}
    text = json.dumps({"chip": "gpiochip0", **settings})
    process = await asyncio.create_subprocess_exec(
        sys.executable, PROCESS, driver, text, env=env,
        stdout=asyncio.subprocess.PIPE, stdin=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield DriverProcess(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
