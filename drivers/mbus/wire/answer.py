"""Finding the answer to one request in the bytes that come back, however they are cut up. Pure.

A telegram of data (RSP_UD) has C = 08; b5 says that the meter has something urgent, b4 that it can
take no more, and neither matters to a reading. The A of who was asked at FD is his own address, or
FD: makers differ. So who was selected is known by the identification in his data, and who was asked
by his address is known by that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.mbus.wire.frame import ACK, LONGEST_FRAME, Frame, encode, split_frames
from drivers.mbus.wire.identification import Identification, decode_identification
from drivers.mbus.wire.requests import ANYBODY, SELECTED
from gateway.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Hashable

CI_VARIABLE, CI_VARIABLE_MODE_2 = 0x72, 0x76
CI_FIXED, CI_FIXED_MODE_2 = 0x73, 0x77

_RSP_UD = 0x08
_URGENT_AND_FULL = 0x30
_NOISE_BYTES = 16  # around an E5, on a line that is not too bad to be read at all


class Ack:
    """The meter understood."""


class AckAnswer:
    """Finds the E5 that answers a SND_NKE or a SND_UD.

    It is taken where it is the last byte of what came, with an echo of the request or noise before
    it. Noise can end in E5, too. That does no harm: what is asked next is answered by a whole frame
    that says who it is from, or not at all.
    """

    def __init__(self, request: Frame, sender: Hashable = None) -> None:
        self.sender: Hashable = ("mbus", request.address, sender)
        self.longest = _NOISE_BYTES + 1
        self._echo = encode(request)
        self._bytes = bytearray()

    def feed(self, data: bytes) -> Ack | None:
        """Whether it came; None before."""
        self._bytes += data
        heard = bytes(self._bytes)
        if self._echo.startswith(heard):
            return None
        return Ack() if heard.endswith(bytes([ACK])) else None


class DataAnswer:
    """Finds the telegram that answers a REQ_UD2.

    Args:
        request: what was asked.
        meter: who was selected; needed if the request went to SELECTED.
    """

    def __init__(self, request: Frame, meter: Identification | None = None) -> None:
        self.sender: Hashable = ("mbus", request.address, meter)
        self.longest = LONGEST_FRAME
        self.stranger: Frame | None = None  # a telegram of data, but of another meter
        self._request = request
        self._meter = meter
        self._bytes = bytearray()

    def feed(self, data: bytes) -> Frame | None:
        """The telegram once it is whole, None before; DecodeError if there is more than one."""
        self._bytes += data
        found = [frame for frame in telegrams(bytes(self._bytes)) if self._is_meant(frame)]
        if len(found) > 1:
            raise DecodeError(f"{len(found)} answers to one request")
        return found[0] if found else None

    def _is_meant(self, frame: Frame) -> bool:
        asked = self._request.address
        meant = frame.address == asked or asked in {SELECTED, ANYBODY}
        who = who_says(frame)
        if self._meter is not None and who is not None:
            meant = meant and self._meter.means(who)
        if not meant:
            self.stranger = frame
        return meant


def telegrams(heard: bytes) -> list[Frame]:
    """The telegrams of data in what was heard."""
    frames, _ = split_frames(heard)
    return [it for it in frames if it.ci is not None and it.control & ~_URGENT_AND_FULL == _RSP_UD]


def who_says(frame: Frame) -> Identification | None:
    """Who a telegram of data is from; None if it does not say."""
    try:
        if frame.ci == CI_VARIABLE:
            return decode_identification(frame.data)
        if frame.ci == CI_FIXED:
            return Identification(decode_identification(frame.data).number)
    except DecodeError:
        return None  # too short to have a head, and so to be of any use
    return None
