"""Which encrypted messages are fresh. Pure.

The counter of a device increases, so one that does not is of a message that somebody recorded. As
bthome-ble does it (parser.py), two things are let pass that a strict rule would refuse:

- A lower counter below 100: the device began anew after a change of its battery, or the counter
  went round. The price is that a message recorded while the counter was below 100 can be played
  back at any time. A device that begins anew at a random number is refused until hearth is started
  again, as bthome-ble refuses it.
- The same counter with another message: the pvvx firmware of thermometers sends two of each
  (pvvx/ATC_MiThermometer issue 468). Each passes once.

The first message after a start passes whatever its counter.
"""

from __future__ import annotations

RESTARTED = 100  # counters below that are of a device that began anew
SAME_COUNTER = 4  # messages of one counter; pvvx sends two


class Guard:
    """The last counter of one device, and the messages that came with it."""

    def __init__(self) -> None:
        self._counter = -1
        self._accepted: set[bytes] = set()

    def repeats(self, message: bytes) -> bool:
        """Whether the device says again what it said last: then it is neither new nor a replay."""
        return message in self._accepted

    def accepts(self, counter: int, message: bytes) -> bool:
        """Whether a message whose MIC is right is fresh; if so, it is the last one from now on."""
        if counter == self._counter:
            fresh = len(self._accepted) < SAME_COUNTER
        else:
            fresh = counter > self._counter or counter < RESTARTED
            if fresh:
                self._counter = counter
                self._accepted.clear()
        if fresh:
            self._accepted.add(message)
        return fresh
