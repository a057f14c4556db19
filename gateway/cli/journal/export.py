"""`hearth journal export`: every event that still waits, for other programs to read."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from gateway.cli.text import text

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from gateway.journal.view import LaneView
    from gateway.model import Stamp

NAME = "export"


def summary() -> str:
    """What it does, in a line."""
    return text("events as a CBOR sequence or JSON lines", "导出事件")


def options(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("--json", action="store_true", help=text("as JSON lines", "以 JSON 行输出"))


def run(arguments: argparse.Namespace) -> int:
    """Write every event that still waits: a CBOR sequence (RFC 8742), or JSON lines."""
    from gateway.journal.view import view

    looked = view(arguments.dir)
    if not arguments.json:
        for lane in looked.lanes:
            sys.stdout.buffer.writelines(entry.payload for entry in lane.entries)
        sys.stdout.buffer.flush()
        return 0
    anchors = anchors_of(looked.lanes)
    for lane in looked.lanes:
        for entry in lane.entries:
            print(json.dumps(_event(lane, entry.seq, entry.payload, anchors), ensure_ascii=False))
    return 0


def anchors_of(lanes: Iterable[LaneView]) -> dict[bytes, Stamp]:
    """For each boot that has one, the stamp that ties its boot time to true time."""
    from gateway.codec import decode_event
    from gateway.model import Kind

    found = {}
    for lane in lanes:
        for entry in lane.entries:
            event = decode_event(entry.payload)
            if event.kind is Kind.ANCHOR:
                found[event.stamp.boot] = event.stamp
    return found


def _event(lane: LaneView, seq: int, payload: bytes, anchors: dict[bytes, Stamp]) -> dict[str, Any]:
    import msgspec

    from gateway.clock import anchored
    from gateway.codec import decode_event

    event = decode_event(payload)
    stamp = anchored(event.stamp, anchors.get(event.stamp.boot))
    return {
        "lane": lane.lane.name.lower(),
        "seq": seq,
        "kind": event.kind.name.lower(),
        "device": event.device,
        "wall_ms": stamp.wall_ms,
        "time_quality": stamp.quality.name.lower(),
        "boot": stamp.boot.hex(),
        "uptime_ms": stamp.uptime_ms,
        "measurements": [msgspec.to_builtins(m) for m in event.measurements],
        "labels": event.labels,
        "detail": event.detail,
    }
