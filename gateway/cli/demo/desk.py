"""Somebody upstream: takes the calls that arrive, and closes them. Its orders are signed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collector.sender import Sender, new_command
from gateway.settings import read_uplink
from gateway.signing.keys import write_keys
from gateway.signing.signature import PrivateKey
from gateway.uplink import MqttUplink

if TYPE_CHECKING:
    from pathlib import Path

WHO = "community desk"
# An order that is older than that is not what anybody in a demo waits for.
LIFETIME_S = 60.0


class Desk:
    """Orders one gateway about."""

    def __init__(self, gateway: str, folder: Path) -> None:
        """Make a key pair; its public half, `public_key`, is for the gateway's settings."""
        self._gateway = gateway
        self._key = PrivateKey.generate()
        _, self.public_key = write_keys(self._key, str(folder / "desk"))

    async def order(self, url: str, name: str, call: str) -> bool:
        """Have a call accepted or closed; whether the gateway says that it did, within a minute."""
        uplink = MqttUplink(read_uplink({"url": url}, "demo"))
        command = new_command(self._gateway, name, WHO, {"call": call}, LIFETIME_S)
        reply = await Sender(uplink, self._key).send(command, LIFETIME_S)
        return reply is not None and reply.outcome.name == "DONE"
