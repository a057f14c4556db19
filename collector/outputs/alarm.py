"""An alarm as others read it: one JSON object.

    {"id": "<journal>/urgent/17", "gateway": "gw-1", "device": "call-bedroom", "kind": "call",
     "time": "2026-11-26T04:56:08.123Z", "time_quality": "synchronised",
     "measurements": [], "labels": {"room": "bedroom"}, "detail": {"call": "c0badcafe"}}

`id` is the event's name, the same however often it is told: who must not act twice remembers it.
`time` is null where a gateway told a time that no calendar has.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collector.due import Due

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Alarm(msgspec.Struct, frozen=True):
    """One alarm, ready to be told."""

    id: str
    gateway: str
    json: bytes  # one line, without its end


def alarm_of(due: Due) -> Alarm:
    """What is to be told of an event in line."""
    name = f"{due.journal}/{due.lane}/{due.seq}"
    body: dict[str, Any] = msgspec.json.decode(due.body)
    told = {
        "id": name,
        "gateway": due.gateway,
        "device": due.device,
        "kind": due.kind,
        "time": _iso(due.time_ms),
        "time_quality": due.time_quality,
        "measurements": body.get("measurements", []),
        "labels": body.get("labels", {}),
        "detail": body.get("detail", {}),
    }
    return Alarm(name, due.gateway, msgspec.json.encode(told))


def _iso(time_ms: int) -> str | None:
    """ISO 8601 in UTC, to the millisecond."""
    try:
        time = _EPOCH + timedelta(milliseconds=time_ms)
    except OverflowError:
        return None
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
