"""A virtual radio: what is sent in one Air is heard by every controller of that Air in range.

Controllers, link layer and host are Bumble's; real L2CAP, ATT and GATT run over them. Its virtual
controller (0.0.236) lacks three things that a wristband's life is made of, added here: a connection
attempt that can be cancelled (upstream confirms the cancel and stays in the attempt for ever),
signal strength (upstream: always -50 dBm), and range.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from bumble import hci
from bumble.controller import Controller
from bumble.device import Device, DeviceConfiguration
from bumble.host import Host
from bumble.link import LocalLink
from bumble.transport.common import AsyncPipeSink

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bumble import ll

R = TypeVar(
    "R",
    hci.HCI_LE_Extended_Advertising_Report_Event.Report,
    hci.HCI_LE_Advertising_Report_Event.Report,
)

DEFAULT_RSSI = -60  # dBm; a band in the same room


class Air:
    """The space between devices: who is in it, how loud, and who is out of range."""

    def __init__(self) -> None:
        self.link: LocalLink = LocalLink()  # type: ignore[no-untyped-call]
        self._rssi: dict[str, int] = {}
        self._far: set[str] = set()
        self._controllers: dict[Device, AirController] = {}

    def controller(self, name: str) -> AirController:
        """A new controller in this air."""
        return AirController(name, self)

    def device(self, name: str, address: str, **configuration: Any) -> Device:
        """A new device, host and controller in one; power it on to use it."""
        controller = self.controller(name)
        host = Host(controller, AsyncPipeSink(controller))
        settings = DeviceConfiguration(
            name=name, address=hci.Address(address), classic_enabled=False, **configuration
        )
        device = Device(config=settings, host=host)
        self._controllers[device] = controller
        return device

    def rssi(self, address: str) -> int:
        """How strongly an address is heard (dBm)."""
        return self._rssi.get(address, DEFAULT_RSSI)

    def set_rssi(self, address: str, dbm: int) -> None:
        """How strongly an address is heard from now on."""
        self._rssi[address] = dbm

    def hears(self, address: str) -> bool:
        """Whether an address is in range."""
        return address not in self._far

    def move_away(self, address: str) -> None:
        """Out of range: not heard any more, and links die of supervision time-out at both ends."""
        self._far.add(address)
        self.cut(address)

    def come_back(self, address: str) -> None:
        """In range again."""
        self._far.discard(address)

    def cut(self, address: str) -> None:
        """End every link of an address as if the signal were lost."""
        for controller in list(self.link.controllers):
            for connection in list(controller.le_connections.values()):
                if address in (str(connection.peer_address), str(connection.self_address)):
                    controller.on_le_disconnected(
                        connection, hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR
                    )

    def switch_off(self, device: Device) -> None:
        """A device of this air is off from one moment to the next."""
        self.remove(self._controllers.pop(device))

    def remove(self, controller: AirController) -> None:
        """A controller is switched off: its links die, and nothing reaches it any more."""
        for connection in list(controller.le_connections.values()):
            self.cut(str(connection.self_address))
        controller.set_packet_sink(None)
        self.link.remove_controller(controller)


class AirController(Controller):
    """Bumble's virtual controller with the three things it lacks."""

    def __init__(self, name: str, air: Air) -> None:
        self._air = air
        super().__init__(name, link=air.link)

    def on_hci_le_create_connection_cancel_command(
        self, _command: hci.HCI_LE_Create_Connection_Cancel_Command
    ) -> hci.HCI_StatusReturnParameters:
        """Core 5.4, Vol 4, Part E, 7.8.13: the attempt ends with its own event."""
        pending, self.pending_le_connection = self.pending_le_connection, None
        if pending is None:
            return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR)
        cancelled = hci.HCI_LE_Connection_Complete_Event(
            status=hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR,
            connection_handle=0,
            role=hci.Role.CENTRAL,
            peer_address_type=pending.peer_address.address_type,
            peer_address=pending.peer_address,
            connection_interval=0,
            peripheral_latency=0,
            supervision_timeout=0,
            central_clock_accuracy=0,
        )
        asyncio.get_running_loop().call_soon(self.send_hci_packet, cancelled)
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)

    def on_advertising_pdu(self, pdu: ll.AdvInd | ll.AdvExtInd) -> None:
        """Only what is in range is heard."""
        if self._air.hears(str(pdu.advertiser_address)):
            super().on_advertising_pdu(pdu)

    def send_hci_packet(self, packet: hci.HCI_Packet) -> None:
        """Reports of advertisements carry the signal strength of this air."""
        match packet:
            case hci.HCI_LE_Extended_Advertising_Report_Event(reports=reports):
                packet = hci.HCI_LE_Extended_Advertising_Report_Event(self._heard(reports))
            case hci.HCI_LE_Advertising_Report_Event(reports=reports):
                packet = hci.HCI_LE_Advertising_Report_Event(self._heard(reports))
        super().send_hci_packet(packet)

    def _heard(self, reports: Sequence[R]) -> list[R]:
        for report in reports:
            report.rssi = self._air.rssi(str(report.address))
        return list(reports)
