"""`hearth status`: how the running daemon is, in a glance or as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from gateway.cli.run import add_config
from gateway.cli.text import size, text

if TYPE_CHECKING:
    import argparse


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("status", help=text("ask the running daemon", "查看运行状态"))
    add_config(parser)
    parser.add_argument("--json", action="store_true", help=text("as JSON", "以 JSON 输出"))
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the status; ControlError if no daemon answers."""
    from gateway.control import ask
    from gateway.settings import load

    status = ask(load(arguments.config).control.socket, "status")
    print(json.dumps(status, ensure_ascii=False) if arguments.json else _page(status))
    return 0


def _page(status: dict[str, Any]) -> str:
    uplink, journal = status["uplink"], status["journal"]
    lines = [f"{status['gateway']}  {text('clock', '时钟')}: {status['clock']}"]
    state = (
        text("connected", "已连接")
        if uplink["connected"]
        else text("NOT CONNECTED", "未连接") + f" ({uplink['last_error'] or '-'})"
    )
    lines.append(f"{text('uplink', '上行')}: {state}")
    if not uplink["connected"] and (hint := uplink["hint"]):
        lines.append(f"  {text('hint', '提示')}: {hint}")
    if today := uplink.get("today"):
        lines.append(f"{text('traffic today', '今日流量')}: {_today(today)}")
    if "mirror" in status:
        lines.append(f"{text('mirror', '副本')}: {_mirror(status['mirror'])}")
    lines += [_call(call) for call in status["calls"]]
    if status["testing"]:
        lines.append(text("TEST MODE: calls are marked as tests", "测试模式：呼叫标记为测试"))
    lines += [_lane(name, lane) for name, lane in journal["lanes"].items()]
    lines += [f"{text('journal', '日志')}: {note}" for note in journal["trouble"]]
    lines += [f"{text('set aside', '已隔离')}: {name}" for name in journal["set_aside"]]
    lines.append(f"{text('written to flash', '累计写入')}: {size(journal['bytes_written'])}")
    for name, device in status["devices"].items():
        lines.append(f"{name:<20} {device['state']:<8} {device['reason']}".rstrip())
    return "\n".join(lines)


def _today(today: dict[str, Any]) -> str:
    spent = size(today["spent_bytes"])
    if not today["limit_bytes"]:
        return spent
    words = text(
        f"{spent} of {size(today['limit_bytes'])}", f"{spent}，限额 {size(today['limit_bytes'])}"
    )
    held = text("SPENT: readings wait, calls go", "已用完：读数等待，呼叫照常发送")
    return f"{words}  {held}" if today["exhausted"] else words


def _mirror(mirror: dict[str, Any]) -> str:
    words = [
        text("connected", "已连接") if mirror["connected"] else text("NOT CONNECTED", "未连接")
    ]
    words.append(f"{text('published', '已发布')} {mirror['published']}")
    if mirror["dropped"]:
        words.append(f"{text('DROPPED', '已丢弃')} {mirror['dropped']}")
    if mirror["refused"]:
        words.append(f"{text('REFUSED', '被拒绝')} {mirror['refused']}")
    if mirror["last_error"]:
        words.append(f"({mirror['last_error']})")
    return "  ".join(words)


def _call(call: dict[str, Any]) -> str:
    state = call["state"] or text("not stored yet", "尚未保存")
    return f"{text('CALL', '呼叫')} {call['call']} {call['device']}: {state}"


def _lane(name: str, lane: dict[str, Any]) -> str:
    words = [
        f"{name:<8} {text('accepted', '已接收')} {lane['accepted']}",
        f"{text('waiting', '待上传')} {lane['backlog']}",
    ]
    if lane["unwritten"]:
        words.append(f"{text('NOT ON FLASH', '未写入存储卡')} {lane['unwritten']}")
    if lane["failed"]:
        words.append(f"{text('FLASH FAILS', '存储卡故障')}: {lane['failed']}")
    return "  ".join(words)
