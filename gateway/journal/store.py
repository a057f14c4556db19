"""Opening the folder of a journal: meta, then both lanes, from whatever is there.

The same code tells what opening would do (`repair.py`), so it starts nothing and locks nothing.
"""

from __future__ import annotations

import uuid as uuid_module
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from gateway.errors import UnknownVersion
from gateway.journal.format import MetaState
from gateway.journal.geometry import MIN_QUOTA, divide
from gateway.journal.meta import Meta
from gateway.journal.salvage import Opened, Salvage, Trouble
from gateway.model import Lane

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gateway.journal.files import Files


class Store(msgspec.Struct):
    """A journal's folder, opened."""

    meta: Meta
    lanes: dict[Lane, Opened]
    trouble: Trouble

    def close(self) -> None:
        """Close every file; for one who only looked."""
        for opened in self.lanes.values():
            for segment in (*opened.live, *opened.free):
                segment.close()
        self.meta.close()


def open_store(files: Files, folder: Path, quota_bytes: int | None) -> Store:
    """Open what is in a folder; make what is missing. Without a quota it keeps its size.

    Raises:
        JournalNoRoom: there is no store yet, and no room for one.
        OSError: the folder cannot be used at all.
    """
    trouble = Trouble()
    try:
        return _open(files, folder, quota_bytes, trouble)
    except UnknownVersion:
        trouble.set_aside.append(_set_store_aside(folder, files))
        return _open(files, folder, quota_bytes, trouble)


def _open(files: Files, folder: Path, quota_bytes: int | None, trouble: Trouble) -> Store:
    geometry = divide(quota_bytes or MIN_QUOTA)
    salvages: dict[Lane, Salvage] = {}
    with ExitStack() as undo:
        for lane in Lane:
            files.make_dir(lane_folder(folder, lane))
            salvages[lane] = Salvage(files, lane_folder(folder, lane), lane, trouble)
            undo.callback(salvages[lane].close)
            salvages[lane].find()
        for lane, salvage in salvages.items():
            salvage.fit(geometry[lane], may_shrink=quota_bytes is not None)
        meta = _open_meta(files, folder, salvages, trouble)
        undo.callback(meta.close)
        uncertain = _make_certain(files, folder, meta, trouble)
        store = Store(meta, {lane: salvages[lane].open(meta) for lane in Lane}, trouble)
        for opened in store.lanes.values():
            opened.first = (*uncertain, *opened.first)
        undo.pop_all()
    return store


def _make_certain(
    files: Files, folder: Path, meta: Meta, trouble: Trouble
) -> tuple[Callable[[], object], ...]:
    """A killed process leaves names and bytes in the cache that were never flushed.

    They are read as if they were on the medium, and everything that follows builds on them; so they
    must be there before anything does. Bytes are written again and not just flushed: if a flush of
    them failed once, the kernel calls the next one a success. What the flash refused of all this,
    to be done again.
    """
    actions: dict[str, Callable[[], object]] = {
        f"sync {path.name}": partial(files.sync_dir, path)
        for path in (folder, *(lane_folder(folder, lane) for lane in Lane))
    }
    actions[f"sync {folder.parent.name}"] = partial(_sync_parent, files, folder)
    if meta.on_flash:
        actions["save meta"] = meta.save
    return trouble.attempts(actions)


def _sync_parent(files: Files, folder: Path) -> None:
    """The name of the journal's folder itself, where it may be seen to."""
    with suppress(PermissionError):  # a parent may be entered that may not be read
        files.sync_dir(folder.parent)


def lane_folder(folder: Path, lane: Lane) -> Path:
    """Where a lane's segments are."""
    return folder / lane.name.lower()


def _open_meta(files: Files, folder: Path, salvages: dict[Lane, Salvage], trouble: Trouble) -> Meta:
    """The meta file; rebuilt from the segments if it is lost, new if there is nothing at all."""
    path = folder / "meta"
    try:
        meta = Meta.open(files, path)
    except OSError as error:  # perhaps it can be read another time: it is not written over
        trouble.notes.append(f"read meta: {error}")
        return Meta(files, -1, 0, _rebuild(salvages))
    if meta is None:
        meta = Meta(files, -1, 0, _rebuild(salvages))
        if any(salvages[lane].used for lane in Lane):
            trouble.notes.append("meta was lost; it is rebuilt from the segments")
        trouble.attempt("create meta", lambda: meta.create(path))
    return meta


def _rebuild(salvages: dict[Lane, Salvage]) -> MetaState:
    headers = [s.header for lane in Lane for s in salvages[lane].used if s.header]
    journal = headers[-1].journal if headers else uuid_module.uuid4().bytes
    oldest = {lane: min((s.first_seq for s in salvages[lane].used), default=1) for lane in Lane}
    acknowledged = (oldest[Lane.URGENT] - 1, oldest[Lane.ROUTINE] - 1)
    return MetaState(journal, acknowledged=acknowledged, durable=acknowledged)


def _set_store_aside(folder: Path, files: Files) -> str:
    """A store of a future format is kept, unread, beside the new one."""
    target = folder / f"format-unknown-{uuid_module.uuid4().hex[:8]}"
    files.make_dir(target)
    for name in files.list_dir(folder):
        if name in {"meta", *(lane.name.lower() for lane in Lane)}:
            files.rename(folder / name, target / name)
    files.sync_dir(folder)
    return target.name
