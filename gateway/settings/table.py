"""Tables of TOML as typed structures; every fault is kept, with its place."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

T = TypeVar("T", bound=msgspec.Struct)


def read_table(
    table: dict[str, Any], into: type[T], place: str, faults: list[str], *, source: str = ""
) -> T | None:
    """A table as `into`, or None with every fault of it added to `faults`.

    Args:
        table: the keys and values as TOML gave them.
        into: the msgspec.Struct to make.
        place: `file:[section]` or the like; faults read `place.key: what is wrong`.
        faults: where faults go.
        source: text of the file; with it faults name their line.
    """
    found: dict[str, Any] = {}
    before = len(faults)
    fields = {field.encode_name: field for field in msgspec.structs.fields(into)}
    faults += [
        f"{at(place, key, source)}: unknown key{did_you_mean(key, fields)}"
        for key in sorted(table.keys() - fields.keys())
    ]
    for name, field in fields.items():
        if name in table:
            try:
                found[field.name] = msgspec.convert(table[name], field.type)
            except msgspec.ValidationError as error:
                faults.append(f"{at(place, name, source)}: {_plain(error)}")
        elif field.required:
            faults.append(f"{at(place, name, source)}: missing")
    if len(faults) > before:
        faults[before:] = sorted(faults[before:], key=_line_of)
        return None
    return into(**found)


def at(place: str, key: str, source: str) -> str:
    """`file:line: section.key` if the line can be found, else `file: section.key`.

    Args:
        place: `file:section`, the section as in `uplink` or `device[2]`.
        key: of the section; empty for the section itself.
        source: text of the file, or nothing.
    """
    file, _, section = place.rpartition(":")
    line = _find_line(source, section, key)
    named = f"{section}.{key}" if key else section
    return f"{file}:{line}: {named}" if line else f"{file}: {named}"


def _find_line(source: str, section: str, key: str) -> int:
    """Line of a key within a section (`uplink`, `device[2]`), or of its header."""
    name, _, rest = section.partition("[")
    wanted = int(rest.rstrip("]")) if rest else 0
    header = re.compile(rf"^\s*\[{{1,2}}\s*{re.escape(name)}\s*\]{{1,2}}")
    assignment = re.compile(rf"^\s*[\"']?{re.escape(key)}[\"']?\s*=") if key else None
    count, at = -1, 0
    for number, line in enumerate(source.splitlines(), 1):
        if header.match(line):
            count += 1
            at = number if count == wanted else at
        elif line.lstrip().startswith("[") and at and count == wanted:
            break
        elif assignment and count == wanted and assignment.match(line):
            return number
    return at


def _line_of(fault: str) -> int:
    parts = fault.split(":", 2)
    return int(parts[1]) if len(parts) > 1 and parts[1].isdecimal() else 0


def did_you_mean(name: str, known: dict[str, Any]) -> str:
    """`; did you mean ...?` if a known name is near, else nothing."""
    import difflib  # noqa: PLC0415 - only a faulty file needs it

    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _plain(error: msgspec.ValidationError) -> str:
    return str(error).removesuffix(" - at `$`").replace("`", "")
