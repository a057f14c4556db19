"""What bleak raises, as a DriverError: whose fault it is decides what to do next."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakDBusError,
    BleakError,
    BleakGATTProtocolError,
)

from gateway.errors import DeviceRefused, DeviceSilent, DriverError, LinkLost

if TYPE_CHECKING:
    from collections.abc import Iterator

# What comes out of bleak and the D-Bus library under it when something breaks.
TROUBLE = (BleakError, TimeoutError, EOFError, OSError)

_HINT_NO_BLUEZ = "is bluetoothd running? systemctl status bluetooth"
_ADAPTER_ERRORS = {
    "org.bluez.Error.NotReady": "the adapter is off: bluetoothctl power on",
    "org.freedesktop.DBus.Error.ServiceUnknown": _HINT_NO_BLUEZ,
    "org.freedesktop.DBus.Error.NameHasNoOwner": _HINT_NO_BLUEZ,
    "org.freedesktop.DBus.Error.NoReply": _HINT_NO_BLUEZ,
    "org.freedesktop.DBus.Error.AccessDenied": "add this user to the group bluetooth",
}
# BlueZ's own words for what the band, or its description of itself, does not allow.
_REFUSALS = frozenset(
    f"org.bluez.Error.{word}"
    for word in ("NotPermitted", "NotAuthorized", "NotSupported", "InvalidValueLength")
)
_HINT_NO_ADAPTER = "bluetoothctl list shows the adapters; rfkill list, what blocks them"


@contextmanager
def translated(address: str, adapter: str) -> Iterator[None]:
    """What bleak raises, as a DriverError."""
    try:
        yield
    except TROUBLE as error:
        raise translate(error, address, adapter) from error


def translate(error: Exception, address: str, adapter: str) -> DriverError:
    """The DriverError for what bleak raised: whose fault it is decides what to do next."""
    cause: BaseException | None = error
    while cause is not None:
        if hint := _adapter_trouble(cause):
            return LinkLost(_words(cause), where=adapter, hint=hint)
        cause = cause.__cause__
    if isinstance(error, BleakGATTProtocolError):
        return DeviceRefused(f"the band refused: {error.code.name}", where=address)
    if isinstance(error, BleakDBusError) and error.dbus_error in _REFUSALS:
        return DeviceRefused(
            f"the band refused: {error.dbus_error.rpartition('.')[2]}", where=address
        )
    hint = "is it charged, near, and not connected to a phone?"
    return DeviceSilent(_words(error), where=address, hint=hint)


def _adapter_trouble(error: BaseException) -> str:
    """The hint, if this error is of the adapter and not of a band."""
    if isinstance(error, BleakBluetoothNotAvailableError):
        return _HINT_NO_ADAPTER
    if isinstance(error, BleakDBusError):
        return _ADAPTER_ERRORS.get(error.dbus_error, "")
    missing = isinstance(error, BleakError) and str(error).startswith("adapter ")
    return _HINT_NO_ADAPTER if missing else ""


def _words(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error) or type(error).__name__
