"""Heart Rate Measurement, 0x2A37 (Heart Rate Service 1.0, 3.1; GATT Specification Supplement).

    flags   u8      b0 rate is u16; b1-2 skin contact: 10 no, 11 yes, else not supported;
                    b3 energy present; b4 RR intervals present
    rate    u8/u16  beats a minute
    energy  u16     kJ since the last reset
    RR      u16 ..  1/1024 s each, oldest first, to the end of the value

A rate without skin contact is noise and is not passed on. So is a rate of 0, which bands send while
they look for a pulse: no heart is measured at 0.
"""

from __future__ import annotations

from drivers.wristband.wire.fields import Fields
from drivers.wristband.wire.reading import Reading
from gateway.model import Measurement

_WIDE, _CONTACT, _CONTACT_SUPPORTED, _ENERGY, _RR = 1, 2, 4, 8, 16

# Nothing living reaches it: above is a broken sensor or a hostile sender.
_HIGHEST_BPM = 400


def decode_heart_rate(data: bytes) -> Reading:
    """The rate, energy and RR intervals of one beat notification."""
    fields = Fields(data, "heart rate")
    flags = fields.unsigned(1)
    rate = fields.unsigned(2 if flags & _WIDE else 1)
    fields.check(rate, 0, _HIGHEST_BPM, "rate")
    measurements = [Measurement("heart_rate", rate, "beat/min")]
    if flags & _ENERGY:
        measurements.append(Measurement("energy", fields.unsigned(2) * 1000, "J"))
    while flags & _RR and fields.left:
        measurements.append(Measurement("rr_interval", fields.unsigned(2) / 1024, "s"))
    fields.end()
    contact = bool(flags & _CONTACT) if flags & _CONTACT_SUPPORTED else None
    if contact is False or rate == 0:
        return Reading(contact=contact)
    return Reading(tuple(measurements), contact=contact)
