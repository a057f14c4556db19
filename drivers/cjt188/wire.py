"""CJ/T 188 frames: bytes in, readings out. Pure; raises only DecodeError.

CJ/T 188 is the standard by which water, gas and heat meters in China are read over RS-485, M-Bus
and infrared; this module reads water meters by its edition of 2004, which those in the field speak.

Line: 2400 baud 8E1 unless the maker says otherwise, half duplex, the meter only answers.

    FE FE FE FE   1 to 4 bytes to wake the receiver; no part of the frame
    68            start
    T             type: 10 cold water, 11 hot, 12 drinking, 13 reclaimed, 20-22 heat, 30 gas
    A0 .. A6      address, 7 bytes BCD, low byte first; A5 A6 are the maker's. AA matches any byte
    C             control: b7 answer, b6 error, b5 more follows, b4-b0 function: 01 read, 03 address
    L             length of the data
    DATA          DI0 DI1 SER, then what the identifier calls for
    CS            sum of all bytes from 68 through DATA, modulo 256
    16            end

The identifier DI is 901F for the reading and 810A for the address. The standard sends its high byte
first (90 1F); many meters want its low byte first (1F 90). So it is a setting, `di_order`. SER is
chosen by the master and should come back; meters are known that do not care, so it is not checked.
A reading is always the same request, so an answer that comes late is old but never another's.

Answer to 901F, L = 16 hex, all BCD low byte first:

    DI0 DI1 SER
    total         4 bytes, XXXXXX.XX, and a byte for its unit
    settled       the same: the total on the settlement day
    clock         7 bytes: ss mm hh DD MM YY CC
    status        2 bytes. First: D0 valve closed, D1 valve fault, D2 battery low; the rest, and
                  the second byte, are the maker's

Some meters answer L = 9: total (m3, no unit byte) and status. Units: 29 L, 2A 10 L, 2B 100 L,
2C m3, 2D 10 m3. A refusal has C = C1 and ends in a status byte of the maker's.
"""

from __future__ import annotations

from datetime import datetime
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

import msgspec

from gateway.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Hashable

DiOrder = Literal["low-first", "high-first"]

READ = 0x01
READ_ADDRESS = 0x03
DI_READING = 0x901F
DI_ADDRESS = 0x810A
COLD_WATER = 0x10
WILDCARD = 0xAA

_PREAMBLE = b"\xfe" * 4
_START, _END = 0x68, 0x16
_ANSWER_BIT, _ERROR_BIT = 0x80, 0x40
_HEAD_BYTES = 11  # 68 T A0..A6 C L
_TAIL_BYTES = 2  # CS 16
_FULL_READING, _SHORT_READING = 0x16, 0x09
_LITRES = {0x29: 1, 0x2A: 10, 0x2B: 100, 0x2C: 1000, 0x2D: 10_000}
_CUBIC_METRES = 0x2C
_VALVE_CLOSED, _VALVE_FAULT, _BATTERY_LOW = 1, 2, 4


class Frame(msgspec.Struct, frozen=True):
    """One frame. `address` as it is on the wire, low byte first."""

    meter_type: int
    address: bytes
    control: int
    data: bytes


class Refusal(msgspec.Struct, frozen=True):
    """The meter answered, and its answer was no; `status` in the maker's own code."""

    status: bytes


class Reading(msgspec.Struct, frozen=True):
    """What a meter says of itself; None where it does not say, or says something absurd."""

    volume_m3: float | None
    settled_m3: float | None
    clock: str | None  # ISO 8601, in the meter's own time
    valve_closed: bool
    valve_fault: bool
    battery_low: bool
    absurd: dict[str, str] = {}  # field, and what is wrong with it


class FrameAnswer:
    """Finds the answer to one request in the bytes that come back, however they are cut up."""

    def __init__(self, request: Frame) -> None:
        self.sender: Hashable = ("cjt188", request.address)
        self.longest = len(_PREAMBLE) + _HEAD_BYTES + _FULL_READING + _TAIL_BYTES
        self._request = request
        self._bytes = bytearray()

    def feed(self, data: bytes) -> Frame | Refusal | None:
        """The answer once it is whole, None before; DecodeError if there is more than one."""
        self._bytes += data
        found = [a for a in map(self._answer_at, range(len(self._bytes))) if a]
        if len(found) > 1:
            raise DecodeError(f"{len(found)} answers to one request")
        return found[0] if found else None

    def _answer_at(self, start: int) -> Frame | Refusal | None:
        """The whole answer that begins here, if one does."""
        if self._bytes[start] != _START or len(self._bytes) < start + _HEAD_BYTES:
            return None
        end = start + _HEAD_BYTES + self._bytes[start + _HEAD_BYTES - 1] + _TAIL_BYTES
        if len(self._bytes) < end:
            return None
        try:
            frame = decode_frame(bytes(self._bytes[start:end]))
        except DecodeError:
            return None  # a 68 within noise or data; the frame may begin later
        return self._match(frame)

    def _match(self, frame: Frame) -> Frame | Refusal | None:
        asked = self._request
        pattern = bytes([asked.meter_type]) + asked.address
        actual = bytes([frame.meter_type]) + frame.address
        if any(p not in {WILDCARD, a} for p, a in zip(pattern, actual, strict=True)):
            return None
        if frame.control == asked.control | _ANSWER_BIT | _ERROR_BIT:
            return Refusal(frame.data)
        right = frame.control == asked.control | _ANSWER_BIT and frame.data[:2] == asked.data[:2]
        return frame if right else None


