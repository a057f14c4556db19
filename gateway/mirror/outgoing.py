"""What the mirror publishes, and where."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import quote

from gateway.uplink import TOPIC_ROOT

ONLINE, OFFLINE = b"online", b"offline"


class Outgoing(NamedTuple):
    """One message."""

    topic: str
    payload: bytes
    retain: bool = False


def status_topic(gateway: str) -> str:
    """Where the mirror itself is told to be online or offline, retained."""
    return f"{TOPIC_ROOT}/{gateway}/mirror"


def event_topic(gateway: str, device: str) -> str:
    """Where the events of a device go."""
    return f"{TOPIC_ROOT}/{gateway}/json/{device}"


def place_of(*levels: str) -> str:
    """A place within a device, as the last levels of a topic; a level may hold any text."""
    return "/".join(quote(it, safe="") for it in levels)


def state_topic(gateway: str, device: str, place: str) -> str:
    """Where a state of a device is."""
    return f"{TOPIC_ROOT}/{gateway}/home/{device}/{place}"
