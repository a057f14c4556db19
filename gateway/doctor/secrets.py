"""The files that `[uplink]` names: there, readable for us, and secret where they must be."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from gateway.errors import SettingsError
from gateway.finding import Finding, Level, Words, fault, fault_of, ok
from gateway.uplink.credentials import out_of_sight, password_of, path_of, tls_context_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.settings import UplinkSettings

_SECRET = {"ca": False, "cert": False, "key": True, "password_file": True}


def look_at_files(settings: UplinkSettings) -> list[Finding]:
    """Each file that is named; if each is there, whether their contents will do."""
    named = {key: str(getattr(settings, key)) for key in _SECRET if getattr(settings, key)}
    kept = [key for key, name in named.items() if out_of_sight(name)]
    found = [_file(key, name) for key, name in named.items() if key not in kept]
    faults = [it for it in found if it is not None]
    if not faults and kept:
        names = ", ".join(kept)
        return [
            ok(
                f"credentials, which only the service sees: {names}",
                f"凭据仅服务自身可见：{names}",
                about="uplink",
            )
        ]
    if not faults:
        faults = [*_contents(settings, password_of), *_contents(settings, tls_context_of)]
    if faults or not named:
        return faults
    names = ", ".join(named)
    return [ok(f"files are as they must be: {names}", f"文件无误：{names}", about="uplink")]


def _file(key: str, name: str) -> Finding | None:
    about = f"uplink.{key}"
    try:
        path = path_of(about, name)
    except SettingsError as error:
        return fault_of(error, about=about)
    try:
        with path.open("rb"):
            mode = path.stat().st_mode
    except OSError as error:
        what = f"{path}: {error.strerror}"
        hint = Words(
            "it must be there, and readable for the user hearth",
            "文件须存在，且 hearth 用户可读",
        )
        return Finding(Level.FAULT, Words.same(what), hint, about)
    if _SECRET[key] and mode & (stat.S_IROTH | stat.S_IWOTH):
        return fault(
            f"{path} is open to every user of this machine",
            f"{path} 对本机所有用户开放",
            hint=Words.same(f"chmod 640 {path}; chgrp hearth {path}"),
            about=about,
        )
    return None


def _contents(settings: UplinkSettings, read: Callable[[UplinkSettings], object]) -> list[Finding]:
    try:
        read(settings)
    except SettingsError as error:
        hint = Words.same(error.hint)
        return [Finding(Level.FAULT, Words.same(it), hint, "uplink") for it in error.faults]
    return []
