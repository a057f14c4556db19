"""The Driver contract, and how drivers are found.

A driver is a class named by an entry point of the group `hearth.drivers`:

    class ThermometerDriver(Driver):
        summary = "a thermometer on the roof"
        Settings = ThermometerSettings           # a msgspec.Struct: the driver's own keys

        async def run(self) -> None: ...         # until cancelled, or until it raises

`run` connects, then emits what it sees through its Context. When the device or its link fails it
raises a DriverError; the supervisor reports it, waits and calls `run` again on a new instance.
A driver never catches what it does not understand, never touches the journal or the uplink, and
leaves nothing open when it is cancelled.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

import msgspec

from gateway.errors import DriverError, UnknownDriver

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from gateway.finding import Finding
    from gateway.model import CallState, Observation, Scalar
    from gateway.notes import Notes
    from gateway.settings import BusSettings

ENTRY_POINT_GROUP = "hearth.drivers"

S = TypeVar("S", bound="Closable")


class Closable(Protocol):
    """Something several devices share, closed when the daemon stops."""

    async def close(self) -> None:
        """Give back the port, adapter or socket."""
        ...


class Accepted(Protocol):
    """An observation that was accepted."""

    def __await__(self) -> Generator[None, None, int]:
        """Await it to know that it is on flash: its seq. JournalError if the flash refused."""
        ...

    async def delivered(self) -> None:
        """Return when the far side has committed it. JournalError if it had to go before."""
        ...


class Signs(Protocol):
    """How open calls stand. What a light or a sound shows of them is never more than is true."""

    @property
    def state(self) -> CallState | None:
        """That of the call that got least far; None if none is open."""
        ...

    async def changed(self) -> None:
        """Return when `state` has changed since it was last looked at."""
        ...


class Utterance(Protocol):
    """Something to be said."""

    text: str  # in the language of the home
    language: str  # "zh" or "en"
    phrase: str  # name of the phrase, if it is one that may lie on disk as sound; else empty

    async def interrupted(self) -> None:
        """Return when something more important is to be said."""
        ...

    def said(self) -> None:
        """It was said to its end."""
        ...


class TextMessage(Protocol):
    """Something to be sent on a second path, such as SMS, because the network does not answer."""

    text: str

    def sent(self) -> None:
        """The second path has taken it."""
        ...

    def failed(self, reason: str) -> None:
        """It could not be sent; it is offered again."""
        ...


class House(Protocol):
    """What goes on in the home beyond one device."""

    signs: Signs  # of all calls

    @property
    def testing(self) -> bool:
        """An installer tests: calls are marked so."""
        ...

    async def utterance(self) -> Utterance:
        """The next thing to say; a new one takes the place of one that nobody took to its end."""
        ...

    async def message(self) -> TextMessage:
        """The next text to send."""
        ...

    def acknowledge(self, device: str) -> bool:
        """A person did what they are being reminded of; False if nothing reminds them."""
        ...

    def tell_news(self) -> None:
        """A person wants to hear the weather and the notices."""
        ...


class Context(Protocol):
    """What a driver may do to the world: tell what it saw and how its device is."""

    device: str  # id of the device, for messages
    bus: BusSettings | None  # the [[bus]] this device names, if it names one
    notes: Notes  # what the driver must remember over a restart
    signs: Signs  # of the calls of this device
    house: House

    def emit(self, observation: Observation) -> Accepted:
        """Accept an observation. JournalError if the journal does not."""
        ...

    def cancel_calls(self) -> bool:
        """The person takes back the calls of this device; False if it is too late for all."""
        ...

    def online(self, **detail: str | int | float) -> None:
        """The device answers. The first time, and after every absence, this becomes an event."""
        ...

    def offline(self, reason: str) -> None:
        """The device does not answer; the driver goes on trying. Becomes an event on change."""
        ...

    def shared(self, key: str, make: Callable[[], S]) -> S:
        """The one object of this key that all devices of this daemon share; made if missing."""
        ...


class NoSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of a driver that has none."""


class Driver(ABC):
    """One device. Subclasses set `summary` and `Settings`, and write `run`."""

    summary: ClassVar[str]
    Settings: ClassVar[type[msgspec.Struct]] = NoSettings
    needs_bus: ClassVar[bool] = False
    only_one: ClassVar[bool] = False  # a home has one at most: two would take from each other

    def __init__(self, settings: Any, context: Context) -> None:
        self.settings = settings
        self.context = context

    @classmethod
    def check(cls, settings: Any) -> None:
        """What the Settings' types cannot say, such as a profile that must exist.

        Raises:
            SettingsError: with every fault.
        """

    @classmethod
    def look(cls, settings: Any, bus: BusSettings | None) -> Sequence[Finding]:
        """What a fitter should know of the hardware of such a device, for `hearth doctor`.

        It may take a second. A daemon may be running and have the device: nothing is opened that
        only one can have, and what hearth itself holds is well.

        Args:
            settings: of the device.
            bus: the one it hangs on, if it does.
        """
        del settings, bus
        return ()

    async def command(self, name: str, arguments: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """Do something that a person upstream asked for, beside `run`.

        Args:
            name: such as `identify` (make the device noticeable), `read` (tell values now),
                `vibrate`.
            arguments: of the command.

        Returns:
            what is to be answered.

        Raises:
            DriverError: this device cannot do that, or it failed.
        """
        del arguments
        raise DriverError(f"it does not know {name!r}", where=self.context.device)

    @abstractmethod
    async def run(self) -> None:
        """Talk with the device until cancelled.

        Raises:
            DriverError: the device or its link failed; the supervisor starts a new instance later.
        """


def installed_drivers() -> dict[str, str]:
    """Name of each installed driver, and where it comes from (`distribution version`)."""
    found = {}
    for point in entry_points(group=ENTRY_POINT_GROUP):
        origin = f"{point.dist.name} {point.dist.version}" if point.dist else "unknown"
        found[point.name] = origin
    return dict(sorted(found.items()))


def load_driver(name: str) -> type[Driver]:
    """The driver class of this name; UnknownDriver if none is installed or it does not load."""
    points = entry_points(group=ENTRY_POINT_GROUP, name=name)
    if not points:
        known = ", ".join(installed_drivers()) or "none"
        raise UnknownDriver(f"no driver {name!r}", hint=f"installed: {known}")
    try:
        driver = next(iter(points)).load()
    except ImportError as error:
        raise UnknownDriver(f"driver {name!r} does not load: {error}") from error
    if not (isinstance(driver, type) and issubclass(driver, Driver)):
        raise UnknownDriver(f"entry point {name!r} is {driver!r}, not a Driver")
    return driver
