"""One deliberate fault of the journal, and how it is put into a copy of the source."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
JOURNAL = Path("gateway", "journal")

# Test files, below tests/, of which one is likely to notice a fault; it is run first.
KNOWN_ERRORS = "journal/test_journal_known_errors.py"
INVARIANTS = "journal/test_journal_invariants.py"
UNWRITTEN_TESTS = "journal/test_journal_known_errors_unwritten.py"
DELIVERY = "journal/test_journal_invariants_delivery.py"
MODEL = "journal/test_journal_model.py"
FIXTURE = "test_journal_fixture.py"
VIEW_TESTS = "test_journal_view.py"


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
    first: str = ""  # a test file

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
