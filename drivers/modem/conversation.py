"""AT commands and their answers, one at a time, on one port."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from drivers.modem.wire.answer import Answer, AnswerReader
from gateway.errors import DecodeError, DeviceSilent

if TYPE_CHECKING:
    from drivers.bus.link import Link

ANSWER_S = 5.0  # a modem answers what it knows by itself within 0.3 s, while it registers in some
WAKE_S = 1.0
WAKE_TRIES = 3  # one that sets its speed by what it hears may miss the first
QUIET_S = 0.2  # nothing for so long: what was late is in
ESCAPE = b"\x1b"  # ends the entry of a message


class Conversation:
    """Asks, and takes nothing for an answer that is none."""

    def __init__(self, link: Link, where: str) -> None:
        self._link = link
        self._where = where
        self._in_step = False

    async def ask(
        self, command: str, prefix: str = "", *, timeout_s: float = ANSWER_S, prompts: bool = False
    ) -> Answer:
        """One command.

        Args:
            command: such as `AT+CSQ`.
            prefix: of the lines that belong to the answer.
            timeout_s: for the whole answer.
            prompts: whether it is answered with the prompt for a message.

        Raises:
            DeviceSilent: no end of an answer in time.
            DecodeError: it talks without an end.
            LinkLost: the port is gone.
        """
        if not self._in_step:
            await self._get_in_step()
        self._link.flush()
        return await self._exchange(command.encode() + b"\r", prefix, timeout_s, prompts=prompts)

    async def enter(self, message: str, prefix: str, timeout_s: float) -> Answer:
        """The message, after the prompt; raises as `ask`."""
        return await self._exchange(message.encode() + b"\x1a", prefix, timeout_s)

    async def _exchange(
        self, data: bytes, prefix: str, timeout_s: float, *, prompts: bool = False
    ) -> Answer:
        reader = AnswerReader(prefix, prompts=prompts)
        self._in_step = False
        self._link.write(data)
        try:
            async with asyncio.timeout(timeout_s):
                answer = None
                while answer is None:
                    answer = reader.feed(await self._link.read())
        except TimeoutError:
            what = f"the modem does not answer within {timeout_s:g} s"
            raise DeviceSilent(what, where=self._where) from None
        self._in_step = True
        return answer

    async def _get_in_step(self) -> None:
        """Until the next answer is that to the next command."""
        for _ in range(WAKE_TRIES):
            try:
                answer = await self._exchange(ESCAPE + b"AT\r", "", WAKE_S)
            except (DecodeError, DeviceSilent):
                continue
            if answer.ok:
                await self._fall_silent()
                self._in_step = True
                return
        self._in_step = False
        hint = "is it on, and is this its AT port? Many have several; try the next"
        raise DeviceSilent("the modem does not answer", where=self._where, hint=hint)

    async def _fall_silent(self) -> None:
        """Let pass what is late; one that is never silent is asked nevertheless."""
        for _ in range(WAKE_TRIES):
            self._link.flush()
            try:
                async with asyncio.timeout(QUIET_S):
                    await self._link.read()
            except TimeoutError:
                return
