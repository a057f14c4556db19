"""Sizes as people write them."""

from __future__ import annotations

import re

_SIZE = re.compile(r"^(\d{1,12}(?:\.\d{1,12})?)\s*(B|KiB|MiB|GiB)\Z")
_UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def parse_size(text: str) -> int:
    """`"256 MiB"` to bytes; ValueError if it is no size."""
    match = _SIZE.match(text)
    if not match:
        raise ValueError(f"{text!r} is no size; write it like 256 MiB")
    return int(float(match[1]) * _UNITS[match[2]])
