"""The Family contract: what one maker's bands say and want to hear; and how families are found.

A family is a class named by an entry point of the group `hearth.wristbands`. One instance serves
one connection. It is pure: it says what to write and what was meant; the session does it.

With `profile = "auto"` a band is served by the first family, by name, that recognises it; if none
does, by the one called `standard`, which understands everything the Bluetooth SIG has specified.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, ClassVar

from gateway.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from drivers.wristband.command import Command
    from drivers.wristband.history import History
    from drivers.wristband.wire.reading import Reading

ENTRY_POINT_GROUP = "hearth.wristbands"
AUTO, STANDARD = "auto", "standard"


class Family(ABC):
    """One connection to a band of one make. UUIDs are in full and in lower case everywhere."""

    name: ClassVar[str]
    # What tells about once a second for as long as the band is worn: its silence is a fault.
    steady: ClassVar[frozenset[str]] = frozenset()
    stores: ClassVar[tuple[str, ...]] = ()  # names of the histories that it can be asked for

    @classmethod
    @abstractmethod
    def recognises(cls, offers: frozenset[str], name: str) -> bool:
        """Whether a band is of this family.

        Args:
            offers: UUIDs of all services and characteristics it has.
            name: what it calls itself on the air; "" if it does not.
        """

    @property
    @abstractmethod
    def told_by(self) -> tuple[str, ...]:
        """Characteristics to subscribe; a band may lack some."""

    def start(self, now: datetime | None) -> list[Command]:
        """What to write once, after subscribing: set its clock, begin to measure.

        Args:
            now: local time; None while the gateway does not know it.
        """
        del now
        return []

    def poll(self, turn: int) -> list[Command]:
        """What to write now and then: ask for battery, steps, the next spot measurement.

        Args:
            turn: how often this band was asked before, on earlier connections too.
        """
        del turn
        return []

    def histories(self, now: datetime, since: Mapping[str, datetime]) -> list[History]:
        """Conversations that read what the band stored, in their order.

        Args:
            now: local time, naive.
            since: for each name in `stores` the time (local, naive) up to which its values are
                known here.
        """
        del now, since
        return []

    @abstractmethod
    def decode(self, uuid: str, data: bytes) -> Reading:
        """What a value of a characteristic tells; DecodeError and nothing else if it does not."""

    def vibrate(self, *, on: bool) -> Command | None:
        """The write that makes it vibrate, or stop; None if it cannot."""
        del on
        return None


def find_family(profile: str, offers: frozenset[str], name: str) -> Family:
    """The family that serves a band; SettingsError if the profile names none."""
    families = _families()
    check_profile(profile)
    if profile != AUTO:
        return families[profile]()
    makes = (families[key] for key in sorted(families.keys() - {STANDARD}))
    make = next((it for it in makes if it.recognises(offers, name)), families[STANDARD])
    return make()


def check_profile(profile: str) -> None:
    """SettingsError if no family has this name."""
    families = _families()
    if profile not in {AUTO, *families}:
        known = ", ".join([AUTO, *sorted(families)])
        raise SettingsError([f"no wristband profile {profile!r}; there are {known}"])


@cache
def _families() -> dict[str, type[Family]]:
    """Every installed family by its name; SettingsError if one does not load."""
    found: dict[str, type[Family]] = {}
    for point in entry_points(group=ENTRY_POINT_GROUP):
        try:
            make = point.load()
        except ImportError as error:
            raise SettingsError(
                [f"wristband family {point.name!r} does not load: {error}"]
            ) from error
        if not (isinstance(make, type) and issubclass(make, Family)):
            raise SettingsError([f"wristband family {point.name!r} is {make!r}, not a Family"])
        found[point.name] = make
    if STANDARD not in found:
        hint = "install hearth anew: its entry points are missing"
        raise SettingsError(["no wristband families are installed"], hint=hint)
    return found
