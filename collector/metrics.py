"""The collector's figures for Prometheus, named as OpenMetrics wants them.

Nothing here is labelled by gateway: a fleet of 100,000 would be as many series of each. Who wants
to know which ones asks `hearth fleet`.
"""

from __future__ import annotations

import asyncio
import time
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)

from collector.condition import condition_of
from collector.watched import COMMIT_BOUNDS_S
from gateway import __version__
from gateway.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from prometheus_client.core import Metric

    from collector.due import Waiting
    from collector.fleet import GatewayFacts
    from collector.outputs.teller import Teller
    from collector.service import Collector
    from collector.watched import WatchedStore, WatchedUplink

# What the store has to be asked for is asked so often, and not by whoever scrapes: it is a look
# through all gateways. Prometheus scrapes every 15 to 60 s.
LOOK_EVERY_S = 15.0

_REFUSED = "refused_"
_COUNTERS = {
    "batches": "Batches that were judged.",
    "not_kept": "Batches of which nothing was stored.",
    "sessions": "Sessions with the broker.",
    "sessions_failed": "Sessions that failed.",
    "dropped": "Messages dropped before they were judged; their gateways send them again.",
    "store_errors": "Times the store refused.",
    "acks": "Acknowledgements sent.",
    "acks_refused": "Acknowledgements that the broker refused.",
    "offers_refused": "Offers that the broker refused: gateways then do not pack.",
}
_EVENTS = {
    "stored": "Events stored.",
    "duplicates": "Events that came again.",
    "conflicts": "Other events under a name that was taken.",
}


class Sight(NamedTuple):
    """What the store said when it was asked last."""

    fleet: Sequence[GatewayFacts]
    waiting: Sequence[Waiting]
    at_ms: int


class CollectorFigures:
    """A collector for prometheus_client, of the collector and what is around it."""

    def __init__(
        self,
        collector: Collector,
        store: WatchedStore,
        uplinks: Sequence[WatchedUplink],
        tellers: Sequence[Teller],
    ) -> None:
        self._collector = collector
        self._store = store
        self._uplinks = uplinks
        self._tellers = tellers
        self._sight: Sight | None = None  # None while the store cannot be asked

    async def keep_looking(self) -> None:
        """Ask the store now and then, on a thread, until cancelled."""
        while True:
            try:
                self._sight = await asyncio.to_thread(self._look)
            except StoreError:
                self._sight = None  # better no figure than an old one
            await asyncio.sleep(LOOK_EVERY_S)

    def _look(self) -> Sight:
        at_ms = time.time_ns() // 1_000_000
        return Sight(self._store.fleet(), self._store.waiting(), at_ms)

    def collect(self) -> Iterator[Metric]:
        """Every family, as things are now."""
        yield InfoMetricFamily("hearth_build", "The hearth that runs.", {"version": __version__})
        yield from _intake(self._collector.counters)
        connected = _gauge("collector_connected", "Whether the lane has a session.", "lane")
        for uplink in self._uplinks:
            connected.add_metric([uplink.lane], float(uplink.connected))
        yield connected
        yield self._commits()
        yield from self._outputs()
        if self._sight is not None:
            yield from _lines(self._sight)
            yield from _fleet(self._sight)

    def _commits(self) -> Metric:
        counts = list(accumulate(self._store.commit_counts))
        bounds = [*(str(bound) for bound in COMMIT_BOUNDS_S), "+Inf"]
        family = HistogramMetricFamily(
            "hearth_collector_commit", "How long a commit takes.", unit="seconds"
        )
        buckets = list(zip(bounds, counts, strict=True))
        family.add_metric([], buckets, sum_value=self._store.commit_seconds)
        return family

    def _outputs(self) -> Iterator[Metric]:
        told = _counter("collector_output_delivered", "Alarms that were told.", "output")
        failed = _counter("collector_output_failed", "Tries that failed.", "output")
        given_up = _counter("collector_output_given_up", "Alarms that were given up.", "output")
        for teller in self._tellers:
            name, counts = [teller.output.name], teller.counts
            told.add_metric(name, counts.told)
            failed.add_metric(name, counts.failed)
            given_up.add_metric(name, counts.given_up)
        yield from (told, failed, given_up)


def _gauge(name: str, about: str, label: str, unit: str = "") -> GaugeMetricFamily:
    return GaugeMetricFamily(f"hearth_{name}", about, labels=[label], unit=unit)


def _counter(name: str, about: str, label: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"hearth_{name}", about, labels=[label])


def _intake(counters: Mapping[str, int]) -> Iterator[Metric]:
    for name, about in _EVENTS.items():
        full = f"hearth_collector_{name}"
        yield CounterMetricFamily(full, about, counters[name], unit="events")
    for name, about in _COUNTERS.items():
        yield CounterMetricFamily(f"hearth_collector_{name}", about, counters[name])
    refused = _counter("collector_refused", "What was not stored as events, by reason.", "reason")
    for name, count in counters.items():
        if name.startswith(_REFUSED):
            refused.add_metric([name.removeprefix(_REFUSED)], count)
    yield refused


def _lines(sight: Sight) -> Iterator[Metric]:
    waiting = _gauge("collector_output_waiting", "Alarms in line.", "output")
    oldest = _gauge(
        "collector_output_oldest", "How long the oldest in line waits.", "output", "seconds"
    )
    for line in sight.waiting:
        waiting.add_metric([line.output], line.count)
        since_ms = sight.at_ms if line.since_ms is None else line.since_ms
        oldest.add_metric([line.output], max(0, sight.at_ms - since_ms) / 1000)
    yield from (waiting, oldest)


def _fleet(sight: Sight) -> Iterator[Metric]:
    quiet = sum(condition_of(it, sight.at_ms).quiet for it in sight.fleet)
    gateways = _gauge("fleet_gateways", "Gateways, by whether they are heard.", "state")
    gateways.add_metric(["heard"], len(sight.fleet) - quiet)
    gateways.add_metric(["quiet"], quiet)
    yield gateways
    faults = sum(len(it.faults) for it in sight.fleet)
    yield GaugeMetricFamily("hearth_fleet_faults", "Faults that are not over.", faults)
    offline = sum(len(it.offline) for it in sight.fleet)
    yield GaugeMetricFamily("hearth_fleet_devices_offline", "Devices that are not there.", offline)
