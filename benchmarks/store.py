"""The store: events a second into SQLite and PostgreSQL, and how long a fleet view takes.

python -m benchmarks.store [--events N] [--only sqlite|postgres]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.report import Figure, show, skip
from collector.delivery import Delivery, Row, row_of
from collector.store import Store, open_store
from gateway.cli.main import SWITCH_INTERVAL_S
from gateway.codec import encode_event
from gateway.model import Event, Kind, Lane, Measurement, Stamp, TimeQuality

if TYPE_CHECKING:
    from collections.abc import Iterator

BATCH_EVENTS = 140  # what 16 KiB hold of the readings below
GROUPS = (140, 2000)
WALL_MS = 1_700_000_000_000
BOOT = bytes(8)
GATEWAYS = 2000
FLEET_EVENTS = 100  # a gateway's, seven of which tell how it is

# Events a second. SQLite: 8 us each in large groups; a call's turn is small and may cost more.
LIMITS = {
    ("sqlite", 140): 60_000,
    ("sqlite", 2000): 125_000,
    ("postgres", 140): 15_000,
    ("postgres", 2000): 25_000,
}
FLEET_LIMIT_S = 0.5


def _row(seq: int, kind: Kind, device: str, **detail: object) -> Row:
    stamp = Stamp(BOOT, seq * 1000, WALL_MS + seq * 1000, TimeQuality.SYNCHRONISED)
    measurements = (
        Measurement("volume", 12.345 + seq / 1000, "m3"),
        Measurement("flow", 1e-4, "m3/s"),
    )
    event = Event(kind, device, stamp, measurements, {"room": "kitchen"}, detail)
    return row_of(seq, event, encode_event(event))


def readings(count: int) -> list[Row]:
    """Readings of a meter: 107 bytes, two measurements, one label."""
    return [_row(seq, Kind.MEASUREMENT, "meter-kitchen") for seq in range(1, count + 1)]


def groups_of(rows: list[Row], size: int) -> Iterator[list[Delivery]]:
    """Deliveries of neighbouring events, so many events a group."""
    for start in range(0, len(rows), size):
        group = rows[start : start + size]
        yield [
            Delivery("", "gw-1", bytes(16), Lane.ROUTINE, tuple(group[at : at + BATCH_EVENTS]))
            for at in range(0, len(group), BATCH_EVENTS)
        ]


def ingest(name: str, store: Store, rows: list[Row], size: int) -> Figure:
    """Commit them all, from one thread."""
    started, busy = time.perf_counter(), time.process_time()
    for group in groups_of(rows, size):
        store.commit(group, ())
    took_s, busy_s = time.perf_counter() - started, time.process_time() - busy
    note = (
        f"{1e6 * took_s / len(rows):.1f} us an event, {1e6 * busy_s / len(rows):.1f} of them ours"
    )
    limit = LIMITS[name, size]
    return Figure(f"{name}, groups of {size}", len(rows) / took_s, "events/s", limit, "more", note)


def fleet(name: str, store: Store) -> Figure:
    """How all of 2,000 gateways are."""
    own = [
        _row(1, Kind.GATEWAY, "gateway", state="started", version="0.1.0"),
        _row(2, Kind.FAULT, "meter-1", fault="withheld", active=True),
        _row(3, Kind.FAULT, "meter-2", fault="withheld", active=True),
        _row(4, Kind.DEVICE, "band-1", state="offline"),
        _row(5, Kind.DEVICE, "band-2", state="online"),
        _row(6, Kind.GATEWAY, "gateway", state="alive", quiet_after_s=300.0),
    ]
    more = [_row(seq, Kind.MEASUREMENT, "meter-kitchen") for seq in range(7, FLEET_EVENTS + 1)]
    for first in range(0, GATEWAYS, 20):
        numbers = range(first, min(first + 20, GATEWAYS))
        rows = (*own, *more)
        store.commit(
            [
                Delivery("", f"gw-{n}", n.to_bytes(16, "little"), Lane.ROUTINE, rows)
                for n in numbers
            ],
            (),
        )
    started = time.perf_counter()
    found = store.fleet()
    took_s = time.perf_counter() - started
    note = f"{len(found)} gateways, {GATEWAYS * FLEET_EVENTS} events"
    return Figure(f"{name}, how a fleet is", took_s, "s", FLEET_LIMIT_S, "less", note)


def measure(name: str, urls: Iterator[str], rows: list[Row]) -> Iterator[Figure]:
    """All figures of one kind of store, each in a database of its own."""
    for size in GROUPS:
        with closing(open_store(next(urls))) as store:
            yield ingest(name, store, rows, size)
    with closing(open_store(next(urls))) as store:
        yield fleet(name, store)


def sqlite_urls(folder: str) -> Iterator[str]:
    """New files."""
    for number in range(len(GROUPS) + 1):
        yield f"sqlite://{folder}/{number}.db"


def postgres_urls(stack: ExitStack) -> Iterator[str]:
    """New databases on a server that is started for it."""
    sys.path.append(str(Path(__file__).parents[1] / "tests" / "rigs"))
    from postgres_server import PostgresServer

    server = stack.enter_context(PostgresServer())
    while True:
        yield server.url(server.new_database())


def why_not_postgres() -> str:
    """Why it cannot be measured here."""
    sys.path.append(str(Path(__file__).parents[1] / "tests" / "rigs"))
    from postgres_server import why_no_postgresql

    return why_no_postgresql()


def main(events: int = 200_000, only: str = "") -> int:
    """Print all figures; how many missed."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)  # as the collector does
    rows, missed = readings(events), 0
    with ExitStack() as stack:
        if only in ("", "sqlite"):
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="hearth-bench-"))
            missed += show([*measure("sqlite", sqlite_urls(folder), rows)])
        if only in ("", "postgres"):
            if reason := why_not_postgres():
                skip("postgres", reason)
            else:
                missed += show([*measure("postgres", postgres_urls(stack), rows)])
    return missed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--only", choices=["sqlite", "postgres"], default="")
    arguments = parser.parse_args()
    raise SystemExit(main(arguments.events, arguments.only))
