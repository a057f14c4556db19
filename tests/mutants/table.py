"""The faults, room by room. Each stands for a promise of gateway/journal/DESIGN.md.

A fault is a few words of one file: what a careless change would do. The old text must stand in its
file exactly once; test_mutants_table.py holds the table to the source. A change of the journal that
makes an entry untrue changes the entry, and a new promise brings a new fault.
"""

from __future__ import annotations

from disk_faults import FILES, FORMAT, META, RECOVERY, SCAN, SEGMENT
from lane_faults import LOG, PENDING, READER, RECEIPT, RETENTION, RING, SCRUB, UNWRITTEN
from opening_faults import JOURNAL, LOCK, REPAIR, SALVAGE, STORE, VIEW

MUTANTS = (
    *FILES, *FORMAT, *SEGMENT, *META, *SCAN, *RECOVERY,
    *PENDING, *RING, *LOG, *READER, *RETENTION, *SCRUB, *UNWRITTEN, *RECEIPT,
    *SALVAGE, *STORE, *JOURNAL, *LOCK, *REPAIR, *VIEW,
)  # fmt: skip
