"""A House and Signs that a test moves by hand."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.model import CallState


class StubSigns:
    """`become(state)` is what a call desk would do."""

    def __init__(self) -> None:
        self.state: CallState | None = None
        self._news = asyncio.Event()

    def become(self, state: CallState | None) -> None:
        self.state = state
        self._news.set()
        self._news = asyncio.Event()

    async def changed(self) -> None:
        await self._news.wait()


class StubUtterance:
    def __init__(self, text: str, language: str = "en", phrase: str = "") -> None:
        self.text, self.language, self.phrase = text, language, phrase
        self.interruption = asyncio.Event()
        self.was_said = asyncio.Event()

    async def interrupted(self) -> None:
        await self.interruption.wait()

    def said(self) -> None:
        self.was_said.set()


class StubMessage:
    def __init__(self, text: str) -> None:
        self.text = text
        self.outcome: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def sent(self) -> None:
        self.outcome.set_result("sent")

    def failed(self, reason: str) -> None:
        self.outcome.set_result(reason)


class StubHouse:
    """Put utterances and messages into its queues; see what was acknowledged and asked for."""

    def __init__(self) -> None:
        self.signs = StubSigns()
        self.testing = False
        self.reminding = False
        self.utterances: asyncio.Queue[StubUtterance] = asyncio.Queue()
        self.messages: asyncio.Queue[StubMessage] = asyncio.Queue()
        self.acknowledged: list[str] = []
        self.news_told = 0

    async def utterance(self) -> StubUtterance:
        return await self.utterances.get()

    async def message(self) -> StubMessage:
        return await self.messages.get()

    def acknowledge(self, device: str) -> bool:
        if self.reminding:
            self.acknowledged.append(device)
        return self.reminding

    def tell_news(self) -> None:
        self.news_told += 1
