"""What entities are called, in the language of the home.

A name follows from the entity's place when a device is described, and is kept nowhere: a home that
changes its language has all its names in the new one after the next start. Ids, topics, states and
types of events are the same in every language.
"""

from __future__ import annotations

from collections import ChainMap
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote

from gateway.mirror.home_assistant.words import (
    ALARMS,
    BEFORE,
    BEHIND,
    CLASSED,
    FAULTS,
    MEASURED,
    OWN,
    Words,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Language = Literal["zh", "en"]

# A measurement may be a fault while it is true.
_BROKEN = ChainMap(FAULTS, MEASURED)
_FAULT = {"en": "Fault: ", "zh": "故障："}


def name_of(place: str, device_class: str, language: Language) -> str:
    """The name of the entity that is there; what nobody has words for is shown as it is."""
    group, *levels = (unquote(it) for it in place.split("/"))
    if not levels:
        return _capital(_say(group, OWN, language))
    first, *more = levels
    if group == "fault":
        return (_FAULT[language] + " ".join([_say(first, _BROKEN, language), *more])).strip()
    table = ALARMS if group == "alarm" else ChainMap(_of_class(device_class), MEASURED)
    said = [_say(first, table, language), *(_say(it, MEASURED, language) for it in more)]
    return _capital(" ".join(said))


def _of_class(device_class: str) -> dict[str, Words]:
    return {
        name: words for (name, its_class), words in CLASSED.items() if its_class == device_class
    }


def _say(name: str, table: Mapping[str, Words], language: Language) -> str:
    """A name in words, as they stand within a sentence."""
    found = _split(name, table)
    if found is None:
        return _plain(name)
    words, suffixes = found
    if language == "en":
        return " ".join([words.en, *suffixes]) if words.en else _plain(name)
    return _chinese(words.zh, suffixes) or _plain(name)


def _split(name: str, table: Mapping[str, Words]) -> tuple[Words, list[str]] | None:
    """The words for the longest beginning of a name that has some, and what follows it."""
    parts = name.split("_")
    for end in range(len(parts), 0, -1):
        if words := table.get("_".join(parts[:end])):
            return words, parts[end:]
    return None


def _chinese(base: str, suffixes: Sequence[str]) -> str:
    """With all that follows it; empty if some of it is unknown."""
    behind = []
    for suffix in suffixes:
        if suffix in BEFORE:
            base = BEFORE[suffix] + base
        elif number := _number(suffix):
            behind.append(number)
        else:
            return ""
    return " ".join([base, *behind])


def _number(suffix: str) -> str:
    matches = ((pattern.fullmatch(suffix), shown) for pattern, shown in BEHIND)
    return next((match.expand(shown) for match, shown in matches if match), "")


def _plain(name: str) -> str:
    return name.replace("_", " ").strip() or name


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
