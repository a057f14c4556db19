"""What comes from upstream, read strictly: a weather report, a notice."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, TypeVar

import msgspec

from gateway.errors import CommandRefused
from gateway.settings import Label, read_table
from gateway.speakable import speakable
from gateway.strict import MAX_TEXT

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T", bound=msgspec.Struct)

Milliseconds = Annotated[int, msgspec.Meta(gt=0, lt=2**50)]  # since 1970-01-01 UTC


class WeatherOrder(msgspec.Struct, frozen=True):
    """A report, and until when it holds."""

    text: str
    valid_until: Milliseconds


class NoticeOrder(msgspec.Struct, frozen=True):
    """A notice; it is said first `at`, or now, and holds `until`, or for a day."""

    id: Annotated[Label, msgspec.Meta(min_length=1)]
    text: str
    at: Milliseconds | None = None
    until: Milliseconds | None = None


def read_weather(arguments: Mapping[str, object]) -> WeatherOrder:
    """A weather report; CommandRefused with every fault."""
    order = _read(arguments, WeatherOrder, "weather")
    _check_text(order.text)
    return order


def read_notice(arguments: Mapping[str, object]) -> NoticeOrder:
    """A notice; CommandRefused with every fault."""
    order = _read(arguments, NoticeOrder, "notice")
    _check_text(order.text)
    return order


def _read(arguments: Mapping[str, object], into: type[T], name: str) -> T:
    faults: list[str] = []
    order = read_table(dict(arguments), into, f":{name}", faults)
    if order is None:
        told = "; ".join(fault.removeprefix(": ") for fault in faults[:8])
        raise CommandRefused(re.sub(r"[\x00-\x1f]", "?", told)[:MAX_TEXT])
    return order


def _check_text(text: str) -> None:
    if reason := speakable(text):
        raise CommandRefused(f"the text cannot be said: {reason}")
