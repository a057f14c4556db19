"""An event as JSON.

    {"gateway": "gw-1", "device": "meter-kitchen", "kind": "measurement", "lane": "routine",
     "seq": 12, "time": "2026-11-26T04:54:45.123Z", "time_quality": "synchronised",
     "measurements": {"volume": 12.345}, "units": {"volume": "m3"},
     "labels": {"room": "kitchen"}, "detail": {}}

Units are SenML's. `measurements` has a list where an event has several values of one name. `time`
is null where the clock shows a time that no calendar has. What `time_quality` says of it is what
was known when the event came: nothing is told again when the clock is set.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from gateway.model import lane_of

if TYPE_CHECKING:
    from gateway.model import Event, Measurement, Scalar

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def message_of(gateway: str, event: Event, seq: int) -> bytes:
    """The JSON of one event."""
    return msgspec.json.encode(
        {
            "gateway": gateway,
            "device": event.device,
            "kind": event.kind.name.lower(),
            "lane": lane_of(event.kind).name.lower(),
            "seq": seq,
            "time": _time(event.stamp.wall_ms),
            "time_quality": event.stamp.quality.name.lower(),
            "measurements": _values(event.measurements),
            "units": {it.name: it.unit for it in event.measurements if it.unit},
            "labels": event.labels,
            "detail": event.detail,
        }
    )


def _time(wall_ms: int) -> str | None:
    try:
        time = _EPOCH + timedelta(milliseconds=wall_ms)
    except OverflowError:
        return None
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _values(measurements: tuple[Measurement, ...]) -> dict[str, Any]:
    values: dict[str, list[Scalar]] = {}
    for it in measurements:
        values.setdefault(it.name, []).append(it.value)
    return {name: each[0] if len(each) == 1 else each for name, each in values.items()}
