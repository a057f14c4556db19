"""Health as families of metrics, named as OpenMetrics wants them: unit last, counters `_total`.

Devices go by their ids. Rooms and residents are not among the labels: whoever keeps the figures
need not know who lives there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

from gateway import __version__
from gateway.model import CALL_ENDED, CallState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from prometheus_client.core import Metric

# What a counter of the uplink counts, where its name begins with that. OpenMetrics puts it last.
_COUNTED = ("bytes", "events", "batches")
_UNSTORED = "unstored"  # a call that is not on flash yet


class Figures(Collector):
    """What `Health.snapshot` returns, as prometheus_client collects it."""

    def __init__(self, snapshot: Callable[[], Mapping[str, Any]]) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        """Every family, as things are now."""
        facts = self._snapshot()
        yield InfoMetricFamily("hearth_build", "The hearth that runs.", {"version": __version__})
        yield _gauge("uptime", "Since this machine booted.", facts["uptime_ms"] / 1000, "seconds")
        synchronised = facts["clock"] == "synchronised"
        yield _gauge(
            "clock_synchronised", "Whether the clock is set by a time server.", synchronised
        )
        yield _gauge(
            "testing", "Whether an installer tests: calls are marked so.", facts["testing"]
        )
        yield from _journal(facts["journal"])
        yield from _uplink(facts["uplink"])
        yield from _devices(facts["devices"], facts["uptime_ms"])
        yield _calls(facts["calls"])
        if "mirror" in facts:
            yield from _mirror(facts["mirror"])


def _gauge(name: str, about: str, value: float, unit: str = "") -> Metric:
    return GaugeMetricFamily(f"hearth_{name}", about, float(value), unit=unit)


def _counter(name: str, about: str, value: float, unit: str = "") -> Metric:
    return CounterMetricFamily(f"hearth_{name}", about, float(value), unit=unit)


def _journal(facts: Mapping[str, Any]) -> Iterator[Metric]:
    lanes: Mapping[str, Any] = facts["lanes"]

    def gauge(name: str, about: str, key: str, unit: str = "") -> Metric:
        family = GaugeMetricFamily(f"hearth_journal_{name}", about, labels=["lane"], unit=unit)
        for lane, it in lanes.items():
            family.add_metric([lane], float(bool(it[key]) if key == "failed" else it[key]))
        return family

    def counter(name: str, about: str, key: str) -> Metric:
        about = f"{about}, since the journal was made."
        name = f"hearth_journal_{name}"
        family = CounterMetricFamily(name, about, labels=["lane"], unit="events")
        for lane, it in lanes.items():
            family.add_metric([lane], it[key])
        return family

    yield gauge("backlog", "Accepted and not freed yet.", "backlog", "events")
    yield gauge("unwritten", "In memory alone, because the flash refused.", "unwritten", "events")
    yield gauge("flash_failing", "Whether the flash refuses to write.", "failed")
    yield gauge("segments", "Files of the lane.", "segments")
    yield gauge("free_segments", "Files of the lane with nothing in them.", "free_segments")
    yield counter("accepted", "Events accepted", "accepted")
    yield counter("durable", "Events that got to flash", "durable")
    yield counter("freed", "Events freed: stored at the far side, or given up", "acknowledged")
    written = facts["bytes_written"]
    yield _counter("journal_written", "To flash, since the journal was made.", written, "bytes")
    troubles = len(facts["trouble"]) + len(facts["set_aside"])
    yield _gauge("journal_troubles", "What was found wrong when the journal was opened.", troubles)


def _uplink(facts: Mapping[str, Any]) -> Iterator[Metric]:
    yield _gauge("uplink_connected", "Whether there is a session.", facts["connected"])
    outstanding = facts.get("outstanding", 0)
    yield _gauge("uplink_outstanding", "Sent and not acknowledged yet.", outstanding, "batches")
    acks = CounterMetricFamily(
        "hearth_uplink_acks",
        "Acknowledgements that came, by what became of them.",
        labels=["verdict"],
    )
    for name, count in facts.get("counters", {}).items():
        kind, _, rest = name.partition("_")
        if kind == "acks":
            acks.add_metric([rest], count)
        elif name.startswith("wire_bytes_"):
            rest = name.removeprefix("wire_bytes_")
            about = f"Everything {rest}, with the heads of packets."
            yield _counter(f"uplink_wire_{rest}", about, count, "bytes")
        elif kind in _COUNTED:
            yield _counter(f"uplink_{rest}", f"{rest} since the start.".capitalize(), count, kind)
        else:
            about = f"{name.replace('_', ' ')} since the start.".capitalize()
            yield _counter(f"uplink_{name}", about, count)
    yield acks
    if today := facts.get("today"):
        yield _gauge("uplink_today", "What the link has cost today.", today["spent_bytes"], "bytes")
        limit = today["limit_bytes"]
        yield _gauge("uplink_daily_limit", "What it may cost; 0 is anything.", limit, "bytes")


def _devices(devices: Mapping[str, Any], uptime_ms: int) -> Iterator[Metric]:
    up = GaugeMetricFamily("hearth_device_up", "Whether it answers.", labels=["device"])
    events = CounterMetricFamily(
        "hearth_device", "Events it told, since the start.", labels=["device"], unit="events"
    )
    restarts = CounterMetricFamily(
        "hearth_device_restarts", "Failures of its driver, since the start.", labels=["device"]
    )
    silence = GaugeMetricFamily(
        "hearth_device_silence", "Since its last event.", labels=["device"], unit="seconds"
    )
    for name, it in devices.items():
        up.add_metric([name], float(it["state"] == "online"))
        events.add_metric([name], it["events"])
        restarts.add_metric([name], it["restarts"])
        if it["last_event_uptime_ms"] is not None:
            silence.add_metric([name], max(0, uptime_ms - it["last_event_uptime_ms"]) / 1000)
    yield from (up, events, restarts, silence)


def _calls(calls: list[Mapping[str, Any]]) -> Metric:
    open_calls = GaugeMetricFamily(
        "hearth_calls_open", "Open calls for help, by how far they got.", labels=["state"]
    )
    states = [_UNSTORED, *(state for state in CallState if state not in CALL_ENDED)]
    for state in states:
        matching = [it for it in calls if (it["state"] or _UNSTORED) == state]
        open_calls.add_metric([str(state)], len(matching))
    return open_calls


def _mirror(facts: Mapping[str, Any]) -> Iterator[Metric]:
    yield _gauge("mirror_connected", "Whether the mirror has a session.", facts["connected"])
    yield _gauge("mirror_queued", "Waiting to be mirrored.", facts["queued"], "events")
    yield _counter(
        "mirror_published", "Messages of the mirror that its broker took.", facts["published"]
    )
    yield _counter(
        "mirror_refused", "Messages of the mirror that its broker refused.", facts["refused"]
    )
    yield _counter("mirror_dropped", "Too many waited for the mirror.", facts["dropped"], "events")
