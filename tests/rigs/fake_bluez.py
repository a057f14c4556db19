"""bluetoothd, played on a private D-Bus: bleak's real BlueZ backend runs against it, unmodified.

    async with PrivateBus() as bus, FakeBluez(bus.address, air) as bluez:
        ...                                   # any process with DBUS_SYSTEM_BUS_ADDRESS=bus.address
        await bluez.crash()                   # gone without a word, as after kill -9
        await bluez.start()
        bluez.power(on=False)
        bluez.refuse["Device1.Connect"] = ("org.bluez.Error.Failed", "Connection abort")

Its radio is a central in an Air (drivers/sim/air.py). It behaves as BlueZ does where hearth depends
on it: a connection outlives the client that made it, subscriptions and scans do not; a device that
disconnects loses its GATT objects; a new daemon knows no device until it hears it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from bumble import att, core
from bumble.device import Peer
from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from drivers.sim.air import Air
from drivers.sim.bleak_backend import read_advertisement, uuid_text

ADAPTER, DEVICE = "org.bluez.Adapter1", "org.bluez.Device1"
SERVICE, CHARACTERISTIC = "org.bluez.GattService1", "org.bluez.GattCharacteristic1"
DESCRIPTOR = "org.bluez.GattDescriptor1"
OBJECTS, PROPERTIES = (
    "org.freedesktop.DBus.ObjectManager",
    "org.freedesktop.DBus.Properties",
)
FAILED, IN_PROGRESS = "org.bluez.Error.Failed", "org.bluez.Error.InProgress"
NOT_CONNECTED = "org.bluez.Error.NotConnected"
UNKNOWN_OBJECT = "org.freedesktop.DBus.Error.UnknownObject"
UNKNOWN_METHOD = "org.freedesktop.DBus.Error.UnknownMethod"

CENTRAL_ADDRESS = "F0:0D:00:00:00:02"
GAP_SERVICE = "00001800-0000-1000-8000-00805f9b34fb"  # BlueZ keeps it to itself
CONNECT_S = 20  # bluetoothd's own limit

SIGNATURES = {
    "Class": "u",
    "Flags": "as",
    "ManufacturerData": "a{qv}",
    "MTU": "q",
    "Roles": "as",
    "RSSI": "n",
    "ServiceData": "a{sv}",
    "TxPower": "n",
    "UUIDs": "as",
    "Value": "ay",
}
PATHS = {"Adapter", "Characteristic", "Device", "Service"}
FLAGS = {
    0x01: "broadcast",
    0x02: "read",
    0x04: "write-without-response",
    0x08: "write",
    0x10: "notify",
    0x20: "indicate",
}
TOLD = 0x30  # notify or indicate
# BlueZ tells of an advertisement that is as the last one only now and then; and dbus-fast loses its
# connection when the bus takes no more for a moment.
SAME_ADVERT_S = 0.1

Reply = tuple[str, list[Any]]
NOTHING: Reply = ("", [])


class Refusal(Exception):
    """A D-Bus error to answer with."""

    def __init__(self, name: str, text: str = "") -> None:
        super().__init__(name, text)
        self.name = name
        self.text = text


def pack(properties: dict[str, Any]) -> dict[str, Variant]:
    return {name: _variant(name, value) for name, value in properties.items()}


def _variant(name: str, value: Any) -> Variant:
    if name in ("ManufacturerData", "ServiceData"):
        value = {key: Variant("ay", item) for key, item in value.items()}
    if name in SIGNATURES:
        return Variant(SIGNATURES[name], value)
    if name in PATHS:
        return Variant("o", value)
    return Variant("b" if isinstance(value, bool) else "s", value)


class ObjectTree:
    """The D-Bus objects of the daemon, and the signals of their changes."""

    def __init__(self, bus: MessageBus) -> None:
        self._bus = bus
        self.objects: dict[str, dict[str, dict[str, Any]]] = {}

    def add(self, path: str, interface: str, properties: dict[str, Any]) -> None:
        self.objects[path] = {interface: properties}
        body = [path, {interface: pack(properties)}]
        self._signal("/", OBJECTS, "InterfacesAdded", "oa{sa{sv}}", body)

    def remove(self, prefix: str) -> None:
        """Everything under a path, deepest first."""
        for path in sorted((p for p in self.objects if p.startswith(prefix)), reverse=True):
            interfaces = list(self.objects.pop(path))
            self._signal("/", OBJECTS, "InterfacesRemoved", "oas", [path, interfaces])

    def change(self, path: str, interface: str, **changed: Any) -> None:
        if path in self.objects:
            self.objects[path][interface].update(changed)
            body = [interface, pack(changed), []]
            self._signal(path, PROPERTIES, "PropertiesChanged", "sa{sv}as", body)

    def packed(self) -> dict[str, Any]:
        return {
            path: {interface: pack(properties) for interface, properties in interfaces.items()}
            for path, interfaces in self.objects.items()
        }

    def _signal(
        self, path: str, interface: str, member: str, signature: str, body: list[Any]
    ) -> None:
        self._bus.send(
            Message(
                message_type=MessageType.SIGNAL,
                path=path,
                interface=interface,
                member=member,
                signature=signature,
                body=body,
            )
        )


class FakeBluez:
    """One bluetoothd with one adapter."""

    def __init__(self, bus_address: str, air: Air, adapter: str = "hci0") -> None:
        self.refuse: dict[str, tuple[str, str]] = {}  # "Device1.Connect" -> error name and text
        self.stuck: set[str] = set()  # addresses with a connect left over from who was killed
        self.hung = False  # the firmware: nothing connects until it is switched off and on
        self.removed: list[str] = []  # addresses that BlueZ was told to forget
        self.cycles = 0  # how often a client switched the adapter off
        self._blocked = False
        self._bus_address = bus_address
        self._air = air
        self._adapter = f"/org/bluez/{adapter}"
        self._central: Any = None
        self._connecting = asyncio.Lock()
        self._work: set[asyncio.Task[None]] = set()
        self._forget_everything()

    def _forget_everything(self) -> None:
        self._scanning: set[str] = set()  # bus names of the clients that want it
        self._peers: dict[str, Peer] = {}  # by device path
        self._addresses: dict[str, Any] = {}
        self._attributes: dict[str, Any] = {}  # Bumble proxies, by path
        self._subscribers: dict[str, tuple[str, Any]] = {}  # by path: client, callback
        self._told: dict[str, tuple[dict[str, Any], float]] = {}  # last advertisement by path, when

    # --- its life

    async def __aenter__(self) -> FakeBluez:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.crash()

    async def start(self) -> None:
        """Power up the radio and appear on the bus."""
        self._central = self._air.device("bluez", CENTRAL_ADDRESS)
        await self._central.power_on()
        self._central.on("advertisement", self._on_advertisement)
        self._bus = await MessageBus(self._bus_address, bus_type=BusType.SYSTEM).connect()
        self._tree = ObjectTree(self._bus)
        self._bus.add_message_handler(self._on_message)
        adapter = {
            "Address": "00:11:22:33:44:55",
            "AddressType": "public",
            "Alias": "fake",
            "Class": 0,
            "Discovering": False,
            "Name": "fake",
            "Powered": True,
            "Roles": ["central"],
            "UUIDs": [],
        }
        self._tree.add(self._adapter, ADAPTER, adapter)
        await self._call_bus("AddMatch", "type='signal',member='NameOwnerChanged'")
        await self._bus.request_name("org.bluez")

    async def crash(self) -> None:
        """Gone from one moment to the next; the kernel drops its links."""
        if self._central is None:
            return
        self._bus.disconnect()
        for task in list(self._work):
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)
        self._air.switch_off(self._central)
        self._central = None
        self._forget_everything()

    def power(self, *, on: bool) -> None:
        """The adapter is switched on or off; off drops every link, and ends every scan."""
        self._tree.change(self._adapter, ADAPTER, Powered=on)
        if not on:
            self._air.cut(CENTRAL_ADDRESS)
            if self._scanning:
                self._scanning.clear()
                self._start(self._central.stop_scanning())

    def block(self) -> None:
        """`rfkill block bluetooth`."""
        self._blocked = True
        self.power(on=False)

    def unblock(self) -> None:
        """`rfkill unblock bluetooth`; BlueZ leaves the adapter off."""
        self._blocked = False

    def unplug(self) -> None:
        """The adapter is pulled out."""
        self._tree.remove(self._adapter)

    def is_scanning(self) -> bool:
        return bool(self._scanning)

    # --- D-Bus

    async def _call_bus(self, member: str, argument: str) -> None:
        await self._bus.call(
            Message(
                destination="org.freedesktop.DBus",
                path="/org/freedesktop/DBus",
                interface="org.freedesktop.DBus",
                member=member,
                signature="s",
                body=[argument],
            )
        )

    def _on_message(self, message: Message) -> bool:
        if message.member == "NameOwnerChanged":
            name, _, new_owner = message.body
            if name.startswith(":") and not new_owner:
                self._start(self._forget_client(name))
            return True
        ours = message.message_type is MessageType.METHOD_CALL and message.path.startswith("/")
        if ours and message.interface != "org.freedesktop.DBus.Peer":
            self._start(self._answer(message))
            return True
        return False

    def _start(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def _answer(self, message: Message) -> None:
        try:
            signature, body = await self._dispatch(message)
            reply = Message.new_method_return(message, signature, body)
        except Refusal as refusal:
            reply = Message.new_error(message, refusal.name, refusal.text)
        except att.ATT_Error as error:
            text = f"Operation failed with ATT error: 0x{error.error_code:02x}"
            reply = Message.new_error(message, FAILED, text)
        except core.BaseBumbleError:
            reply = Message.new_error(message, FAILED, "Not connected")
        except asyncio.CancelledError:
            if asyncio.current_task().cancelling():
                raise
            reply = Message.new_error(message, FAILED, "Not connected")  # the link went meanwhile
        self._bus.send(reply)

    async def _dispatch(self, message: Message) -> Reply:
        short = f"{message.interface.rsplit('.', 1)[-1]}.{message.member}"
        if short in self.refuse:
            raise Refusal(*self.refuse[short])
        if message.path != "/" and message.path not in self._tree.objects:
            raise Refusal(UNKNOWN_OBJECT, f"no object {message.path}")
        handler = self._handlers().get(short)
        if handler is None:
            raise Refusal(UNKNOWN_METHOD, short)
        return await handler(message)

    def _handlers(self) -> dict[str, Any]:
        return {
            "ObjectManager.GetManagedObjects": self._get_managed_objects,
            "Properties.Get": self._get_property,
            "Properties.Set": self._set_property,
            "Adapter1.RemoveDevice": self._remove_device,
            "Adapter1.SetDiscoveryFilter": self._set_discovery_filter,
            "Adapter1.StartDiscovery": self._start_discovery,
            "Adapter1.StopDiscovery": self._stop_discovery,
            "Device1.Connect": self._connect,
            "Device1.Disconnect": self._disconnect,
            "GattCharacteristic1.ReadValue": self._read_value,
            "GattCharacteristic1.WriteValue": self._write_value,
            "GattCharacteristic1.StartNotify": self._start_notify,
            "GattCharacteristic1.StopNotify": self._stop_notify,
        }

    async def _get_managed_objects(self, _message: Message) -> Reply:
        return "a{oa{sa{sv}}}", [self._tree.packed()]

    async def _get_property(self, message: Message) -> Reply:
        interface, name = message.body
        return "v", [pack(self._tree.objects[message.path][interface])[name]]

    async def _set_property(self, message: Message) -> Reply:
        _, name, value = message.body
        if name != "Powered":
            raise Refusal("org.freedesktop.DBus.Error.PropertyReadOnly", name)
        if value.value and self._blocked:
            raise Refusal("org.bluez.Error.Blocked", "Blocked through rfkill")
        if not value.value:
            self.cycles += 1
            self.hung = False
        self.power(on=value.value)
        return NOTHING

    async def _remove_device(self, message: Message) -> Reply:
        (path,) = message.body
        if path not in self._tree.objects:
            raise Refusal("org.bluez.Error.DoesNotExist", "Does Not Exist")
        address = self._tree.objects[path][DEVICE]["Address"]
        self.stuck.discard(address)
        self.removed.append(address)
        if path in self._peers:
            await self._peers[path].connection.disconnect()
        self._tree.remove(path)
        return NOTHING

    async def _forget_client(self, name: str) -> None:
        """A client left the bus: its scans and subscriptions end, its connections do not."""
        if name in self._scanning:
            await self._unscan(name)
        for path, (client, callback) in list(self._subscribers.items()):
            if client == name:
                del self._subscribers[path]
                with suppress(core.BaseBumbleError, asyncio.CancelledError, Refusal):
                    peer = self._peer_of(path)
                    await peer.gatt_client.unsubscribe(self._attributes[path], callback)

    # --- scanning

    async def _set_discovery_filter(self, _message: Message) -> Reply:
        return NOTHING

    async def _start_discovery(self, message: Message) -> Reply:
        if not self._tree.objects[self._adapter][ADAPTER]["Powered"]:
            raise Refusal("org.bluez.Error.NotReady", "Resource Not Ready")
        if message.sender in self._scanning:
            raise Refusal(IN_PROGRESS, "Operation already in progress")
        self._scanning.add(message.sender)
        if len(self._scanning) == 1:
            await self._central.start_scanning(active=True)
            self._tree.change(self._adapter, ADAPTER, Discovering=True)
        return NOTHING

    async def _stop_discovery(self, message: Message) -> Reply:
        if message.sender not in self._scanning:
            raise Refusal(FAILED, "No discovery started")
        await self._unscan(message.sender)
        return NOTHING

    async def _unscan(self, client: str) -> None:
        self._scanning.discard(client)
        if not self._scanning:
            await self._central.stop_scanning()
            self._tree.change(self._adapter, ADAPTER, Discovering=False)

    def _on_advertisement(self, advertisement: Any) -> None:
        heard = read_advertisement(advertisement)
        address = advertisement.address.to_string(False)
        path = f"{self._adapter}/dev_{address.replace(':', '_')}"
        self._addresses[path] = advertisement.address
        told = {"RSSI": heard.rssi, "UUIDs": heard.service_uuids}
        if heard.local_name:
            told |= {"Name": heard.local_name, "Alias": heard.local_name}
        if heard.service_data:
            told["ServiceData"] = heard.service_data
        now_s = asyncio.get_running_loop().time()
        if path in self._tree.objects:
            before, at_s = self._told.get(path, ({}, 0.0))
            if told != before or now_s - at_s >= SAME_ADVERT_S:
                self._told[path] = told, now_s
                self._tree.change(path, DEVICE, **told)
            return
        device = {
            "Adapter": self._adapter,
            "Address": address,
            "AddressType": "random",
            "Alias": address.replace(":", "-"),
            "Blocked": False,
            "Connected": False,
            "Paired": False,
            "ServicesResolved": False,
            "Trusted": False,
        }
        self._tree.add(path, DEVICE, device | told)

    # --- connecting

    async def _connect(self, message: Message) -> Reply:
        path = message.path
        if path in self._peers:
            return NOTHING
        if self._tree.objects[path][DEVICE]["Address"] in self.stuck:
            raise Refusal(IN_PROGRESS, "Operation already in progress")
        if self.hung:
            raise Refusal(FAILED, "Software caused connection abort")
        try:
            async with self._connecting:
                address = self._addresses[path]
                connection = await self._central.connect(address, timeout=CONNECT_S)
        except core.BaseBumbleError as error:
            # Not le-connection-abort-by-local: that BlueZ says of a link that was up for a moment,
            # and bleak waits to see it go.
            raise Refusal(FAILED, "Software caused connection abort") from error
        connection.on("disconnection", lambda _reason: self._on_disconnection(path))
        self._peers[path] = Peer(connection)
        self._tree.change(path, DEVICE, Connected=True)
        self._start(self._resolve(path, self._peers[path]))
        return NOTHING

    async def _resolve(self, path: str, peer: Peer) -> None:
        with suppress(core.BaseBumbleError, asyncio.CancelledError):  # the link went; that is told
            mtu = await peer.request_mtu(247)
            for service in await peer.discover_services():
                found = await service.discover_characteristics()
                if uuid_text(service.uuid) != GAP_SERVICE:
                    await self._add_service(path, service, found, mtu)
            self._tree.change(path, DEVICE, ServicesResolved=True)

    async def _add_service(self, device: str, service: Any, found: Any, mtu: int) -> None:
        path = f"{device}/service{service.handle:04x}"
        properties = {"Device": device, "Primary": True, "UUID": uuid_text(service.uuid)}
        self._tree.add(path, SERVICE, properties)
        for characteristic in found:
            await self._add_characteristic(path, characteristic, mtu)

    async def _add_characteristic(self, service: str, proxy: Any, mtu: int) -> None:
        path = f"{service}/char{proxy.handle - 1:04x}"  # BlueZ names the declaration's handle
        bits = int(proxy.properties)
        properties = {
            "Flags": [name for bit, name in FLAGS.items() if bits & bit],
            "MTU": mtu,
            "Service": service,
            "UUID": uuid_text(proxy.uuid),
            "Value": b"",
        }
        if bits & TOLD:
            properties["Notifying"] = False
        self._attributes[path] = proxy
        self._tree.add(path, CHARACTERISTIC, properties)
        for descriptor in await proxy.discover_descriptors():
            uuid = uuid_text(descriptor.type)
            body = {"Characteristic": path, "UUID": uuid, "Value": b""}
            self._tree.add(f"{path}/desc{descriptor.handle:04x}", DESCRIPTOR, body)

    async def _disconnect(self, message: Message) -> Reply:
        peer = self._peers.get(message.path)
        if peer:
            await peer.connection.disconnect()
        elif self._connecting.locked():
            await self._central.cancel_connection()
        else:
            raise Refusal(NOT_CONNECTED, "Not Connected")
        return NOTHING

    def _on_disconnection(self, path: str) -> None:
        if self._peers.pop(path, None) is None:
            return
        for told in [p for p in self._subscribers if p.startswith(path)]:
            del self._subscribers[told]
        self._tree.change(path, DEVICE, ServicesResolved=False, Connected=False)
        self._tree.remove(f"{path}/")

    # --- GATT

    def _peer_of(self, path: str) -> Peer:
        for device, peer in self._peers.items():
            if path.startswith(f"{device}/"):
                return peer
        raise Refusal(NOT_CONNECTED, "Not Connected")

    async def _read_value(self, message: Message) -> Reply:
        handle = self._attributes[message.path].handle
        value = await self._peer_of(message.path).gatt_client.read_value(handle)
        return "ay", [bytes(value)]

    async def _write_value(self, message: Message) -> Reply:
        value, options = message.body
        kind = options["type"].value if "type" in options else "request"
        handle = self._attributes[message.path].handle
        client = self._peer_of(message.path).gatt_client
        await client.write_value(handle, bytes(value), with_response=kind == "request")
        return NOTHING

    async def _start_notify(self, message: Message) -> Reply:
        path = message.path
        if "Notifying" not in self._tree.objects[path][CHARACTERISTIC]:
            raise Refusal("org.bluez.Error.NotSupported", "Operation is not supported")
        if path in self._subscribers:
            raise Refusal(IN_PROGRESS, "Operation already in progress")

        def told(value: bytes) -> None:
            self._tree.change(path, CHARACTERISTIC, Value=bytes(value))

        self._subscribers[path] = (message.sender, told)
        await self._peer_of(path).gatt_client.subscribe(self._attributes[path], told)
        self._tree.change(path, CHARACTERISTIC, Notifying=True)
        return NOTHING

    async def _stop_notify(self, message: Message) -> Reply:
        path = message.path
        _, callback = self._subscribers.pop(path)
        await self._peer_of(path).gatt_client.unsubscribe(self._attributes[path], callback)
        self._tree.change(path, CHARACTERISTIC, Notifying=False)
        return NOTHING
