"""The collector's figures, as Prometheus reads them."""

from __future__ import annotations

import asyncio

import pytest
from brokers import event_of, until
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from store_kit import R, U, batch, call_row, delivery, events, refusal

from collector import metrics
from collector.assembly import Assembly
from collector.outputs.port import TOLD
from collector.store import open_store
from gateway.errors import StoreError
from gateway.model import Kind
from gateway.settings import UplinkSettings

NOWHERE = UplinkSettings(url="mqtt://127.0.0.1:1")


class Nod:
    """An output that is content with everything."""

    name, width, in_order = "webhook", 8, False

    async def tell(self, alarm):
        return TOLD

    async def close(self):
        pass


@pytest.fixture
async def assembly(store_url):
    store = open_store(store_url, outputs=("webhook", "lines"))
    yield Assembly(NOWHERE, store, [Nod()])
    store.close()


def read(figures):
    """Every sample by name and labels, read strictly."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(figures)
    text = generate_latest(registry).decode()
    samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            samples[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return samples


async def look(figures):
    looking = asyncio.create_task(figures.keep_looking())
    await until(lambda: figures._sight is not None)
    looking.cancel()
    await asyncio.wait([looking])


async def test_what_is_there_before_anything_happened(assembly):
    samples = read(assembly.figures())
    for name in ("stored_events", "duplicates_events", "conflicts_events", "acks", "sessions"):
        assert samples[f"hearth_collector_{name}_total"] == 0
    assert samples["hearth_collector_connected{lane=urgent}"] == 0
    assert samples["hearth_collector_connected{lane=routine}"] == 0
    assert samples["hearth_collector_commit_seconds_count"] == 0
    assert not any(name.startswith("hearth_fleet") for name in samples), "the store was not asked"


async def test_what_was_stored_refused_and_told(assembly):
    commit = assembly.collector._ingest._store.commit
    commit([delivery(call_row(1), call_row(2), lane=U), batch(1, 3)], [refusal(1)])
    fault = event_of(4, Kind.FAULT, measurements=(), detail={"fault": "x", "active": True})
    gone = event_of(5, Kind.DEVICE, measurements=(), detail={"state": "offline"})
    commit([events(fault, gone, first=4, lane=R)], [])
    figures = assembly.figures()
    await look(figures)
    samples = read(figures)
    assert samples["hearth_collector_commit_seconds_count"] == 2
    assert samples["hearth_collector_commit_seconds_bucket{le=+Inf}"] == 2
    assert samples["hearth_collector_commit_seconds_sum"] > 0
    assert samples["hearth_collector_output_waiting{output=webhook}"] == 2
    assert samples["hearth_collector_output_waiting{output=lines}"] == 2
    assert 0 <= samples["hearth_collector_output_oldest_seconds{output=lines}"] < 10
    assert samples["hearth_fleet_gateways{state=quiet}"] == 0
    assert samples["hearth_fleet_gateways{state=heard}"] == 1
    assert samples["hearth_fleet_faults"] == 1
    assert samples["hearth_fleet_devices_offline"] == 1
    (teller,) = assembly.tellers
    telling = asyncio.create_task(teller.run())
    await until(lambda: teller.counts.told == 2)
    await look(figures)
    samples = read(figures)
    telling.cancel()
    await asyncio.wait([telling])
    assert samples["hearth_collector_output_delivered_total{output=webhook}"] == 2
    assert samples["hearth_collector_output_failed_total{output=webhook}"] == 0
    assert samples["hearth_collector_output_given_up_total{output=webhook}"] == 0


async def test_a_store_that_cannot_be_asked_gives_no_old_figures(assembly, monkeypatch):
    figures = assembly.figures()
    await look(figures)
    assert "hearth_fleet_faults" in read(figures)
    monkeypatch.setattr(metrics, "LOOK_EVERY_S", 0.01)

    def refuse():
        raise StoreError("gone")

    monkeypatch.setattr(assembly.store, "fleet", refuse)
    looking = asyncio.create_task(figures.keep_looking())
    await until(lambda: figures._sight is None)
    looking.cancel()
    await asyncio.wait([looking])
    assert "hearth_fleet_faults" not in read(figures)


async def test_reasons_of_refusal_are_labels(assembly):
    from collector.ingest import Intake

    assembly.collector._ingest.keep(Intake((batch(1, 2),), (refusal(1), refusal(2))))
    samples = read(assembly.figures())
    assert samples["hearth_collector_refused_total{reason=malformed}"] == 2
    assert samples["hearth_collector_stored_events_total"] == 2
