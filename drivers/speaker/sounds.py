"""Phrases that lie on disk as sound: heard at once, also where the speech engine is missing."""

from __future__ import annotations

import re
from pathlib import Path

_NAME = re.compile(r"[a-z0-9_]{1,64}\Z")


class Sounds:
    """`<folder>/<language>/<phrase>.wav`."""

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)

    def path(self, language: str, phrase: str) -> Path:
        """Where a phrase lies, or would."""
        return self._folder / language / f"{phrase}.wav"

    def find(self, language: str, phrase: str) -> Path | None:
        """The file of a phrase, if there is one."""
        if not (_NAME.match(language) and _NAME.match(phrase)):
            return None
        path = self.path(language, phrase)
        try:
            return path if path.stat().st_size else None
        except OSError:
            return None
