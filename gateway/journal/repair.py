"""What opening a journal would do to it, told without doing it, or done while no daemon runs.

There is no second recovery here: it is the one that every start of the daemon runs.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from gateway.errors import JournalError
from gateway.journal.lock import lock, owner
from gateway.journal.overlay import Overlay, Telling
from gateway.journal.store import open_store
from gateway.model import Lane

if TYPE_CHECKING:
    from gateway.journal.store import Store


class LaneFinding(msgspec.Struct, frozen=True):
    """One lane: events `acknowledged + 1 .. last` wait, but for what is lost."""

    lane: Lane
    acknowledged: int
    last: int
    lost: tuple[tuple[int, int], ...]  # proven to have been stored, and gone; a gap will tell


class Findings(msgspec.Struct, frozen=True):
    """What a start finds, and what it changes."""

    lanes: tuple[LaneFinding, ...]
    set_aside: tuple[str, ...]
    notes: tuple[str, ...]
    changes: tuple[str, ...]  # in the order they are made, but for the usual save of `meta`

    @property
    def sound(self) -> bool:
        """Nothing to repair."""
        return not (
            self.set_aside or self.notes or self.changes or any(lane.lost for lane in self.lanes)
        )


def foresee(path: str | Path) -> Findings:
    """What the next start would find and do. Nothing is changed.

    Raises:
        JournalError: no journal there, it is in use, or it cannot be read.
    """
    folder = _existing(path)
    if who := owner(folder):
        raise JournalError(
            f"process {who} is writing it", where=str(folder), hint="systemctl stop hearth"
        )
    return _open(Overlay(), folder)


def repair(path: str | Path) -> Findings:
    """Do what the next start would do, now. Losses are told by gap events at that start.

    Raises:
        JournalLocked: a daemon has it open.
        JournalError: no journal there, or it cannot be used.
    """
    folder = _existing(path)
    fd = lock(folder)
    try:
        return _open(Telling(), folder)
    finally:
        os.close(fd)


def _open(files: Telling | Overlay, folder: Path) -> Findings:
    try:
        store = open_store(files, folder, None)
    except OSError as error:
        raise JournalError(f"it cannot be used: {error}", where=str(folder)) from error
    store.close()
    usual = f"{folder.name}/meta"  # saved at every start
    return _findings(store, tuple(change for change in files.changes if usual not in change))


def _existing(path: str | Path) -> Path:
    folder = Path(path)
    if not any((folder / lane.name.lower()).is_dir() for lane in Lane):
        raise JournalError("no journal here", where=str(folder))
    return folder


def _findings(store: Store, changes: tuple[str, ...]) -> Findings:
    acknowledged = store.meta.state.acknowledged
    lanes = tuple(
        LaneFinding(lane, acknowledged[lane], opened.next_seq - 1, opened.lost)
        for lane, opened in store.lanes.items()
    )
    return Findings(lanes, tuple(store.trouble.set_aside), tuple(store.trouble.notes), changes)
