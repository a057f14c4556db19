"""Where shipped data lies: register maps and other files that are neither code nor settings.

A file of the same name under /etc/hearth goes before the one that came with the wheel, so that a
fitter adds a meter or mends a register map without touching the installation.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOTS = (
    Path("/etc/hearth"),
    Path(sys.prefix) / "share" / "hearth",  # shared data of the wheel
    Path(__file__).resolve().parent.parent / "config",  # a checkout
)

_PART = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._-]+\Z")


def find(relative: str, roots: Sequence[Path] = ROOTS) -> Path:
    """The first file of this name, as in `profiles/modbus/xintai.toml`.

    Raises:
        SettingsError: no root has it, it cannot be looked at, or the name leads out of the roots.
    """
    if not all(_PART.match(part) for part in relative.split("/")):
        raise SettingsError(
            [f"{relative!r} is no name of shipped data"],
            hint="names are letters, digits, dot, underscore and hyphen",
        )
    for root in roots:
        try:
            if (root / relative).is_file():
                return root / relative
        except OSError as error:
            raise SettingsError([f"{root / relative}: cannot be read: {error}"]) from error
    looked = ", ".join(str(root) for root in roots)
    raise SettingsError(
        [f"{relative}: not found"], hint=f"looked in {looked}; your own go into {roots[0]}"
    )


def names(folder: str, suffix: str, roots: Sequence[Path] = ROOTS) -> list[str]:
    """Names without suffix of all files in a folder of any root, as in `profiles/modbus`, `.toml`.

    A folder that cannot be read has none.
    """
    found = {path.stem for root in roots for path in (root / folder).glob(f"*{suffix}")}
    return sorted(name for name in found if _PART.match(name))
