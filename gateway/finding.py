"""What somebody who looked found: well, not quite, or a fault, in a line that a fitter reads."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from gateway.errors import HearthError


class Level(Enum):
    """How bad it is. The values are in JSON that others read: add, never rename."""

    OK = "ok"
    WARNING = "warning"  # it works, and somebody should know
    FAULT = "fault"  # it does not work


class Words(NamedTuple):
    """The same in English and in Chinese."""

    english: str
    chinese: str

    @classmethod
    def same(cls, text: str) -> Words:
        """What somebody else says, such as the system, and has in one language only."""
        return cls(text, text)


NOTHING = Words("", "")


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at."""

    level: Level
    what: Words
    hint: Words = NOTHING  # what to do about it
    about: str = ""  # such as `uplink`, or the id of a device

    def of(self, about: str) -> Finding:
        """The same about this, if it does not say already what it is about."""
        return self if self.about else msgspec.structs.replace(self, about=about)


def ok(english: str, chinese: str, *, about: str = "") -> Finding:
    """It is well."""
    return Finding(Level.OK, Words(english, chinese), about=about)


def warning(english: str, chinese: str, *, hint: Words = NOTHING, about: str = "") -> Finding:
    """It works, and somebody should know."""
    return Finding(Level.WARNING, Words(english, chinese), hint, about)


def fault(english: str, chinese: str, *, hint: Words = NOTHING, about: str = "") -> Finding:
    """It does not work."""
    return Finding(Level.FAULT, Words(english, chinese), hint, about)


def fault_of(error: HearthError, *, about: str = "") -> Finding:
    """What an error says."""
    return Finding(Level.FAULT, Words.same(str(error)), Words.same(error.hint), about)
