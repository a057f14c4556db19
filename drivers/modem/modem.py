"""What is asked of a modem: whether it can send, how well it hears, and to send."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.modem.wire.parts import user_data_of
from drivers.modem.wire.state import (
    REGISTERED,
    card_trouble,
    network_trouble,
    registration,
    signal_dbm,
)
from drivers.modem.wire.submit import encode_submit
from gateway.errors import DeviceRefused

if TYPE_CHECKING:
    from drivers.modem.conversation import Conversation
    from drivers.modem.wire.answer import Answer
    from drivers.modem.wire.parts import UserData

# TS 27.005 leaves it to the network how long a message may take; networks answer within seconds or,
# in bad reception, after three tries of about 20 s.
SEND_S = 60.0


class Modem:
    """One modem, in conversation."""

    def __init__(self, talk: Conversation, where: str) -> None:
        self._talk = talk
        self._where = where
        self._reference = 0

    async def prepare(self) -> None:
        """Make it speak as is understood here; it forgets that when it restarts.

        Raises:
            DeviceRefused: it does not know how, its card does not work, or it is in no network.
            DeviceSilent, DecodeError, LinkLost: as of any command.
        """
        for command in ("ATE0", "AT+CMEE=1"):
            await self._talk.ask(command)  # not every modem knows these, and they are a help only
        await self._need_card()
        await self._need("AT+CMGF=0", "it does not send messages as PDUs")
        await self._need_network()

    async def signal_dbm(self) -> int | None:
        """How well it hears the network, if it knows."""
        answer = await self._talk.ask("AT+CSQ", "+CSQ:")
        return signal_dbm(answer.lines[0]) if answer.lines else None

    def parts(self, text: str) -> list[UserData]:
        """A text as messages. The same parts go to all numbers."""
        self._reference = (self._reference + 1) % 256
        return user_data_of(text, self._reference)

    async def send(self, number: str, part: UserData) -> None:
        """Send one part.

        Raises:
            DeviceRefused: the modem or the network refused it.
            DeviceSilent: nobody knows whether it was sent.
            DecodeError, LinkLost: as of any command.
        """
        octets = encode_submit(number, part)
        answer = await self._talk.ask(f"AT+CMGS={len(octets) - 1}", prompts=True)
        if answer.ok:
            answer = await self._talk.enter(octets.hex().upper(), "+CMGS:", SEND_S)
        if not answer.ok or not answer.lines:
            raise DeviceRefused(f"message refused: {answer.final}", where=self._where)

    async def _need(self, command: str, otherwise: str) -> Answer:
        answer = await self._talk.ask(command)
        if not answer.ok:
            raise DeviceRefused(f"{otherwise}: {answer.final}", where=self._where)
        return answer

    async def _need_card(self) -> None:
        answer = await self._talk.ask("AT+CPIN?", "+CPIN:")
        word = answer.lines[0] if answer.ok and answer.lines else answer.final
        if word != "READY":
            what, hint = card_trouble(word)
            raise DeviceRefused(what, where=self._where, hint=hint)

    async def _need_network(self) -> None:
        """In the network for calls or, where there is only LTE, in that."""
        state = None
        for name in ("CREG", "CEREG"):
            answer = await self._talk.ask(f"AT+{name}?", f"+{name}:")
            found = [registration(line) for line in answer.lines]
            if REGISTERED.intersection(found):
                return
            state = found[0] if state is None and found else state
        what, hint = network_trouble(state)
        raise DeviceRefused(what, where=self._where, hint=hint)
