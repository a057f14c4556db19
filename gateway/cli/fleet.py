"""`hearth fleet`: every gateway in a line, those first that somebody should look after."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gateway.cli.table import table
from gateway.cli.text import span, text

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from collector.condition import Condition


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "fleet",
        help=text("how the gateways are that a collector hears", "查看收集服务所辖网关的状况"),
    )
    parser.add_argument(
        "--store", required=True, metavar="URL", help=text("the collector's", "收集服务的数据库")
    )
    parser.add_argument(
        "--attention",
        action="store_true",
        help=text("only those that need attention", "只列出需要关注的网关"),
    )
    parser.add_argument("--json", action="store_true", help=text("as JSON", "以 JSON 输出"))
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the fleet; 1 if a gateway is quiet or says that something is broken."""
    from collector.condition import conditions_of
    from collector.store import open_store

    store = open_store(arguments.store)
    try:
        fleet = store.fleet()
    finally:
        store.close()
    found = conditions_of(fleet, time.time_ns() // 1_000_000)
    alarming = [it for it in found if it.needs_attention]
    shown = alarming if arguments.attention else found
    if arguments.json:
        print(json.dumps([facts(it) for it in shown], ensure_ascii=False))
    else:
        print(page(shown, len(found), len(alarming)))
    return 1 if alarming else 0


def facts(it: Condition) -> dict[str, object]:
    """One gateway as plain values."""
    return {
        "gateway": it.facts.gateway,
        "needs_attention": it.needs_attention,
        "quiet": it.quiet,
        "heard_ms": it.facts.heard_ms,
        "silent_s": it.silent_s,
        "quiet_after_s": it.facts.quiet_after_s,
        "clock": it.facts.clock,
        "backlog": {"urgent": it.facts.backlog_urgent, "routine": it.facts.backlog_routine},
        "version": it.facts.version,
        "faults": [{"device": device, "fault": fault} for device, fault in it.facts.faults],
        "offline": list(it.facts.offline),
    }


def page(shown: Sequence[Condition], known: int, alarming: int) -> str:
    """A table, and a sentence about the whole."""
    if not known:
        return text("no gateway has sent anything yet", "还没有网关上传过数据")
    lines = table([_heads(), *(_cells(it) for it in shown)]) if shown else []
    if alarming:
        last = f"{alarming} of {known} gateways need attention"
        return "\n".join([*lines, text(last, f"{known} 个网关中有 {alarming} 个需要关注")])
    last = f"all {known} gateways are heard, and none has a fault"
    return "\n".join([*lines, text(last, f"全部 {known} 个网关均有消息，且无故障")])


def _heads() -> list[str]:
    return [
        text("gateway", "网关"),
        text("verdict", "结论"),
        text("last heard", "最后消息"),
        text("clock", "时钟"),
        text("backlog", "待传（紧急/常规）"),
        text("version", "版本"),
        text("faults", "故障"),
        text("devices offline", "掉线设备"),
    ]


def _cells(it: Condition) -> list[str]:
    faults = [f"{device}: {fault}" for device, fault in it.facts.faults]
    return [
        it.facts.gateway,
        _verdict(it),
        _heard(it),
        _clock(it.facts.clock),
        f"{_count(it.facts.backlog_urgent)}/{_count(it.facts.backlog_routine)}",
        it.facts.version or "-",
        _joined(faults),
        _joined(it.facts.offline),
    ]


def _verdict(it: Condition) -> str:
    if it.quiet:
        return text("QUIET", "失联")
    if it.facts.faults:
        return text("FAULT", "有故障")
    return text("offline", "有设备掉线") if it.facts.offline else text("well", "正常")


def _heard(it: Condition) -> str:
    """Local time of whoever reads it, and how long that is ago."""
    if it.silent_s is None:
        return text("unknown", "未知")
    local = datetime.fromtimestamp(it.facts.heard_ms / 1000, UTC).astimezone()
    ago = text(f"{span(it.silent_s)} ago", f"{span(it.silent_s)}前")
    return f"{local:%Y-%m-%d %H:%M} ({ago})"


def _clock(quality: str) -> str:
    words = {
        "synchronised": text("good", "已校准"),
        "anchored": text("set later", "事后校准"),
        "unknown": text("NOT SET", "未校准"),
    }
    return words.get(quality, quality)


def _count(count: int | None) -> str:
    return "-" if count is None else str(count)


def _joined(names: Sequence[str]) -> str:
    return text(", ", "、").join(names) or "-"
