"""A task for as long as a block lasts."""

import asyncio
from contextlib import asynccontextmanager, suppress


@asynccontextmanager
async def running(work):
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
