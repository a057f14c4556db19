"""Opening the folder of a journal: meta, then both lanes, from whatever is there.

The same code tells what opening would do (`repair.py`), so it starts nothing and locks nothing.
"""

from __future__ import annotations

import uuid as uuid_module
from typing import TYPE_CHECKING

import msgspec

from gateway.errors import UnknownVersion
from gateway.journal.format import MetaState
from gateway.journal.geometry import MIN_QUOTA, divide
from gateway.journal.meta import Meta
from gateway.journal.salvage import Opened, Salvage, Trouble
from gateway.model import Lane

if TYPE_CHECKING:
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
        salvages, meta = _find(files, folder, quota_bytes, trouble)
    except UnknownVersion:
        trouble.set_aside.append(_set_store_aside(folder, files))
        salvages, meta = _find(files, folder, quota_bytes, trouble)
    return Store(meta, {lane: salvages[lane].open(meta) for lane in Lane}, trouble)


def lane_folder(folder: Path, lane: Lane) -> Path:
    """Where a lane's segments are."""
    return folder / lane.name.lower()


def _find(
    files: Files, folder: Path, quota_bytes: int | None, trouble: Trouble
) -> tuple[dict[Lane, Salvage], Meta]:
    """The segments, made as many as the quota asks for, and the meta file."""
    geometry = divide(quota_bytes or MIN_QUOTA)
    salvages = {}
    for lane in Lane:
        files.make_dir(lane_folder(folder, lane))
        salvages[lane] = Salvage(files, lane_folder(folder, lane), lane, trouble)
    for lane, salvage in salvages.items():
        salvage.fit(geometry[lane], may_shrink=quota_bytes is not None)
    return salvages, _open_meta(files, folder, salvages, trouble)


def _open_meta(files: Files, folder: Path, salvages: dict[Lane, Salvage], trouble: Trouble) -> Meta:
    """The meta file; rebuilt from the segments if it is lost, new if there is nothing at all."""
    path = folder / "meta"
    try:
        meta = Meta.open(files, path)
    except OSError as error:
        trouble.notes.append(f"open meta: {error}")
        meta = None
    if meta is None:
        meta = Meta(files, -1, 0, _rebuild(salvages))
        if any(salvages[lane].used for lane in Lane):
            trouble.notes.append("meta was lost; it is rebuilt from the segments")
        trouble.attempt("create meta", lambda: meta.create(path))
        trouble.attempt(f"sync {folder.name}", lambda: files.sync_dir(folder))
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
