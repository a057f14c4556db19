"""An event as JSON."""

from __future__ import annotations

import json
from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st
from wire_strategies import events

from gateway.mirror.message import message_of
from gateway.model import Event, Kind, Measurement, Stamp, TimeQuality

STAMP = Stamp(bytes(8), 5, 1_764_132_885_123, TimeQuality.SYNCHRONISED)


def test_a_reading():
    measurements = (Measurement("volume", 12.345, "m3"), Measurement("battery_low", False))
    event = Event(
        Kind.MEASUREMENT, "meter-kitchen", STAMP, measurements, {"room": "厨房"}, {"a": 1}
    )
    assert json.loads(message_of("gw-1", event, 12)) == {
        "gateway": "gw-1",
        "device": "meter-kitchen",
        "kind": "measurement",
        "lane": "routine",
        "seq": 12,
        "time": "2025-11-26T04:54:45.123Z",
        "time_quality": "synchronised",
        "measurements": {"volume": 12.345, "battery_low": False},
        "units": {"volume": "m3"},
        "labels": {"room": "厨房"},
        "detail": {"a": 1},
    }


def test_a_call_is_urgent():
    told = json.loads(message_of("g", Event(Kind.CALL, "d", STAMP), 1))
    assert (told["kind"], told["lane"]) == ("call", "urgent")


def test_several_values_of_one_name_are_all_there():
    beats = tuple(Measurement("rr_interval", value, "s") for value in (0.8, 0.9))
    event = Event(Kind.MEASUREMENT, "band-1", STAMP, (Measurement("heart_rate", 70), *beats))
    told = json.loads(message_of("g", event, 1))
    assert told["measurements"] == {"heart_rate": 70, "rr_interval": [0.8, 0.9]}
    assert told["units"] == {"rr_interval": "s"}


def test_a_time_that_no_calendar_has():
    event = Event(Kind.CALL, "d", Stamp(bytes(8), 0, 2**48, TimeQuality.UNKNOWN))
    told = json.loads(message_of("g", event, 1))
    assert (told["time"], told["time_quality"]) == (None, "unknown")


@given(events, st.integers(1, 2**63 - 1))
def test_every_event_becomes_json_with_all_it_says(event, seq):
    told = json.loads(message_of("gw-1", event, seq))
    assert (told["device"], told["seq"]) == (event.device, seq)
    assert (told["labels"], told["detail"]) == (event.labels, event.detail)
    for it in event.measurements:
        value = told["measurements"][it.name]
        assert it.value == value or it.value in value
    if told["time"]:
        read = datetime.fromisoformat(told["time"])
        assert round(read.timestamp() * 1000) == event.stamp.wall_ms
