"""Everything that can go wrong, in one tree.

    HearthError
    ├── SettingsError          the configuration has faults; carries all of them
    ├── DecodeError            bytes from disk, wire, air or network are not what they must be
    │   └── UnknownVersion     well formed, but of a version this hearth does not speak
    ├── JournalError
    │   ├── JournalLocked      another process owns this journal
    │   ├── JournalNoRoom      the disk is too small for the quota
    │   ├── JournalWriteFailed the flash refused; the event is NOT durable          retry
    │   ├── JournalSaturated   events arrive faster than the flash takes them       retry
    │   └── JournalClosed      the journal was closed meanwhile
    ├── DriverError
    │   ├── UnknownDriver      no entry point of that name
    │   ├── DeviceSilent       no answer: off, out of range, broken wire            retry
    │   ├── DeviceRefused      the device answered, and its answer was no           retry
    │   └── LinkLost           the port, adapter or chip is gone                    retry
    ├── UplinkError
    │   ├── UplinkLost         no broker, or the link to it broke                   retry
    │   └── PublishRefused     the broker answered, and its answer was no           retry
    ├── CommandRefused         an order from upstream will not be carried out; says why
    ├── StoreError             the collector's database refused                     retry
    └── ControlError           the daemon could not be asked, or could not answer

Each says what happened, where, and what to do next. `retryable` says whether doing the same again
can help; the supervisor and the forwarder go by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence


class HearthError(Exception):
    """What happened, where (`where`), and what to do next (`hint`)."""

    retryable: ClassVar[bool] = False

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" if self.where else self.what


class SettingsError(HearthError):
    """A configuration with faults, all of them at once, each with its place."""

    def __init__(self, faults: Sequence[str], *, hint: str = "") -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults), hint=hint)


class DecodeError(HearthError):
    """Bytes that are not what they must be. Nothing of them was used."""


class UnknownVersion(DecodeError):
    """A version from the future: understood well enough to refuse it."""


class JournalError(HearthError):
    """The durable buffer could not do what it was asked."""


class JournalLocked(JournalError):
    """Another process writes this journal."""


class JournalNoRoom(JournalError):
    """The disk has less room than the quota asks for."""


class JournalWriteFailed(JournalError):
    """The flash refused a write or a flush: the event is in memory, not durable."""

    retryable = True


class JournalSaturated(JournalError):
    """More bytes wait for the flash than may wait; the event was not accepted."""

    retryable = True


class JournalClosed(JournalError):
    """The journal was closed before the event became durable."""


class DriverError(HearthError):
    """A conversation with a device failed."""


class UnknownDriver(DriverError):
    """No driver of that name is installed."""


class DeviceSilent(DriverError):
    """No answer in time."""

    retryable = True


class DeviceRefused(DriverError):
    """The device answered with an error of its own."""

    retryable = True


class LinkLost(DriverError):
    """The port, adapter or chip the device hangs on is gone."""

    retryable = True


class UplinkError(HearthError):
    """The far side could not be reached or would not take it."""


class UplinkLost(UplinkError):
    """No broker, or the link to it broke before it confirmed."""

    retryable = True


class PublishRefused(UplinkError):
    """The broker refused a publish; `reason` is its own word for it."""

    retryable = True

    def __init__(self, reason: str, *, where: str = "", hint: str = "") -> None:
        self.reason = reason
        super().__init__(f"the broker refused: {reason}", where=where, hint=hint)


class CommandRefused(HearthError):
    """An order from upstream is understood, and will not be carried out."""


class StoreError(HearthError):
    """The collector's database refused; nothing of the batch was stored."""

    retryable = True


class ControlError(HearthError):
    """The daemon could not be asked, or could not answer."""
