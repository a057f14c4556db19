"""The disk under the journal: may we write there, and is there room for the quota?"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.errors import HearthError
from gateway.finding import Finding, Words, fault, fault_of, ok
from gateway.journal.files import OsFiles

if TYPE_CHECKING:
    from gateway.settings import JournalSettings

_BLOCK = 512  # bytes, of st_blocks


def look_at_journal(settings: JournalSettings) -> list[Finding]:
    """The folder, and its room."""
    folder = Path(settings.path)
    try:
        finding = _folder(folder) or _room(folder, settings.quota_bytes)
    except OSError as error:
        finding = fault_of(HearthError(str(error)))
    return [finding.of("journal")]


def _folder(folder: Path) -> Finding | None:
    """What is wrong with it, if anything is."""
    place = _nearest(folder)
    if not place.is_dir():
        return fault(f"{place} is no folder", f"{place} 不是文件夹")
    if not os.access(place, os.R_OK | os.W_OK | os.X_OK):
        return fault(
            f"{place} cannot be written by this user",
            f"当前用户不能写入 {place}",
            hint=Words(
                "it belongs to the user hearth; is the card read-only? see dmesg",
                "它应属于 hearth 用户；存储卡是否变为只读？见 dmesg",
            ),
        )
    return None


def _room(folder: Path, quota: int) -> Finding:
    """The journal takes all of its room at its first start."""
    taken = sum(path.stat().st_blocks * _BLOCK for path in folder.rglob("*") if path.is_file())
    free = OsFiles(read_only=True).free_bytes(_nearest(folder))
    missing = quota - taken - free
    if missing > 0:
        return fault(
            f"{_mib(missing)} short of the quota of {_mib(quota)}",
            f"空间比配额 {_mib(quota)} 少 {_mib(missing)}",
            hint=Words(
                f"free {_mib(missing)}, or set a smaller [journal] quota",
                f"请腾出 {_mib(missing)}，或减小 [journal] quota",
            ),
        )
    return ok(
        f"{folder} can be written, with room for {_mib(quota)}",
        f"{folder} 可写入，空间足够（{_mib(quota)}）",
    )


def _nearest(folder: Path) -> Path:
    """The folder, or the one in which it would be made."""
    return next((it for it in (folder, *folder.parents) if it.exists()), Path("/"))


def _mib(count: int) -> str:
    return f"{count / 2**20:.1f} MiB"
