"""The life of bluetoothd and of the adapter, watched on D-Bus.

When bluetoothd dies, bleak (3.1) says nothing: no disconnected callback comes and `is_connected`
stays True. The bus itself knows: the name org.bluez loses its owner. This asks for the name once,
so that a missing D-Bus, bluetoothd or permission is told as what it is, and then waits for it to
change hands.

An adapter that is switched off (rfkill, a USB reset) or pulled out ends every scan without a word
to whoever started it, and does not begin it again: that counts as a loss as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus
from dbus_fast.errors import AuthError, DBusError

from gateway.errors import LinkLost

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

BLUEZ = "org.bluez"
_DBUS, _DBUS_PATH = "org.freedesktop.DBus", "/org/freedesktop/DBus"
_ADAPTER, _DEVICE = "org.bluez.Adapter1", "org.bluez.Device1"
_PROPERTIES = "org.freedesktop.DBus.Properties"


def _rules(path: str) -> tuple[str, ...]:
    """What to be told by the bus, about the adapter at this path."""
    signal = "type='signal',sender="
    return (
        f"{signal}'{_DBUS}',member='NameOwnerChanged',arg0='{BLUEZ}'",
        f"{signal}'{BLUEZ}',member='PropertiesChanged',path='{path}',arg0='{_ADAPTER}'",
        f"{signal}'{BLUEZ}',member='InterfacesRemoved',arg0path='{path}'",
    )


_HINT_DBUS = "no D-Bus system bus: is dbus running, and may this user use it?"
_HINT_BLUEZ = "is bluetoothd running? systemctl status bluetooth"
_HINT_ADAPTER = "bluetoothctl list shows the adapters; is it plugged in?"
_HINT_RFKILL = "rfkill list shows what blocks it; rfkill unblock bluetooth"


class BluezWatch:
    """A connection to the system bus that watches who owns org.bluez."""

    def __init__(self, bus: MessageBus, adapter: str, on_lost: Callable[[str], None]) -> None:
        self._bus = bus
        self._adapter = adapter
        self._path = f"/org/bluez/{adapter}"
        self._on_lost = on_lost
        self._opened = False
        self._lost = ""  # why it is, if it is
        self._cycling = False  # it is switched off and on by ourselves

    @classmethod
    async def open(cls, adapter: str, on_lost: Callable[[str], None]) -> BluezWatch:
        """Start to watch; LinkLost if there is no bus, or no bluetoothd on it.

        Args:
            adapter: name of the adapter, `hci0`.
            on_lost: called once, with the reason, when bluetoothd or the adapter goes.
        """
        try:
            bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
        except (OSError, EOFError, AuthError, DBusError) as error:
            raise LinkLost(f"no D-Bus: {error}", where=BLUEZ, hint=_HINT_DBUS) from error
        watch = cls(bus, adapter, on_lost)
        bus.add_message_handler(watch._on_message)
        try:
            for rule in _rules(watch._path):
                await watch._call_bus("AddMatch", rule)
            await watch._check_owner()
        except BaseException:
            await watch.close()
            raise
        watch._opened = True
        return watch

    async def release(self, address: str) -> None:
        """Drop a connection that BlueZ still keeps from a process that was killed.

        A connected band does not advertise, so it would never be found again. That there is no
        such connection, or no such device, is the usual answer and no error.
        """
        await self._ask(self._device(address), _DEVICE, "Disconnect")

    async def power_on(self) -> None:
        """Have the adapter on, also when somebody else switched it off.

        Raises:
            LinkLost: there is no such adapter, or it does not get on: rfkill blocks it.
        """
        powered = await self._ask(self._path, _PROPERTIES, "Get", "ss", _ADAPTER, "Powered")
        if powered.message_type is MessageType.ERROR:
            raise LinkLost(f"there is no {self._adapter}", where=BLUEZ, hint=_HINT_ADAPTER)
        if not powered.body[0].value:
            await self._power(on=True)

    async def forget(self, address: str) -> None:
        """Remove what BlueZ keeps of a device; that it keeps nothing is no error."""
        await self._ask(self._path, _ADAPTER, "RemoveDevice", "o", self._device(address))

    async def power_cycle(self) -> None:
        """The adapter off and on. Every connection and scan goes with it: `on_lost` is called."""
        self._cycling = True
        try:
            await self._power(on=False)
            await self._power(on=True)
        finally:
            self._lose("the adapter was restarted")

    async def close(self) -> None:
        """Leave the bus."""
        self._leave()

    def _device(self, address: str) -> str:
        return f"{self._path}/dev_{address.upper().replace(':', '_')}"

    async def _power(self, *, on: bool) -> None:
        value = Variant("b", on)
        done = await self._ask(self._path, _PROPERTIES, "Set", "ssv", _ADAPTER, "Powered", value)
        if done.message_type is MessageType.ERROR:
            why = str(done.body[0]) if done.body else str(done.error_name)
            raise LinkLost(f"the adapter stays off: {why}", where=self._adapter, hint=_HINT_RFKILL)

    def _leave(self) -> None:
        self._bus.remove_message_handler(self._on_message)
        self._bus.disconnect()

    async def _check_owner(self) -> None:
        owner = await self._call_bus("GetNameOwner", BLUEZ)
        if owner.message_type is MessageType.ERROR:
            raise LinkLost("bluetoothd is not there", where=BLUEZ, hint=_HINT_BLUEZ)
        if self._lost:
            raise LinkLost(self._lost, where=BLUEZ)

    async def _call_bus(self, member: str, argument: str) -> Message:
        return await self._call(
            Message(
                destination=_DBUS,
                path=_DBUS_PATH,
                interface=_DBUS,
                member=member,
                signature="s",
                body=[argument],
            )
        )

    async def _ask(
        self, path: str, interface: str, member: str, signature: str = "", *body: Any
    ) -> Message:
        """BlueZ's reply, which may be an error."""
        return await self._call(
            Message(
                destination=BLUEZ,
                path=path,
                interface=interface,
                member=member,
                signature=signature,
                body=list(body),
            )
        )

    async def _call(self, call: Message) -> Message:
        try:
            reply = await self._bus.call(call)
        except (OSError, EOFError, DBusError) as error:
            raise LinkLost(f"no D-Bus: {error}", where=BLUEZ, hint=_HINT_DBUS) from error
        if reply is None:
            raise LinkLost("no D-Bus: no reply", where=BLUEZ, hint=_HINT_DBUS)
        return reply

    def _on_message(self, message: Message) -> None:
        if reason := self._loss(message):
            self._lose(reason)

    def _lose(self, reason: str) -> None:
        told, self._lost = bool(self._lost), self._lost or reason
        if self._opened and not told:
            self._leave()
            self._on_lost(self._lost)

    def _loss(self, message: Message) -> str:
        """Why nothing more can be expected after this message; "" if it can."""
        match message.member, message.body:
            case "NameOwnerChanged", [name, old_owner, _] if name == BLUEZ and old_owner:
                return "bluetoothd went away"
            case "PropertiesChanged", [_, changed, _] if message.path == self._path:
                powered = changed.get("Powered")
                off = powered and not powered.value and not self._cycling
                return "the adapter was switched off" if off else ""
            case "InterfacesRemoved", [path, gone] if path == self._path and _ADAPTER in gone:
                return "the adapter was pulled out"
        return ""
