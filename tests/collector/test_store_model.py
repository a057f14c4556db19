"""Both stores against a model of a few lines, fed the same batches in any order."""

import random
from contextlib import ExitStack, closing
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st
from store_kit import ask, delivery, row
from store_model import ModelStore, same_json

from collector.storage import words
from collector.store import open_store
from gateway.codec import observe_gap
from gateway.model import Event, Gap, Kind, Lane, Measurement, Stamp, TimeQuality

NOW_MS = 1_800_000_000_000
WALL = 1_700_000_000_000
OUTPUTS = ("screen", "webhook")
JOURNALS = {bytes([n] * 16): gateway for n, gateway in enumerate(("a", "a", "b"), 1)}
COLUMNS = "journal, gateway, lane, seq, device, kind, time, time_quality, boot, uptime, digest"


def detail_of(kind, rng):
    match kind:
        case Kind.GAP:
            first = rng.randint(1, 30)
            lane = rng.choice(list(Lane))
            whole = observe_gap(Gap(lane, first, first + rng.randint(0, 6), "quota")).detail
            return whole if rng.random() < 0.8 else {"lane": "urgent"}
        case Kind.FAULT:
            return {"fault": rng.choice(["wire", "stuck"]), "active": rng.random() < 0.5}
        case Kind.DEVICE:
            return {"state": rng.choice(["online", "offline", "failed"])}
        case Kind.GATEWAY:
            alive = {"state": "alive", "quiet_after_s": rng.randint(60, 90)}
            return rng.choice(
                [alive, {"state": "started", "version": f"0.{rng.randint(1, 9)}"}, {}]
            )
    return rng.choice([{}, {"note": "厨\0房\\u0000", "n": rng.randint(-(2**63), 2**63 - 1)}])


def event_of(world, journal, lane, seq, variant):
    """The same event for the same place, in one world."""
    rng = random.Random(f"{world} {journal} {lane} {seq} {variant}")
    kind = rng.choice([*Kind, Kind.MEASUREMENT, Kind.ANCHOR, Kind.FAULT, Kind.GATEWAY])
    quality = rng.choice(list(TimeQuality))
    stamp = Stamp(
        bytes([rng.randint(0, 1)] * 8), rng.randint(-5, 5000), WALL + rng.randint(0, 9), quality
    )
    measured = (Measurement("volume", rng.choice([0.1, 7, -1e-9, 1e300, "x", True]), "m3"),)
    if kind is Kind.GATEWAY and rng.random() < 0.5:
        measured = (
            Measurement("backlog_urgent", rng.randint(0, 9)),
            Measurement("backlog_routine", 3),
        )
    device = rng.choice(["meter-1", "band-1"])
    return Event(kind, device, stamp, measured, {"room": "厨房"}, detail_of(kind, rng))


spans = st.tuples(
    st.sampled_from(sorted(JOURNALS)),
    st.sampled_from(list(Lane)),
    st.integers(1, 25),
    st.integers(1, 8),
    st.sampled_from([0, 0, 0, 0, 1, 2]),  # another event under the same seq is rare
    st.sampled_from([None, None, None, None, "renamed"]),
)


def deliveries_of(world, group):
    return [
        delivery(
            *(
                row(seq, event_of(world, journal, lane, seq, variant))
                for seq in range(first, first + count)
            ),
            lane=lane,
            journal=journal,
            gateway=gateway or JOURNALS[journal],
        )
        for journal, lane, first, count, variant, gateway in group
    ]


def rows_of(url):
    query = f"SELECT {COLUMNS}, CAST(body AS TEXT) FROM events"
    return sorted((*rest, same_json(body)) for *rest, body in ask(url, query))


def line_of(url):
    rows = ask(url, "SELECT output, journal, lane, seq FROM due ORDER BY id")
    return [(output, (bytes.fromhex(j), Lane[lane.upper()], seq)) for output, j, lane, seq in rows]


@given(world=st.integers(0, 2**32), groups=st.lists(st.lists(spans, max_size=5), max_size=8))
@settings(max_examples=40, deadline=None)
def test_both_stores_hold_what_the_model_holds(new_url, world, groups):
    urls = [new_url("sqlite"), new_url("postgres")]
    with ExitStack() as stack:
        stores = [stack.enter_context(closing(open_store(url, outputs=OUTPUTS))) for url in urls]
        compare(stores, urls, world, groups)


def compare(stores, urls, world, groups):
    model = ModelStore(OUTPUTS)
    for number, group in enumerate(groups):
        now_ms = NOW_MS + number
        deliveries = deliveries_of(world, group)
        expected = model.commit(deliveries, now_ms)
        with patch.object(words.time, "time_ns", lambda now_ms=now_ms: now_ms * 1_000_000):
            assert [store.commit(deliveries, []) for store in stores] == [expected] * 2
    rows, books, fleet = model.rows(), model.books(), model.fleet()
    for url, store in zip(urls, stores, strict=True):
        assert rows_of(url) == rows
        assert store.books() == books
        assert store.fleet() == fleet
        assert line_of(url) == model.line
