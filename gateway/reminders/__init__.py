"""Reminders: medicine, appointments, the alarm clock. Kept here, so they ring without a network.

`reminder.py` says what one is and reads it from what comes from upstream; `rule.py` which rules of
recurrence are taken, and why; `schedule.py` works out when it is due; `book.py` keeps them, and
how far each got; `bell.py` rings; `teller.py` keeps the book and tells what is in it.
"""

from gateway.reminders.bell import Bell

__all__ = ["Bell"]
