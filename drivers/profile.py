"""What a maker's devices have of their own, as data: a TOML file in `profiles/<kind>/`.

[profile]                     # what goes for all of it
[[register]]                  # or [[bit]], ...: one for each thing that is described
"""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from gateway import resources
from gateway.errors import SettingsError
from gateway.settings import read_table

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T", bound=msgspec.Struct)


def read_profile(kind: str, name: str) -> tuple[str, str]:
    """Text and path of a profile; SettingsError if it cannot be read."""
    path = resources.find(f"profiles/{kind}/{name}.toml")
    try:
        return path.read_text("utf-8"), str(path)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([f"{path}: cannot be read: {error}"]) from error


class ProfileFile:
    """One such file, its faults collected."""

    def __init__(self, text: str, file: str, section: str) -> None:
        """SettingsError if it is no TOML.

        Args:
            text: the file's.
            file: its name in messages.
            section: name of the array beside `[profile]`.
        """
        try:
            self._tables = tomllib.loads(text)
        except (ValueError, RecursionError) as error:  # also a number of 5000 digits, 1000 brackets
            raise SettingsError([f"{file}: not TOML: {error}"]) from error
        self._text, self._file, self._section = text, file, section
        items = self._tables.get(section, [])
        self.items: list[Any] = items if isinstance(items, list) else []
        unknown = self._tables.keys() - {"profile", section}
        self.faults = [f"{file}: {key}: unknown section" for key in unknown]

    def head(self, into: type[T]) -> T | None:
        """`[profile]`; None if it has faults."""
        return self._read(self._tables.get("profile", {}), into, "profile")

    def each(self, into: type[T]) -> Iterator[tuple[int, T]]:
        """Number and content of each item that has no fault by itself. None at all is one."""
        if not self.items:
            self.fault(f"at least one [[{self._section}]] is needed")
        for index, item in enumerate(self.items):
            read = self._read(item, into, f"{self._section}[{index}]")
            if read is not None:
                yield index, read

    def fault(self, what: str, index: int | None = None) -> None:
        """One more fault, of an item or of all of them."""
        place = self._section if index is None else f"{self._section}[{index}]"
        self.faults.append(f"{self._file}: {place}{':' if index is None else ''} {what}")

    def _read(self, table: Any, into: type[T], section: str) -> T | None:
        if not isinstance(table, dict):
            self.faults.append(f"{self._file}: {section}: must be a table")
            return None
        return read_table(table, into, f"{self._file}:{section}", self.faults, source=self._text)
