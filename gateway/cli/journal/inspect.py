"""`hearth journal inspect`: what a journal holds, and what it does to its card."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from gateway.cli.journal.export import anchors_of
from gateway.cli.text import size, text
from gateway.journal.wear import AMPLIFICATION, CYCLES

if TYPE_CHECKING:
    import argparse

    from gateway.journal.view import JournalView, LaneView
    from gateway.journal.wear import Wear
    from gateway.model import Stamp

NAME = "inspect"


def summary() -> str:
    """What it does, in a line."""
    return text(
        "lanes, segments, cursors, gaps, wear of the card", "通道、分段、游标、缺口与存储卡磨损"
    )


def options(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("--json", action="store_true", help=text("as JSON", "以 JSON 输出"))
    parser.add_argument(
        "--cycles",
        type=int,
        default=CYCLES,
        metavar="N",
        help=text(
            "how often the card can be erased (assumed: %(default)s)",
            "存储卡可擦写次数（假定 %(default)s）",
        ),
    )
    parser.add_argument(
        "--amplification",
        type=float,
        default=AMPLIFICATION,
        metavar="X",
        help=text(
            "bytes the card writes for each it is given (assumed: %(default)s)",
            "存储卡写放大倍数（假定 %(default)s）",
        ),
    )


def run(arguments: argparse.Namespace) -> int:
    """Print what the journal holds."""
    from gateway.journal.view import view
    from gateway.journal.wear import Wear

    looked = view(arguments.dir)
    wear = Wear(looked.meta.bytes_written, looked.meta.seconds_used) if looked.meta else Wear(0, 0)
    card_bytes = shutil.disk_usage(arguments.dir).total
    years = wear.life_years(card_bytes, arguments.cycles, arguments.amplification)
    if arguments.json:
        print(json.dumps(_facts(looked, wear, card_bytes, years)))
        return 0
    if looked.meta:
        print(f"{text('journal', '日志')} {looked.meta.journal.hex()}")
        print(_wear_line(wear, card_bytes, years))
    else:
        print(
            text("meta is damaged; it is rebuilt at the next start", "meta 已损坏，下次启动时重建")
        )
    anchors = anchors_of(looked.lanes)
    for lane in looked.lanes:
        _print_lane(lane, anchors)
    return 0


def _wear_line(wear: Wear, card_bytes: int, years: float | None) -> str:
    days = wear.seconds_used / 86_400
    written = text(
        f"written to flash: {size(wear.bytes_written)} in {days:.1f} days of use",
        f"累计写入：{size(wear.bytes_written)}，使用 {days:.1f} 天",
    )
    if years is None:
        return written + text(
            "; too early to say how long the card lasts", "；使用时间太短，无法估计寿命"
        )
    lasts = (
        text("over 100 years", "超过 100 年")
        if years > 100
        else f"{years:.1f} " + text("years", "年")
    )
    return written + text(
        f"; a card of {size(card_bytes)} lasts {lasts} at that",
        f"；按此速度，{size(card_bytes)} 的存储卡可用 {lasts}",
    )


def _print_lane(lane: LaneView, anchors: dict[bytes, Stamp]) -> None:
    print(
        f"{lane.lane.name.lower()}: "
        + text(
            f"{len(lane.entries)} waiting (acknowledged through {lane.acknowledged},"
            f" newest {lane.last}), {lane.free} free segments",
            f"待上传 {len(lane.entries)}（已确认至 {lane.acknowledged}，最新 {lane.last}），"
            f"空闲分段 {lane.free}",
        )
    )
    if oldest := _oldest(lane, anchors):
        print(f"  {text('oldest waiting', '最早待上传')}: {_moment(oldest)}")
    for segment in lane.segments:
        print(
            f"  {segment.name}  #{segment.number}  {segment.first}..{segment.last}"
            f"  {size(segment.used_bytes)}"
        )
        for first, last in segment.lost:
            print(f"    {text('damaged', '损坏')}: {first}..{last}")
    for gap in lane.gaps:
        print(f"  {text('gap', '缺口')}: {gap.first}..{gap.last} ({gap.reason})")


def _oldest(lane: LaneView, anchors: dict[bytes, Stamp]) -> Stamp | None:
    """When the oldest event that waits happened."""
    from gateway.clock import anchored
    from gateway.codec import decode_event

    if not lane.entries:
        return None
    stamp = decode_event(lane.entries[0].payload).stamp
    return anchored(stamp, anchors.get(stamp.boot))


def _moment(stamp: Stamp) -> str:
    from gateway.model import TimeQuality

    when = datetime.fromtimestamp(stamp.wall_ms / 1000, UTC).astimezone()
    shown = when.isoformat(" ", "seconds")
    if stamp.quality is TimeQuality.UNKNOWN:
        shown += text(" (the clock was not set)", "（时钟未校准）")
    return shown


def _facts(looked: JournalView, wear: Wear, card_bytes: int, years: float | None) -> dict[str, Any]:
    import msgspec

    anchors = anchors_of(looked.lanes)
    lanes = {}
    for lane in looked.lanes:
        oldest = _oldest(lane, anchors)
        lanes[lane.lane.name.lower()] = {
            "acknowledged": lane.acknowledged,
            "newest": lane.last,
            "waiting": len(lane.entries),
            "oldest_wall_ms": oldest.wall_ms if oldest else None,
            "oldest_time_quality": oldest.quality.name.lower() if oldest else None,
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
        "seconds_used": meta.seconds_used if meta else None,
        "bytes_a_day": round(wear.bytes_a_day) if wear.known else None,
        "card_bytes": card_bytes,
        "card_life_years": round(years, 1) if years is not None else None,
        "lanes": lanes,
    }
