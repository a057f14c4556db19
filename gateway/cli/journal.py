"""`hearth journal`: look into a journal, also while its daemon writes. Never changes anything."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from gateway.cli.text import size, text

if TYPE_CHECKING:
    import argparse

    from gateway.journal.view import JournalView, LaneView
    from gateway.model import Stamp


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("journal", help=text("look into a journal", "查看事件日志"))
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    for name, action, help_text in (
        ("inspect", inspect, text("lanes, segments, cursors, gaps", "通道、分段、游标与缺口")),
        ("verify", verify, text("read and check every record", "读取并校验每条记录")),
        ("export", export, text("events as a CBOR sequence or JSON lines", "导出事件")),
    ):
        sub = actions.add_parser(name, help=help_text)
        sub.add_argument("dir", metavar="DIR", help=text("the journal's folder", "日志目录"))
        sub.set_defaults(run=action)
        if name != "verify":
            sub.add_argument("--json", action="store_true", help=text("as JSON", "以 JSON 输出"))


def inspect(arguments: argparse.Namespace) -> int:
    """Print what the journal holds."""
    from gateway.journal.view import view

    looked = view(arguments.dir)
    if arguments.json:
        print(json.dumps(_facts(looked)))
        return 0
    if looked.meta:
        written = size(looked.meta.bytes_written)
        print(f"{text('journal', '日志')} {looked.meta.journal.hex()}")
        print(f"{text('written to flash', '累计写入')}: {written}")
    else:
        print(
            text("meta is damaged; it is rebuilt at the next start", "meta 已损坏,下次启动时重建")
        )
    for lane in looked.lanes:
        _print_lane(lane)
    return 0


def verify(arguments: argparse.Namespace) -> int:
    """Check every needed record; 1 if something is lost that no gap event tells of."""
    from gateway.journal.view import view

    looked = view(arguments.dir)
    untold = 0
    for lane in looked.lanes:
        untold += len(lane.untold)
        good = len(lane.entries)
        name = lane.lane.name.lower()
        print(
            text(
                f"{name}: {good} events intact, {len(lane.gaps)} gaps told",
                f"{name}:{good} 条事件完好,已报告缺口 {len(lane.gaps)} 处",
            )
        )
        for first, last in lane.untold:
            print(f"  {text('damaged, not told yet', '损坏,尚未报告')}: {first}..{last}")
        for aside in lane.aside:
            print(f"  {text('set aside', '已隔离')}: {aside}")
    return 1 if untold else 0


def export(arguments: argparse.Namespace) -> int:
    """Write every event that still waits: a CBOR sequence (RFC 8742), or JSON lines."""
    from gateway.journal.view import view

    looked = view(arguments.dir)
    if not arguments.json:
        for lane in looked.lanes:
            sys.stdout.buffer.writelines(entry.payload for entry in lane.entries)
        sys.stdout.buffer.flush()
        return 0
    anchors = _anchors(looked)
    for lane in looked.lanes:
        for entry in lane.entries:
            print(json.dumps(_event(lane, entry.seq, entry.payload, anchors), ensure_ascii=False))
    return 0


def _print_lane(lane: LaneView) -> None:
    print(
        f"{lane.lane.name.lower()}: "
        + text(
            f"{len(lane.entries)} waiting (acknowledged through {lane.acknowledged},"
            f" newest {lane.last}), {lane.free} free segments",
            f"待上传 {len(lane.entries)}(已确认至 {lane.acknowledged},最新 {lane.last}),"
            f"空闲分段 {lane.free}",
        )
    )
    for segment in lane.segments:
        print(
            f"  {segment.name}  #{segment.number}  {segment.first}..{segment.last}"
            f"  {size(segment.used_bytes)}"
        )
        for first, last in segment.lost:
            print(f"    {text('damaged', '损坏')}: {first}..{last}")
    for gap in lane.gaps:
        print(f"  {text('gap', '缺口')}: {gap.first}..{gap.last} ({gap.reason})")


def _facts(looked: JournalView) -> dict[str, Any]:
    import msgspec

    lanes = {}
    for lane in looked.lanes:
        lanes[lane.lane.name.lower()] = {
            "acknowledged": lane.acknowledged,
            "newest": lane.last,
            "waiting": len(lane.entries),
            "free_segments": lane.free,
            "set_aside": list(lane.aside),
            "segments": [msgspec.to_builtins(segment) for segment in lane.segments],
            "gaps": [[gap.first, gap.last, gap.reason] for gap in lane.gaps],
            "untold": lane.untold,
        }
    meta = looked.meta
    return {
        "journal": meta.journal.hex() if meta else None,
        "bytes_written": meta.bytes_written if meta else None,
        "lanes": lanes,
    }


def _anchors(looked: JournalView) -> dict[bytes, Stamp]:
    """For each boot that has one, the stamp that ties its boot time to true time."""
    from gateway.codec import decode_event
    from gateway.model import Kind

    found = {}
    for lane in looked.lanes:
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
