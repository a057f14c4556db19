"""One deliberate fault of the journal, and how it is put into a copy of the source."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
JOURNAL = Path("gateway", "journal")

# Test files, below tests/, of which one is likely to notice a fault; it is run first.
KNOWN_ERRORS = "journal/test_journal_known_errors.py"
REPAIR_TESTS = "journal/test_journal_known_errors_repair.py"
UNWRITTEN_TESTS = "journal/test_journal_known_errors_unwritten.py"
CURSOR_TESTS = "journal/test_journal_invariants_cursor.py"
DELIVERY = "journal/test_journal_invariants_delivery.py"
LANE_TESTS = "journal/test_journal_invariants_lane.py"
SEGMENT_TESTS = "journal/test_journal_invariants_segment.py"
VIEW_TESTS = "test_journal_view.py"

# Of a fault in this file, if nothing else is said.
OF_FILE = {
    "files.py": "journal/test_journal_known_errors_files.py",
    "format.py": "journal/test_journal_invariants_format.py",
    "segment.py": SEGMENT_TESTS,
    "meta.py": "journal/test_journal_invariants_meta.py",
    "scan.py": "journal/test_journal_invariants_scan.py",
    "recovery.py": "journal/test_journal_invariants_recovery.py",
    "pending.py": "journal/test_journal_invariants_pending.py",
    "ring.py": "journal/test_journal_invariants_ring.py",
    "log.py": LANE_TESTS,
    "receipt.py": LANE_TESTS,
    "delivery.py": DELIVERY,
    "reader.py": "journal/test_journal_invariants_reader.py",
    "scrub.py": "journal/test_journal_invariants_reader.py",
    "retention.py": "journal/test_journal_invariants_retention.py",
    "unwritten.py": "journal/test_journal_invariants_unwritten.py",
    "salvage.py": "journal/test_journal_invariants_salvage.py",
    "store.py": "journal/test_journal_invariants_store.py",
    "lock.py": "journal/test_journal_invariants_store.py",
    "journal.py": KNOWN_ERRORS,
    "repair.py": REPAIR_TESTS,
    "overlay.py": "journal/test_journal_invariants_overlay.py",
    "view.py": VIEW_TESTS,
}


class TableError(Exception):
    """The table no longer fits the source: an old text is not there, or not once."""


@dataclass(frozen=True)
class Mutant:
    """In `file` of gateway/journal, `old` becomes `new`; which breaks what `breaks` says."""

    name: str
    file: str
    old: str
    new: str
    breaks: str
    first: str = ""  # a test file, if not that of OF_FILE

    @property
    def likely(self) -> str:
        """The test file that is run first; none, if nothing speaks for one."""
        return self.first or OF_FILE.get(self.file, "")

    @property
    def path(self) -> Path:
        """The file, from the root of the tree."""
        return JOURNAL / self.file

    def mutated(self, root: Path) -> str:
        """The text of the file with the fault in it.

        Raises:
            TableError: the old text does not stand in the file exactly once, or nothing changes.
        """
        path = root / self.path
        text = path.read_text("utf-8") if path.exists() else ""
        if (found := text.count(self.old)) != 1:
            raise TableError(f"{self.name}: {self.path} has the old text {found} times, not once")
        if self.old == self.new:
            raise TableError(f"{self.name}: the new text is the old one")
        return text.replace(self.old, self.new)
