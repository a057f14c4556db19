"""`hearth send`: orders something from a gateway, and prints its reply."""

from __future__ import annotations

import getpass
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.cli.text import text
from gateway.errors import DecodeError, SettingsError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from gateway.commands.wire import Argument, Command, Reply

EXIT_DONE, EXIT_NOT_DONE, EXIT_NO_REPLY = 0, 1, 2

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
# A number is what is written just so: 007 is the name of something.
_WHOLE = re.compile(r"(0|-?[1-9]\d{0,18})\Z")
_BROKEN = re.compile(r"-?(0|[1-9]\d*)\.\d+([eE][+-]?\d+)?\Z")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("send", help=text("order a gateway", "向网关下达命令"))
    parser.add_argument("gateway", metavar="GATEWAY", help=text("its id", "网关编号"))
    parser.add_argument(
        "command", metavar="COMMAND", help=text("such as call.accept", "如 call.accept")
    )
    parser.add_argument(
        "arguments",
        nargs="*",
        metavar="KEY=VALUE",
        help=text(
            'true, 5, 2.5, words, "5" for the text, @FILE.json for lists',
            'true、5、2.5、文字；"5" 表示文本；列表用 @FILE.json',
        ),
    )
    parser.add_argument(
        "--key", required=True, metavar="FILE", help=text("signs the order", "签名私钥")
    )
    parser.add_argument(
        "--who", default="", metavar="NAME", help=text("who orders it", "下令的人员或系统")
    )
    parser.add_argument(
        "--expires", default="1h", metavar="TIME", help=text("30s, 5m, 1h, 7d", "有效期")
    )
    parser.add_argument(
        "--wait", type=float, default=30.0, metavar="S", help=text("for the reply", "等待答复秒数")
    )
    parser.add_argument(
        "--store", metavar="URL", help=text("keeps who ordered what, and when", "命令留痕数据库")
    )
    parser.add_argument("--json", action="store_true", help=text("as JSON", "以 JSON 输出"))
    _add_broker(parser)
    parser.set_defaults(run=run)


def _add_broker(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--url", required=True, metavar="URL", help=text("the broker", "消息服务器")
    )
    parser.add_argument("--username", default="", metavar="NAME")
    parser.add_argument("--password-file", default="", metavar="FILE")
    parser.add_argument("--ca", default="", metavar="FILE")
    parser.add_argument("--cert", default="", metavar="FILE")
    parser.add_argument(
        "--cert-key", default="", metavar="FILE", help=text("of --cert", "证书的私钥")
    )
    parser.add_argument(
        "--allow-plaintext",
        action="store_true",
        help=text("mqtt:// to another machine", "允许明文连接其他主机"),
    )


def run(arguments: argparse.Namespace) -> int:
    """0 if it was done, 1 if it was refused or failed, 2 if no reply came."""
    import asyncio

    from collector.sender import Sender, new_command
    from gateway.commands.wire import encode_command
    from gateway.settings import read_uplink
    from gateway.signing.keys import read_private_key
    from gateway.uplink import MqttUplink

    names = ("url", "username", "password_file", "ca", "cert", "allow_plaintext")
    broker = {name: getattr(arguments, name) for name in names} | {"key": arguments.cert_key}
    uplink = MqttUplink(read_uplink(broker, "hearth send"))
    sender = Sender(uplink, read_private_key(arguments.key, "--key"))
    command = new_command(
        arguments.gateway,
        arguments.command,
        arguments.who or _user(),
        arguments_of(arguments.arguments),
        seconds_of(arguments.expires),
    )
    try:
        encode_command(command)
    except DecodeError as error:
        raise SettingsError([f"hearth send: {error}"]) from error
    with _Records(arguments.store) as records:
        records.order(command)
        reply = asyncio.run(sender.send(command, arguments.wait))
        _print(command, reply, sender.last_error, as_json=arguments.json)
        if reply is not None:
            records.answer(command, reply)
    if reply is None:
        return EXIT_NO_REPLY
    return EXIT_NOT_DONE if reply.outcome else EXIT_DONE


class _Records:
    """The store of the collector, where one is named: an order is in it before it is sent."""

    def __init__(self, url: str | None) -> None:
        from collector.store import open_store

        self._store = open_store(url) if url else None

    def __enter__(self) -> _Records:
        return self

    def __exit__(self, *_: object) -> None:
        if self._store is not None:
            self._store.close()

    def order(self, command: Command) -> None:
        if self._store is not None:
            self._store.order(command)

    def answer(self, command: Command, reply: Reply) -> None:
        if self._store is not None:
            self._store.answer(command, reply)


def arguments_of(pairs: Sequence[str]) -> dict[str, Argument]:
    """`key=value` texts as arguments; SettingsError with every fault."""
    found: dict[str, Argument] = {}
    faults = []
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or key in found:
            faults.append(f"{pair}: {'twice' if equals else 'not KEY=VALUE'}")
            continue
        try:
            found[key] = value_of(value)
        except (OSError, ValueError, RecursionError) as error:
            faults.append(f"{pair}: {error}")
    if faults:
        raise SettingsError(faults)
    return found


def value_of(value: str) -> Any:
    """What a value means: a truth value, a number, what a JSON file holds, or else itself."""
    if value in {"true", "false"}:
        return value == "true"
    if _WHOLE.match(value):
        return int(value)
    if _BROKEN.match(value):
        return float(value)
    if value.startswith("@"):
        return json.loads(Path(value[1:]).read_text("utf-8"))
    return json.loads(value) if value.startswith('"') else value


def seconds_of(duration: str) -> int:
    """`90s`, `5m`, `1h` or `7d` in seconds; SettingsError if it is none."""
    match = re.fullmatch(r"(\d{1,9})([smhd])", duration)
    if match is None:
        raise SettingsError([f"--expires {duration}: write it like 30s, 5m, 1h or 7d"])
    return int(match[1]) * _UNITS_S[match[2]]


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:
        raise SettingsError(["--who: missing, and this user has no name"]) from error


def _print(
    command: Command, reply: Reply | None, error: Exception | None, *, as_json: bool
) -> None:
    if as_json:
        print(json.dumps(_facts(command, reply), ensure_ascii=False))
    elif reply is not None:
        words = [_outcome(reply), reply.reason, *(f"{k}={v}" for k, v in reply.result.items())]
        print("  ".join(word for word in words if word))
    else:
        print(text("no reply; it may be done nevertheless", "未收到答复；命令可能已执行"))
        hint = text(
            "is the gateway online, and is this key's public half under its [commands] keys?",
            "网关是否在线？其 [commands] keys 中是否有此密钥的公钥？",
        )
        print(f"  {text('hint', '提示')}: {error or hint}")


def _outcome(reply: Reply) -> str:
    words = {
        "done": text("done", "已执行"),
        "refused": text("refused", "被拒绝"),
        "failed": text("failed", "执行失败"),
        "unknown": text("unknown", "结果不明"),
    }
    return words[reply.outcome.name.lower()]


def _facts(command: Command, reply: Reply | None) -> dict[str, object]:
    facts: dict[str, object] = {"id": command.id.hex(), "outcome": None}
    if reply is not None:
        facts |= {"outcome": reply.outcome.name.lower(), "reason": reply.reason}
        facts["result"] = reply.result
    return facts
