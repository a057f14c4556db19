"""How values are written in the tables.

PostgreSQL has no place for the character NUL in a text, so it is replaced: an event that one store
takes and the other refuses would be sent for ever. What tells two events apart is their digest,
which is of the bytes as they came.
"""

from __future__ import annotations

import re
import time

import msgspec

from gateway.model import Kind, Lane, TimeQuality

LANES = {lane: lane.name.lower() for lane in Lane}
LANE_OF = {word: lane for lane, word in LANES.items()}
KINDS = {kind: kind.name.lower() for kind in Kind}
QUALITIES = {quality: quality.name.lower() for quality in TimeQuality}

_REPLACEMENT = "\ufffd"
_ESCAPED_NUL = "\\u0000"
_ESCAPE = re.compile(r"\\(u0000|.)")


def now_ms() -> int:
    """This machine's clock: ms since 1970 UTC."""
    return time.time_ns() // 1_000_000


def clean(text: str) -> str:
    """A text that every database takes."""
    return text.replace("\0", _REPLACEMENT) if "\0" in text else text


def clean_json(document: str) -> str:
    """JSON that every database takes."""
    if _ESCAPED_NUL not in document:
        return document
    return _ESCAPE.sub(lambda m: _REPLACEMENT if m[0] == _ESCAPED_NUL else m[0], document)


def json_of(value: object) -> str:
    """A value as JSON that every database takes."""
    return clean_json(msgspec.json.encode(value).decode())
