"""A serial server on loopback: a Port of drivers.sim.wires at the far end of a TCP connection.

Raw (`socket://`), or RFC 2217 as pyserial's own server speaks it. `freeze()` is the moment the
server's power goes: what is connected hears nothing more, not even that it is over.
"""

import asyncio
import socket

from serial import rfc2217

from drivers.bus.line import Line
from drivers.sim.loopback import free_port


class _SerialPort:
    """What pyserial's PortManager wants to hold: a port that remembers how it was set."""

    def __init__(self):
        self.baudrate, self.bytesize, self.parity, self.stopbits = 9600, 8, "N", 1
        self.xonxoff = self.rtscts = self.dsrdtr = self.break_condition = False
        self.cts = self.dsr = self.ri = self.cd = self.dtr = self.rts = True

    def reset_input_buffer(self):
        pass

    reset_output_buffer = reset_input_buffer


class _Manager(rfc2217.PortManager):
    """pyserial's, which answers all orders but two; RFC 2217 wants those answered as well."""

    def _telnet_process_subnegotiation(self, suboption):
        super()._telnet_process_subnegotiation(suboption)
        answers = {
            rfc2217.SET_LINESTATE_MASK: rfc2217.SERVER_SET_LINESTATE_MASK,
            rfc2217.SET_MODEMSTATE_MASK: rfc2217.SERVER_SET_MODEMSTATE_MASK,
        }
        if answer := answers.get(suboption[1:2]):
            self.rfc2217_send_subnegotiation(answer, suboption[2:3])


class SerialServer:
    def __init__(self, scheme="socket"):
        self.serial = _SerialPort()
        self.connections = 0
        self.receive = lambda data: None
        self._scheme = scheme
        self._listener = None
        self._server = None
        self._writer = None
        self._manager = None
        self._frozen = set()
        self._port = free_port()  # it is left and taken again, so none that the kernel gives away

    @property
    def path(self):
        return f"{self._scheme}://127.0.0.1:{self._port}"

    def hears(self, line):
        if self._scheme != "rfc2217":
            return True
        it = self.serial
        return Line(it.baudrate, it.parity, int(it.stopbits)) == line

    def plug_in(self):
        self._listener = socket.create_server(("127.0.0.1", self._port))
        self._server = asyncio.get_running_loop().create_task(
            asyncio.start_server(self._serve, sock=self._listener)
        )

    def unplug(self):
        if self._server and self._server.done():
            self._server.result().close()
        self._server = None
        if self._writer:
            self._writer.transport.abort()

    close = unplug

    def freeze(self):
        self._frozen.add(self._writer)

    def write(self, data):
        if self._writer and self._writer not in self._frozen:
            if self._manager:
                data = b"".join(self._manager.escape(data))
            self._writer.write(data)

    async def _serve(self, reader, writer):
        self.connections += 1
        self._writer = writer
        self._manager = None
        if self._scheme == "rfc2217":
            self._manager = _Manager(self.serial, writer)
        manager = self._manager
        try:
            while data := await reader.read(4096):
                if writer not in self._frozen:
                    heard = b"".join(manager.filter(data)) if manager else data
                    if heard:
                        self.receive(heard)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()
