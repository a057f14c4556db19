"""Where stories are played, some at a time: a folder for each, and a database."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from postgres_server import PostgresServer
from stories import STORIES
from story import Story, World, play
from verdict import Verdict


class Stage:
    """`async with`: plays stories.

    Args:
        folder: for everything that they write.
        seed: of all that they draw.
        short: less of everything.
        at_once: how many at a time; a story waits more than it computes.
    """

    def __init__(self, folder: Path, *, seed: int, short: bool, at_once: int) -> None:
        self._folder = folder
        self._seed = seed
        self._short = short
        self._places = asyncio.Semaphore(at_once)
        self._stack = AsyncExitStack()
        self._starting = asyncio.Lock()
        self._shared: PostgresServer | None = None

    async def __aenter__(self) -> "Stage":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def play(self, name: str, kind: str) -> Verdict:
        """One story on one kind of store, when there is a place.

        Raises:
            Skipped: it cannot be told here.
        """
        async with self._places:
            folder = self._folder / f"{name}-{kind}"
            folder.mkdir()
            if kind == "sqlite":
                return await self._on(STORIES[name], folder, f"sqlite://{folder}/events.db", None)
            return await self._on_postgresql(STORIES[name], folder)

    async def _on_postgresql(self, it: Story, folder: Path) -> Verdict:
        """On a server of its own if the server is what the story is about."""
        async with AsyncExitStack() as own:
            alone = it.stores == ("postgresql",)
            server = await (_start(own) if alone else self._share())
            database = await asyncio.to_thread(server.new_database)
            return await self._on(it, folder, server.url(database), server)

    async def _share(self) -> PostgresServer:
        async with self._starting:
            if self._shared is None:
                self._shared = await _start(self._stack)
            return self._shared

    async def _on(self, it: Story, folder: Path, url: str, server) -> Verdict:
        world = World(folder, url, seed=self._seed, short=self._short, server=server)
        return await play(it, world)


async def _start(stack: AsyncExitStack) -> PostgresServer:
    server = PostgresServer()
    stack.push(server)  # before it is started: it takes its folder away in any case
    await asyncio.to_thread(server.__enter__)
    return server
