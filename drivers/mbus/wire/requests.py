"""What is asked. Pure.

    SND_NKE   10 40 A            begin again: the next FCB is the first; answered with E5
    REQ_UD2   10 5B A, 10 7B A   the data; 7B has the FCB set
    SND_UD    68 .. 73 A CI ..   told; answered with E5
      CI 52   select: 8 bytes, see `identification.py`; A is FD. Who fits answers to FD from now on,
              who does not stops doing so
      CI 50   application reset: whichever data it was asked for, it tells its usual ones again

The FCB changes with every question that was answered and stays the same when one is repeated, so
that a meter knows whether to go on or to say again what it said. After SND_NKE, and after a
selection, the first question has it set. SND_UD is sent with it set (73, not 53), as the masters do
that are most in use (libmbus, pyMeterBus).

To set an address, a baud rate or a clock is not offered: a meter that was told a wrong one is found
by nobody, and who may set the clock is the water supplier.

Source: "The M-Bus: A Documentation", chapters 5 to 7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.mbus.wire.frame import Frame
from drivers.mbus.wire.identification import encode_identification

if TYPE_CHECKING:
    from drivers.mbus.wire.identification import Identification

SELECTED = 0xFD  # the meter that was selected
ANYBODY = 0xFE  # every meter, and all of them answer
EVERYBODY = 0xFF  # every meter, and none answers
MOST_ADDRESS = 250

SND_NKE, SND_UD, REQ_UD2 = 0x40, 0x73, 0x5B
FCB = 0x20
CI_RESET, CI_SELECT = 0x50, 0x52


def begin(address: int) -> Frame:
    """SND_NKE: forget the FCB, begin with the first telegram; to FD: be selected no more."""
    return Frame(SND_NKE, address)


def ask(address: int, *, fcb: bool) -> Frame:
    """REQ_UD2: the data of one telegram."""
    return Frame(REQ_UD2 | FCB * fcb, address)


def select(mask: Identification) -> Frame:
    """The meters that fit this answer to SELECTED from now on, and no others."""
    return Frame(SND_UD, SELECTED, CI_SELECT, encode_identification(mask))


def reset_application(address: int) -> Frame:
    """Tell the usual data, and from the first telegram."""
    return Frame(SND_UD, address, CI_RESET)
