"""A virtual GSM modem behind a virtual serial port.

    with VirtualModem() as modem:              # within a running event loop
        ...                                    # port = modem.port
        number, text = await modem.texted()

It echoes until it is told not to, answers what hearth asks, and keeps the messages it was given.
What can be wrong with it is an attribute; `refuse` lets the network refuse so many messages.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from drivers.modem.wire.submit import decode_submit
from drivers.sim.serial_port import VirtualPort
from gateway.errors import DecodeError

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from drivers.modem.wire.submit import Submit

_END, _ESCAPE = 0x1A, 0x1B


class VirtualModem:
    """A modem with a card, in a network, unless something is the matter."""

    def __init__(self) -> None:
        self.card = "READY"  # what AT+CPIN? says: SIM PIN, SIM PUK; empty: there is no card
        self.registration = 1
        self.signal = 20  # of 31; 99 is unknown
        self.silent = False
        self.noise = b""  # what it says before every answer
        self.unknown: set[str] = set()  # commands that it answers with ERROR
        self.heard: list[str] = []
        self.messages: list[Submit] = []  # every part
        self._port = VirtualPort()
        self._port.receive = self._hear
        self._echoes = True
        self._typed = b""
        self._announced: int | None = None  # octets of the message that is entered
        self._refusals: list[str] = []
        self._texts: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self._sent = 0

    @property
    def port(self) -> str:
        """What goes into `port` of the device."""
        return self._port.path

    def __enter__(self) -> Self:
        self._port.plug_in()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._port.close()

    def plug_in(self) -> None:
        """Its port appears; it starts, and has forgotten what it was told."""
        self._echoes, self._typed, self._announced = True, b"", None
        self._port.plug_in()

    def unplug(self) -> None:
        """Its port vanishes."""
        self._port.unplug()

    def refuse(self, *finals: str) -> None:
        """Answer the next messages so, such as `+CMS ERROR: 500`; an empty one is no answer."""
        self._refusals += finals

    def say(self, line: str) -> None:
        """Something nobody asked for, such as `+CMTI: "SM",1`."""
        self._port.write(f"\r\n{line}\r\n".encode())

    async def texted(self) -> tuple[str, str]:
        """The next whole text that was sent, and to whom."""
        return await self._texts.get()

    def _hear(self, data: bytes) -> None:
        for octet in data:
            self._type(octet)

    def _type(self, octet: int) -> None:
        if octet == _ESCAPE:
            self._typed, self._announced = b"", None
        elif octet == _END and self._announced is not None:
            self._entered()
        elif octet == ord("\r") and self._announced is None:
            line, self._typed = self._typed.decode("ascii", "replace"), b""
            if self._echoes:
                self._port.write(f"{line}\r".encode())
            self._command(line)
        else:
            self._typed += bytes([octet])

    def _command(self, line: str) -> None:
        self.heard.append(line)
        if self.silent:
            return
        self._port.write(self.noise)
        if line in self.unknown:
            self.say("ERROR")
        elif line.startswith("AT+CMGS="):
            self._announced = int(line.removeprefix("AT+CMGS="))
            self._port.write(b"\r\n> ")
        else:
            self._answer(line)

    def _answer(self, line: str) -> None:
        if line == "ATE0":
            self._echoes = False
        told = {
            "AT+CPIN?": f"+CPIN: {self.card}",
            "AT+CREG?": f"+CREG: 0,{self.registration}",
            "AT+CEREG?": f"+CEREG: 0,{self.registration}",
            "AT+CSQ": f"+CSQ: {self.signal},99",
        }
        if line == "AT+CPIN?" and not self.card:
            self.say("+CME ERROR: 10")
        elif line in told:
            self.say(told[line])
            self.say("OK")
        else:
            self.say("OK" if line in {"AT", "ATE0", "AT+CMEE=1", "AT+CMGF=0"} else "ERROR")

    def _entered(self) -> None:
        octets, announced = self._typed, self._announced
        self._typed, self._announced = b"", None
        if self._refusals:
            if refusal := self._refusals.pop(0):
                self.say(refusal)
            return
        try:
            pdu = bytes.fromhex(octets.decode("ascii"))
            part = decode_submit(pdu)
        except (ValueError, DecodeError):
            self.say("+CMS ERROR: 304")  # invalid PDU mode parameter
            return
        if len(pdu) - 1 != announced:
            self.say("+CMS ERROR: 304")
            return
        self._take(part)
        self._sent += 1
        self._port.write(self.noise)
        self.say(f"+CMGS: {self._sent}")
        self.say("OK")

    def _take(self, part: Submit) -> None:
        self.messages.append(part)
        mine = {
            seen.part: seen.text
            for seen in self.messages
            if (seen.number, seen.reference) == (part.number, part.reference)
        }
        if part.parts == 1:
            self._texts.put_nowait((part.number, part.text))
        elif len(mine) == part.parts:
            self._texts.put_nowait((part.number, "".join(mine[n] for n in sorted(mine))))
