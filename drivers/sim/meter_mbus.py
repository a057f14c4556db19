"""What a virtual M-Bus meter says, and how it can be made to misbehave.

    script = MbusScript(further=[[reverse_volume(1200)]], status=0x04)
    meter = VirtualMbusMeter("12345678.KAM.01.07", 5, WaterFlow(), script)
    script.clock_off = timedelta(hours=1)          # while it runs

Meters that collide are in `meter_cjt188.py`; they are of no protocol.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from drivers.mbus import wire
from drivers.sim.water_flow import WaterFlow
from gateway.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drivers.sim.wires import Speech

_BCD8, _INTEGER32, _BCD6 = 0xC, 0x4, 0xB
_LITRES, _LITRES_PER_HOUR, _TIME = b"\x13", b"\x3b", b"\x6d"
_LITRES_BACKWARD = bytes([0x93, wire.BACKWARD_FLOW])
_DIGITS = 10**8


@dataclass
class MbusScript:
    """How a meter behaves. Everything can be changed while it runs."""

    status: int = 0
    clock_off: timedelta = timedelta()  # how far its clock is ahead of local time
    further: Sequence[Sequence[bytes]] = ()  # records of the telegrams after the first
    records: Sequence[bytes] = ()  # instead of its own, if there are any
    signature: int = 0  # says that its data is encrypted
    refusal: int | None = None  # an application error instead of data
    knows_fcb: bool = True  # otherwise it begins with its first telegram every time
    answers_to_fd: bool = True  # puts FD into its answer, where it was asked so
    acknowledges: bool = True


@dataclass
class _Session:
    """What a meter remembers of one address that it is asked at."""

    fcb: bool | None = None
    at: int = 0  # the telegram that is next
    said: bytes = b""
    heard: list[bool] = field(default_factory=list)  # the FCB of every question, for the tests


class VirtualMbusMeter:
    """An M-Bus cold water meter; `script` is how it behaves."""

    def __init__(
        self,
        meter: str,
        address: int = 0,
        flow: WaterFlow | None = None,
        script: MbusScript | None = None,
    ) -> None:
        self.flow = flow or WaterFlow()
        self.script = script or MbusScript()
        self.address = address
        self.primary, self.secondary = _Session(), _Session()
        self.is_selected = False
        self._meter = wire.parse_identification(meter)
        self._access = 0

    def hear(self, telegram: bytes) -> Speech:
        """Its data, or that it understood, if it is meant."""
        try:
            frame = wire.decode_frame(telegram)
        except DecodeError:
            return  # another protocol, or damaged: a slave says nothing to that
        if answer := self._answer(frame):
            yield 0.0, answer

    def _answer(self, frame: wire.Frame) -> bytes:
        if frame.ci == wire.CI_SELECT and frame.address == wire.SELECTED:
            return self._select(frame.data)
        session = self._session(frame.address)
        if session is None:
            return b""
        if frame.control & ~wire.FCB == wire.REQ_UD2:
            return self._data(session, frame)
        if frame.control == wire.SND_NKE or frame.ci == wire.CI_RESET:
            session.fcb, session.at = None, 0
            # Who is told at FD to begin again is selected no more.
            self.is_selected = self.is_selected and frame.address != wire.SELECTED
            return self._ack()
        return b""

    def _session(self, address: int) -> _Session | None:
        if address == wire.SELECTED:
            return self.secondary if self.is_selected else None
        return self.primary if address in {self.address, wire.ANYBODY} else None

    def _select(self, data: bytes) -> bytes:
        try:
            mask = wire.decode_identification(data)
        except DecodeError:
            return b""
        self.is_selected = mask.means(self._meter)
        self.secondary = _Session(heard=self.secondary.heard)
        return self._ack() if self.is_selected else b""

    def _ack(self) -> bytes:
        return bytes([wire.ACK]) * self.script.acknowledges

    def _data(self, session: _Session, frame: wire.Frame) -> bytes:
        fcb = bool(frame.control & wire.FCB)
        session.heard.append(fcb)
        if fcb != session.fcb or not self.script.knows_fcb:
            session.said = self._telegram(session, frame.address)
            session.fcb = fcb
        return session.said

    def _telegram(self, session: _Session, asked_at: int) -> bytes:
        script = self.script
        answers_to_fd = asked_at == wire.SELECTED and script.answers_to_fd
        address = wire.SELECTED if answers_to_fd else self.address
        if script.refusal is not None:
            return wire.encode(wire.encode_application_error(address, script.refusal))
        telegrams = [script.records or self._records(), *script.further]
        index = session.at if script.knows_fcb else 0
        session.at = (index + 1) % len(telegrams)
        self._access = (self._access + 1) % 256
        header = wire.Header(self._meter, self._access, wire.Status(script.status))
        tail = bytes([wire.MAKER_AND_MORE]) * (index + 1 < len(telegrams))
        return wire.encode(
            wire.encode_telegram(
                address, header, telegrams[index], tail=tail, signature=script.signature
            )
        )

    def _records(self) -> list[bytes]:
        """Volume, flow, clock."""
        rate = round(self.flow.litres_per_hour)
        # Meters keep local time.
        clock = wire.encode_time(datetime.now() + self.script.clock_off)
        return [
            volume(int(self.flow.total_litres)),
            wire.encode_record(wire.Dib(_BCD6), _LITRES_PER_HOUR, wire.encode_number(_BCD6, rate)),
            wire.encode_record(wire.Dib(_INTEGER32), _TIME, clock),
        ]


def volume(litres: int, storage: int = 0) -> bytes:
    """A record of a volume; what has more than 8 digits begins again at 0."""
    data = wire.encode_number(_BCD8, litres % _DIGITS)
    return wire.encode_record(wire.Dib(_BCD8, storage=storage), _LITRES, data)


def reverse_volume(litres: int) -> bytes:
    """A record of what went backward."""
    data = wire.encode_number(_BCD8, litres % _DIGITS)
    return wire.encode_record(wire.Dib(_BCD8), _LITRES_BACKWARD, data)
