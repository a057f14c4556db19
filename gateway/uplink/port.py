"""What the rest of hearth sees of MQTT: topics, messages, sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from gateway.model import Lane
    from gateway.uplink.traffic import Traffic

TOPIC_ROOT = "hearth/v1"


def up_topic(gateway: str, lane: Lane) -> str:
    """Where batches of a lane go up; gateway `+` is every gateway."""
    return f"{TOPIC_ROOT}/{gateway}/up/{lane.name.lower()}"


def ack_topic(gateway: str) -> str:
    """Where the collector acknowledges."""
    return f"{TOPIC_ROOT}/{gateway}/ack"


def offer_topic() -> str:
    """Where collectors retain what they understand, for every gateway."""
    return f"{TOPIC_ROOT}/collector"


def state_topic(gateway: str) -> str:
    """Where online and offline are retained."""
    return f"{TOPIC_ROOT}/{gateway}/state"


def down_topic(gateway: str, command: str) -> str:
    """Where a command goes down; command `+` is every command."""
    return f"{TOPIC_ROOT}/{gateway}/down/{command}"


def reply_topic(down: str) -> str:
    """Where the reply to what came on `down` goes; outside of what `down_topic` subscribes to."""
    return f"{down}/reply"


class Message(NamedTuple):
    """What came in."""

    topic: str
    payload: bytes


class Will(NamedTuple):
    """What the broker publishes, retained, when the session ends."""

    topic: str
    payload: bytes


class Session(Protocol):
    """One connection to a broker. Every method raises UplinkLost once it is lost."""

    @property
    def window(self) -> int:
        """How many publishes may be in flight at once."""
        ...

    @property
    def max_payload(self) -> int:
        """The most bytes of payload the broker takes."""
        ...

    @property
    def dropped(self) -> int:
        """Messages that came in faster than they were received, beyond the bound of the inbox."""
        ...

    @property
    def traffic(self) -> Traffic:
        """What the connection has cost so far; the last known count when it is lost."""
        ...

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish with QoS 1; returns on PUBACK.

        Raises:
            PublishRefused: the broker's PUBACK says no, or the payload is larger than it takes.
            UplinkLost: the link broke first; whether the broker has the message is unknown.
        """
        ...

    async def subscribe(self, topic: str) -> None:
        """Subscribe with QoS 1; UplinkLost if the broker refuses."""
        ...

    async def receive(self, limit: int) -> list[Message]:
        """What has come in, oldest first, up to `limit`; waits for the first.

        A message is confirmed to the broker when it is given out here, so the broker's window
        bounds what waits in memory.
        """
        ...

    def messages(self) -> AsyncIterator[Message]:
        """What comes in, one by one, until the link is lost."""
        ...


class Uplink(Protocol):
    """Where sessions come from."""

    def session(self) -> AbstractAsyncContextManager[Session]:
        """Connect; UplinkLost (with a hint) or SettingsError if that fails."""
        ...