def read_request(address: bytes, meter_type: int, di_order: DiOrder) -> Frame:
    """The request for the reading of the meter with this wire address."""
    return Frame(meter_type, address, READ, _di(DI_READING, di_order) + b"\0")


def address_request(di_order: DiOrder) -> Frame:
    """The request for the address of the only meter on the line."""
    wild = bytes([WILDCARD])
    return Frame(WILDCARD, wild * 7, READ_ADDRESS, _di(DI_ADDRESS, di_order) + b"\0")


def encode(frame: Frame) -> bytes:
    """A frame with the bytes that wake the receiver."""
    head = bytes([_START, frame.meter_type, *frame.address, frame.control, len(frame.data)])
    body = head + frame.data
    return _PREAMBLE + body + bytes([sum(body) & 0xFF, _END])


def decode_frame(data: bytes) -> Frame:
    """One frame, whole and without preamble; DecodeError if it is damaged."""
    if len(data) < _HEAD_BYTES + _TAIL_BYTES or data[0] != _START or data[-1] != _END:
        raise DecodeError("not a CJ/T 188 frame")
    length = data[_HEAD_BYTES - 1]
    if len(data) != _HEAD_BYTES + length + _TAIL_BYTES:
        raise DecodeError(
            f"a CJ/T 188 frame of {len(data)} bytes that says it has {length} of data"
        )
    if sum(data[:-2]) & 0xFF != data[-2]:
        raise DecodeError("the checksum of a CJ/T 188 frame is wrong")
    return Frame(data[1], data[2:9], data[9], data[_HEAD_BYTES:-_TAIL_BYTES])


def decode_reading(frame: Frame) -> Reading:
    """The reading in an answer to 901F; DecodeError if it has neither of the known layouts."""
    data = frame.data
    if len(data) == _FULL_READING:
        return _full_reading(data)
    if len(data) == _SHORT_READING:
        absurd: dict[str, str] = {}
        volume = _volume("volume", data[3:7], _CUBIC_METRES, absurd)
        return _reading(volume, None, None, data[7], absurd)
    raise DecodeError(f"a reading of {len(data)} bytes; 9 and 22 are known")


def encode_reading(request: Frame, address: bytes, litres: int, clock: datetime) -> Frame:
    """The full answer to a reading request; `litres` of water, the valve open, nothing amiss."""
    total = _bcd(litres // 10, 4) + bytes([_CUBIC_METRES])
    when = [clock.second, clock.minute, clock.hour, clock.day, clock.month, clock.year % 100]
    stamp = b"".join(_bcd(part, 1) for part in (*when, clock.year // 100))
    data = request.data[:3] + total + total + stamp + b"\0\0"
    return Frame(request.meter_type, address, request.control | _ANSWER_BIT, data)


def encode_address(request: Frame, address: bytes) -> Frame:
    """The answer to an address request."""
    control = request.control | _ANSWER_BIT
    return Frame(COLD_WATER, address, control, request.data[:3])


def wire_address(digits: str) -> bytes:
    """The 14 digits as printed on a meter, high digit first, in the order of the wire."""
    return bytes.fromhex(digits)[::-1]


def printed_address(address: bytes) -> str:
    """The address of the wire as it is printed on a meter, high digit first."""
    return address[::-1].hex().upper()


def _di(identifier: int, order: DiOrder) -> bytes:
    return identifier.to_bytes(2, "little" if order == "low-first" else "big")


def _full_reading(data: bytes) -> Reading:
    absurd: dict[str, str] = {}
    volume = _volume("volume", data[3:7], data[7], absurd)
    settled = _volume("volume_settled", data[8:12], data[12], absurd)
    return _reading(volume, settled, _clock(data[13:20], absurd), data[20], absurd)


def _reading(
    volume: float | None,
    settled: float | None,
    clock: str | None,
    status: int,
    absurd: dict[str, str],
) -> Reading:
    return Reading(
        volume_m3=volume,
        settled_m3=settled,
        clock=clock,
        valve_closed=bool(status & _VALVE_CLOSED),
        valve_fault=bool(status & _VALVE_FAULT),
        battery_low=bool(status & _BATTERY_LOW),
        absurd=absurd,
    )


def _volume(name: str, digits: bytes, unit: int, absurd: dict[str, str]) -> float | None:
    number = _digits(digits)
    if number is None or unit not in _LITRES:
        absurd[name] = f"{digits[::-1].hex()} in unit {unit:#04x}"
        return None
    return float(Fraction(number * _LITRES[unit], 100 * 1000))


def _clock(data: bytes, absurd: dict[str, str]) -> str | None:
    digits = data[::-1].hex()  # CCYYMMDDhhmmss
    try:
        return datetime.strptime(digits, "%Y%m%d%H%M%S").isoformat()
    except ValueError:
        absurd["clock"] = f"{digits} is no time"
        return None


def _digits(data: bytes) -> int | None:
    """BCD, low byte first, as a number; None if a digit is above 9."""
    text = data[::-1].hex()
    return int(text) if text.isdecimal() else None


def _bcd(number: int, size: int) -> bytes:
    """The last digits of a number as BCD, low byte first."""
    return bytes.fromhex(f"{number % 10 ** (2 * size):0{2 * size}d}")[::-1]
