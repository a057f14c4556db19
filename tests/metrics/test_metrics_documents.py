"""The documents, in both languages, name every figure that is exported, and none that is not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from collector.assembly import Assembly
from collector.outputs.port import TOLD
from collector.store import open_store
from gateway.forwarding.forwarder import Forwarder
from gateway.metrics import Figures
from gateway.settings import UplinkSettings

DOCS = Path(__file__).parents[2] / "docs"
GATEWAY = [("metrics.md", "The gateway"), ("metrics.zh.md", "网关")]
COLLECTOR = [("collector.md", "Prometheus"), ("collector.zh.md", "Prometheus")]
NOWHERE = UplinkSettings(url="mqtt://127.0.0.1:1")
LAST = {"counter": "_total", "info": "_info"}  # what OpenMetrics puts behind the family's name

LANE = {
    "accepted": 7, "durable": 6, "acknowledged": 4, "segments": 8, "free_segments": 6,
    "unwritten": 1, "failed": "", "backlog": 3,
}  # fmt: skip
DEVICE = {"state": "online", "restarts": 0, "events": 4, "last_event_uptime_ms": 60_000}


class Nod:
    """An output that is content with everything."""

    name, width, in_order = "webhook", 8, False

    async def tell(self, alarm):
        return TOLD

    async def close(self):
        pass


def exported(families) -> set[str]:
    """The names by which one asks for them; a histogram goes by its family's."""
    return {it.name + LAST.get(it.type, "") for it in families}


def documented(text: str) -> set[str]:
    return set(re.findall(r"\bhearth_\w+", text))


def section(name: str, title: str) -> str:
    """The part of a document under a heading, up to the next of its kind."""
    parts = re.split(r"^## ", (DOCS / name).read_text("utf-8"), flags=re.MULTILINE)
    return next(it for it in parts if it.startswith(f"{title}\n"))


@pytest.mark.parametrize(("name", "title"), GATEWAY)
async def test_the_gateways_document_names_what_it_exports(name, title):
    snapshot = {
        "uptime_ms": 61_500,
        "clock": "unknown",
        "testing": False,
        "journal": {"bytes_written": 1, "set_aside": [], "trouble": [], "lanes": {"urgent": LANE}},
        "uplink": {
            "connected": True,
            "outstanding": 2,
            "counters": Forwarder("g", NOWHERE, []).counters,
            "today": {"spent_bytes": 5, "limit_bytes": 0, "exhausted": False},
        },
        "calls": [],
        "devices": {"bed": DEVICE},
        "mirror": {"connected": True, "queued": 0, "published": 1, "refused": 0, "dropped": 0},
    }
    assert documented(section(name, title)) == exported(Figures(lambda: snapshot).collect())


@pytest.mark.parametrize(("name", "title"), GATEWAY)
async def test_the_document_names_every_verdict_on_an_acknowledgement(name, title):
    counters = Forwarder("g", NOWHERE, []).counters
    verdicts = {it.removeprefix("acks_") for it in counters if it.startswith("acks_")}
    lines = section(name, title).splitlines()
    (row,) = [it for it in lines if it.startswith("| `hearth_uplink_acks_total`")]
    assert set(re.findall(r"`([a-z_]+)`", row)) - {"hearth_uplink_acks_total"} == verdicts


@pytest.fixture
def store(tmp_path):
    opened = open_store(f"sqlite:///{tmp_path}/events.db", outputs=("webhook",))
    yield opened
    opened.close()


@pytest.mark.parametrize(("name", "title"), COLLECTOR)
async def test_the_collectors_document_names_what_it_exports(store, name, title):
    figures = Assembly(NOWHERE, store, [Nod()]).figures()
    figures._sight = figures._look()
    assert documented(section(name, title)) == exported(figures.collect())
