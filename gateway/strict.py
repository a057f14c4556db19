"""Strict reading of CBOR: what comes in is hostile until each part of it was looked at.

`Reader` and `load` take CBOR apart without tags, indefinite lengths, duplicate keys or depth; the
small functions say what an item must be. All of them raise DecodeError and nothing else.
"""

from __future__ import annotations

import math
from enum import IntEnum
from functools import cache
from io import SEEK_CUR, BytesIO
from typing import TYPE_CHECKING, Any, TypeVar

import cbor2

from gateway.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Callable, Sized

    from gateway.model import Scalar

E = TypeVar("E", bound=IntEnum)

MAX_TEXT = 256  # characters of any name, label or unit
MAX_DETAIL = 32  # entries of a label or detail map
_MAX_DEPTH = 6  # an event in a batch is 4 deep
_INT_LIMIT = 2**63
MAJOR_BYTES, MAJOR_ARRAY = 2, 4
_ONE_BYTE, _FOUR_BYTES = 24, 26  # heads with 1, 2 or 4 bytes of count


def _refuse_tag(*_: Any) -> Any:
    raise DecodeError("CBOR tags are not part of the format")


# Tags that cbor2 would decode by itself, some of them at the cost of much time or memory
# (bignums, decimals with huge exponents, regular expressions, shared references).
_KNOWN_TAGS: dict[int, Callable[..., Any]] = dict.fromkeys(
    (
        0, 1, 2, 3, 4, 5, 25, 28, 29, 30, 35, 36, 37, 43, 52, 54, 100,
        256, 258, 260, 261, 1004, 55799,
    ),
    _refuse_tag,
)  # fmt: skip


class Reader:
    """Reads CBOR items one after the other; every fault is a DecodeError."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._stream = BytesIO(data)
        self._decoder = cbor2.CBORDecoder(
            self._stream,
            tag_hook=_refuse_tag,
            semantic_decoders=_KNOWN_TAGS,
            max_depth=_MAX_DEPTH,
            allow_indefinite=False,
            allow_duplicate_keys=False,
        )

    @property
    def at(self) -> int:
        """Offset of the next item."""
        return self._stream.tell()

    @property
    def major(self) -> int | None:
        """Major type of the next item (RFC 8949, 3.1); None at the end."""
        head = self._data[self.at : self.at + 1]
        return head[0] >> 5 if head else None

    def next(self) -> Any:
        """The next item."""
        try:
            return self._decoder.decode()
        except DecodeError:
            raise
        except (cbor2.CBORError, ValueError, TypeError, OverflowError, MemoryError) as error:
            raise DecodeError(f"not CBOR of this format: {error}") from error

    def array(self, what: str) -> int:
        """Step into an array; how many items it has."""
        head = self._data[self.at : self.at + 5]
        small = head[0] & 0x1F if head else 0
        if self.major != MAJOR_ARRAY or small > _FOUR_BYTES:
            raise DecodeError(f"{what} is not an array")
        width = 0 if small < _ONE_BYTE else 1 << (small - _ONE_BYTE)
        if len(head) < 1 + width:
            raise DecodeError(f"{what} is cut short")
        self._stream.seek(1 + width, SEEK_CUR)
        return int.from_bytes(head[1 : 1 + width], "big") if width else small

    def end(self) -> None:
        """Nothing may follow."""
        if self.at != len(self._data):
            raise DecodeError(f"{len(self._data) - self.at} bytes after the end")


def load(data: bytes) -> Any:
    """The one item that these bytes are."""
    reader = Reader(data)
    item = reader.next()
    reader.end()
    return item


def expect(item: Any, kind: type, what: str) -> Any:
    """Exactly of this type: a truth value is no integer."""
    if type(item) is not kind:
        raise DecodeError(f"{what} is {type(item).__name__}, not {kind.__name__}")
    return item


def keyed(item: Any, known: frozenset[int], what: str) -> dict[int, Any]:
    """A map with known integer keys; to Python `True` and `1.0` would be the key 1, too."""
    fields: dict[int, Any] = expect(item, dict, what)
    for key in fields:  # a loop: this is asked for each map of each event that comes in
        if type(key) is not int or key not in known:
            keys = sorted(map(repr, fields))
            raise DecodeError(f"{what} with keys {keys}, not of {sorted(known)}")
    return fields


def at_most(most: int, items: Sized, what: str) -> None:
    """No more than so many."""
    if len(items) > most:
        raise DecodeError(f"{len(items)} {what}; {most} is the most")


def integer(item: Any, low: int, high: int, what: str) -> int:
    """An integer within bounds."""
    if type(item) is not int or not low <= item <= high:
        raise DecodeError(f"{what} is {item!r:.40}, not an integer of {low}..{high}")
    return item


def text(item: Any, what: str) -> str:
    """A text that is neither empty nor too long."""
    if type(item) is not str or not 1 <= len(item) <= MAX_TEXT:
        raise DecodeError(f"{what} is {item!r:.40}, not a text of 1..{MAX_TEXT} characters")
    return item


def raw(item: Any, length: int, what: str) -> bytes:
    """Exactly so many bytes."""
    if type(item) is not bytes or len(item) != length:
        raise DecodeError(f"{what} is {item!r:.40}, not {length} bytes")
    return item


def enum(kinds: type[E], item: Any, what: str) -> E:
    """A member of an enumeration, by its number."""
    if type(item) is int:
        member: E | None = _members(kinds).get(item)
        if member is not None:
            return member
    raise DecodeError(f"{what} is {item!r:.40}, not one of {[int(k) for k in kinds]}")


@cache
def _members(kinds: type[IntEnum]) -> dict[int, Any]:
    return {int(member): member for member in kinds}


def scalar(item: Any, what: str) -> Scalar:
    """A number, text or truth value."""
    if type(item) is str:
        return text(item, what)
    if type(item) is int:
        return integer(item, -_INT_LIMIT, _INT_LIMIT - 1, what)
    if type(item) is float and math.isfinite(item):
        return item
    if type(item) is bool:
        return item
    raise DecodeError(f"{what} is {item!r:.40}, not a number, text or truth value")


def map_of(items: Any, value_of: Callable[[Any, str], Any], what: str) -> dict[str, Any]:
    """A map from texts to values that `value_of` accepts."""
    at_most(MAX_DETAIL, expect(items, dict, what), what)
    return {text(key, f"{what} key"): value_of(value, what) for key, value in items.items()}


def sayable(value: Scalar) -> Scalar:
    """A value as an event can carry it: devices, systems and file names say what they like."""
    if not isinstance(value, str):
        return value
    return value.encode("utf-8", "replace").decode()[:MAX_TEXT]
