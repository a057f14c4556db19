"""What a text message says of a call. Whoever reads it may know nothing of hearth."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Literal

from gateway.model import CallState

if TYPE_CHECKING:
    from gateway.calls.call import Call
    from gateway.settings import GatewaySettings


def text_of(call: Call, gateway: GatewaySettings, language: Literal["zh", "en"]) -> str:
    """Who calls, from where, since when, and why it comes this way."""
    where = [gateway.address_code or gateway.id, call.labels.get("room", ""), call.device]
    place = " ".join(part for part in where if part)
    who = call.labels.get("resident", "")
    since = datetime.fromtimestamp(call.wall_ms / 1000).strftime("%H:%M")
    if language == "zh":
        why = "无人受理" if call.state is CallState.ESCALATED else "网络不通"
        head = "【测试】" if call.test else ""
        person = f"{who} " if who else ""
        return f"{head}一键呼叫：{person}{place}，{since}，{why}，请立即联系。"
    why = "nobody has taken it" if call.state is CallState.ESCALATED else "the network is down"
    head = "TEST. " if call.test else ""
    person = f"{who}, " if who else ""
    return f"{head}Call for help: {person}{place}, {since}; {why}. Please look at once."
