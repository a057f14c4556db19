"""What the running daemon says of itself, if it answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.control import ask
from gateway.errors import ControlError
from gateway.finding import Finding, Level, Words, fault, ok, warning

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LOOK_AT_LOG = Words.same("journalctl -u hearth")


def look_at_daemon(socket: str) -> Iterator[Finding]:
    """Its status, or that it does not answer."""
    try:
        status = ask(socket, "status")
    except ControlError as error:
        yield warning(
            f"does not answer: {error}",
            f"守护程序没有应答：{error}",
            hint=Words(
                "systemctl status hearth; as root or in the group hearth",
                "运行 systemctl status hearth；须为 root 或 hearth 组成员",
            ),
            about="daemon",
        )
        return
    yield from findings_of(status)


def findings_of(status: Mapping[str, Any]) -> Iterator[Finding]:
    """Of `hearth status`, what a fitter wants to know."""
    yield ok("runs and answers", "正在运行", about="daemon")
    if status["testing"]:
        yield warning(
            "test mode: calls are marked as tests",
            "测试模式：呼叫标记为测试",
            hint=Words.same("hearth test 0"),
            about="daemon",
        )
    yield from (_call(call) for call in status["calls"])
    yield _uplink(status["uplink"], status["journal"]["lanes"])
    yield from _flash(status["journal"])
    yield from (_device(name, device) for name, device in status["devices"].items())


def _call(call: Mapping[str, Any]) -> Finding:
    state = call["state"] or "-"
    return warning(
        f"call {call['call']} is open: {state}",
        f"呼叫 {call['call']} 尚未结束：{state}",
        about=call["device"],
    )


def _uplink(uplink: Mapping[str, Any], lanes: Mapping[str, Any]) -> Finding:
    waiting = sum(lane["backlog"] for lane in lanes.values())
    if uplink["connected"]:
        return ok(
            f"the daemon is connected, {waiting} events wait",
            f"守护程序已连接，{waiting} 条事件待上传",
            about="uplink",
        )
    why = uplink["last_error"] or "-"
    return fault(
        f"the daemon is not connected, {waiting} events wait: {why}",
        f"守护程序未连接，{waiting} 条事件待上传：{why}",
        hint=Words.same(uplink["hint"]),
        about="uplink",
    )


def _flash(journal: Mapping[str, Any]) -> Iterator[Finding]:
    """What does not reach it, and what was met when the journal was opened."""
    bad = {name: it for name, it in journal["lanes"].items() if it["failed"] or it["unwritten"]}
    for name, lane in bad.items():
        why = lane["failed"] or "-"
        yield fault(
            f"flash fails, {lane['unwritten']} {name} events are in memory only: {why}",
            f"存储卡故障，{lane['unwritten']} 条 {name} 事件只在内存中：{why}",
            hint=Words("change the card; see dmesg", "请更换存储卡；见 dmesg"),
            about="journal",
        )
    for note in (*journal["trouble"], *journal["set_aside"]):
        yield Finding(Level.WARNING, Words.same(note), _LOOK_AT_LOG, "journal")
    if not bad:
        yield ok("flash takes what comes", "存储卡写入正常", about="journal")


def _device(name: str, device: Mapping[str, Any]) -> Finding:
    state, reason = device["state"], device["reason"]
    if state == "online":
        return ok("online", "在线", about=name)
    if state == "starting":
        return warning("is being looked for", "正在连接", about=name)
    chinese = {"offline": "掉线", "failed": "驱动出错"}.get(state, state)
    said = Words(f"{state}: {reason}", f"{chinese}：{reason}") if reason else Words(state, chinese)
    return Finding(Level.FAULT, said, about=name)
