"""Sends an order to a gateway and waits for its reply.

Nothing between here and the gateway is trusted to keep anything: the same signed bytes are sent
again until a reply comes or time is up. The gateway carries them out once, however often they come,
and answers each time alike.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING

from gateway.backoff import Backoff
from gateway.commands.wire import (
    ID_BYTES,
    Command,
    decode_reply,
    encode_command,
    encode_envelope,
)
from gateway.errors import DecodeError, UplinkLost
from gateway.signing.signature import COMMAND
from gateway.uplink import down_topic, reply_topic

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.commands.wire import Argument, Reply
    from gateway.signing.signature import PrivateKey
    from gateway.uplink import Session, Uplink

# A gateway that lost its link is back within seconds; a repeated command costs it next to nothing.
REPEAT_S = 4.0
# Somebody is waiting: no long pauses between tries to reach the broker.
RECONNECT_FIRST_S, RECONNECT_CAP_S = 0.2, 2.0
_GROUP = 64  # replies taken at once; there is one, and those of others to the same topic


def new_command(
    gateway: str, name: str, who: str, arguments: Mapping[str, Argument], lifetime_s: float
) -> Command:
    """An order of this moment, with an id that no other has."""
    now_ms = time.time_ns() // 1_000_000
    return Command(
        gateway=gateway,
        id=secrets.token_bytes(ID_BYTES),
        name=name,
        issued_ms=now_ms,
        expires_ms=now_ms + round(lifetime_s * 1000),
        who=who,
        arguments=dict(arguments),
    )


class Sender:
    """Orders, signed with one key.

    Args:
        uplink: where sessions come from.
        key: signs.
    """

    def __init__(self, uplink: Uplink, key: PrivateKey) -> None:
        self._uplink = uplink
        self._key = key
        self.last_error: Exception | None = None  # why the last session failed

    async def send(self, command: Command, wait_s: float) -> Reply | None:
        """The reply to a command; None if there was none in time: it may be done nevertheless.

        Raises:
            DecodeError: no gateway could understand the command; it was not sent.
            PublishRefused: the broker does not let us send it.
            SettingsError: a file that the uplink's settings name will not do.
        """
        payload = encode_envelope(self._key.sign(COMMAND, encode_command(command)))
        backoff = Backoff(RECONNECT_FIRST_S, RECONNECT_CAP_S)
        try:
            async with asyncio.timeout(wait_s):
                while True:
                    try:
                        async with self._uplink.session() as session:
                            return await _ask(session, command, payload)
                    except UplinkLost as error:
                        self.last_error = error
                    await asyncio.sleep(backoff.next_s())
        except TimeoutError:
            return None


async def _ask(session: Session, command: Command, payload: bytes) -> Reply:
    topic = down_topic(command.gateway, command.name)
    await session.subscribe(reply_topic(topic))
    while True:
        await session.publish(topic, payload)
        try:
            async with asyncio.timeout(REPEAT_S):
                return await _reply(session, command.id)
        except TimeoutError:
            continue


async def _reply(session: Session, command_id: bytes) -> Reply:
    """The reply that names this id; others ask on this topic, and anybody can write there."""
    while True:
        for message in await session.receive(_GROUP):
            try:
                reply = decode_reply(message.payload)
            except DecodeError:
                continue
            if reply.id == command_id:
                return reply
