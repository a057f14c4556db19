"""Is this gateway fit for its home? Looks at everything that a fitter can mend, and opens nothing.

`examination.py` asks the others in turn: `configuration.py`, `surroundings.py` (clock, time zone,
user), `room.py` (the journal's disk), `secrets.py` (files of keys and passwords), `broker.py` (the
way to it), `running.py` (what the daemon says); the hardware is looked at by each device's driver
(`Driver.look`). A running daemon is asked, and never in the way: no port is opened, no line held.
"""
