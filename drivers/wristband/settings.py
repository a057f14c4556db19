"""What the configuration says about one wristband."""

from __future__ import annotations

from typing import Annotated

import msgspec

from drivers.ble.seats import CONNECTIONS
from gateway.settings import Seconds  # noqa: TC001 - msgspec looks it up at run time

Address = Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}\Z")]


class WristbandSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A band, and the adapter that listens to it."""

    address: Address
    adapter: Annotated[str, msgspec.Meta(min_length=1, max_length=256)] = "hci0"
    # A second adapter that only listens, if there is one: the first is deaf while it connects.
    listen_adapter: Annotated[str, msgspec.Meta(max_length=256)] = ""
    # How many devices `adapter` can have connected at once; when there are more, they take turns.
    connections: Annotated[int, msgspec.Meta(ge=1, le=64)] = CONNECTIONS
    # The family of bands that it is one of (family.py), if that cannot be told by looking at it.
    profile: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] = "auto"
    # s without a word before the link is taken for dead. Bands send about once a second while
    # worn; the slowest standard ones once in 30 s. Those that only answer have `poll` on top.
    silence: Seconds = 60.0
    # s between two rounds of questions to a band that wants to be asked. Five minutes is the grain
    # of such bands' own logs; a measurement takes up to 40 s of light, and that is paid in battery.
    poll: Seconds = 300.0
    battery_poll: Seconds = 3600.0  # s between two reads of the standard level; it lasts days
    # s for finding it and connecting. Bands that save energy advertise as seldom as every 10 s,
    # and an advertisement is missed now and then.
    connect_timeout: Seconds = 20.0
