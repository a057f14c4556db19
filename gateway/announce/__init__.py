"""What is said in the home, in which order, and when it is not.

`phrases.py` has the words, in both languages; `queue.py` the order, pure; `mute.py` the hours in
which the home sleeps; `announcer.py` gives one utterance after the other to who can say it, and
says how calls stand. It knows no loudspeaker: that is a driver.
"""

from gateway.announce.announcer import Announcer
from gateway.announce.queue import Item, Priority

__all__ = ["Announcer", "Item", "Priority"]
