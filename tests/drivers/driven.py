"""A driver at work, for tests of one driver without a daemon."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from gateway.driver import Driver


@asynccontextmanager
async def driven_by(driver: Driver) -> AsyncIterator[asyncio.Task[None]]:
    """The driver's task; cancelled at the end. What it raises comes out of it."""
    task = asyncio.create_task(driver.run())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
