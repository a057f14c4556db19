"""`hearth collect`: the far side. Stores each event once, acknowledges what is committed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from gateway.cli.table import table
from gateway.cli.text import text

if TYPE_CHECKING:
    import argparse

    from collector.books import Book


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("collect", help=text("run a collector", "运行收集服务"))
    parser.add_argument("--url", metavar="URL", help=text("the broker", "消息服务器"))
    parser.add_argument(
        "--store",
        required=True,
        metavar="URL",
        help=text(
            "sqlite:///absolute/path, sqlite:relative/path or postgresql://user@host/database",
            "数据库地址：sqlite:///绝对路径、sqlite:相对路径 或 postgresql://用户@主机/库名",
        ),
    )
    parser.add_argument(
        "--check", action="store_true", help=text("print the books and end", "核对账目后退出")
    )
    parser.add_argument(
        "--json", action="store_true", help=text("the books as JSON", "账目以 JSON 输出")
    )
    _add_broker(parser)
    _add_outputs(parser)
    parser.set_defaults(run=run)


def _add_broker(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--username", default="", metavar="NAME")
    parser.add_argument("--password-file", default="", metavar="FILE")
    parser.add_argument("--ca", default="", metavar="FILE")
    parser.add_argument("--cert", default="", metavar="FILE")
    parser.add_argument("--key", default="", metavar="FILE")
    parser.add_argument(
        "--allow-plaintext",
        action="store_true",
        help=text("mqtt:// and http:// to another machine", "允许明文连接其他主机"),
    )
    parser.add_argument(
        "--ack-key",
        default="",
        metavar="FILE",
        help=text("signs acknowledgements", "确认消息的签名私钥"),
    )
    parser.add_argument(
        "--share",
        default="",
        metavar="NAME",
        help=text(
            "share the work with all collectors of this name (MQTT 5)",
            "与同名的收集服务分担负载（需 MQTT 5）",
        ),
    )


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--lines",
        action="store_true",
        help=text("alarms as JSON lines on standard output", "告警以 JSON 行写到标准输出"),
    )
    parser.add_argument(
        "--webhook", metavar="URL", help=text("post alarms there, signed", "告警签名后推送到此地址")
    )
    parser.add_argument(
        "--webhook-secret-file", metavar="FILE", help=text("signs them", "签名密钥文件")
    )
    parser.add_argument(
        "--command",
        metavar="PROGRAM",
        help=text(
            "run it for each alarm, which is its standard input, as JSON",
            "每条告警运行一次此程序，告警以 JSON 从标准输入传入",
        ),
    )
    parser.add_argument(
        "--metrics",
        metavar="HOST:PORT",
        help=text("figures for Prometheus", "Prometheus 指标的监听地址"),
    )


def run(arguments: argparse.Namespace) -> int:
    """Collect until SIGTERM or SIGINT; --check prints, and 1 is that the books do not balance."""
    if arguments.check:
        return check(arguments)

    import asyncio

    from gateway.cli.collecting import collect

    asyncio.run(collect(arguments))
    return 0


def check(arguments: argparse.Namespace) -> int:
    """Print the books; 1 if a lane does not balance."""
    from collector.store import open_store

    store = open_store(arguments.store)
    try:
        books = store.books()
    finally:
        store.close()
    print(json.dumps([facts(book) for book in books]) if arguments.json else page(books))
    return 0 if all(book.balanced and not book.conflicts for book in books) else 1


def facts(book: Book) -> dict[str, object]:
    """One book as plain values."""
    return {
        "gateway": book.gateway,
        "journal": book.journal,
        "lane": book.lane.name.lower(),
        "accepted": book.accepted,
        "stored": book.stored,
        "lost": book.lost,
        "missing": book.missing,
        "duplicates": book.duplicates,
        "conflicts": book.conflicts,
        "balanced": book.balanced,
    }


def page(books: list[Book]) -> str:
    """The books as a table."""
    heads = [
        text("gateway", "网关"),
        text("lane", "通道"),
        text("accepted", "已接收"),
        text("stored", "已入库"),
        text("lost", "已报缺失"),
        text("missing", "未到"),
        text("duplicates", "重复"),
        text("conflicts", "冲突"),
        "",
    ]
    return "\n".join(table([heads, *(_cells(book) for book in books)]))


def _cells(book: Book) -> list[str]:
    counts = (
        *(book.accepted, book.stored, book.lost, book.missing),
        *(book.duplicates, book.conflicts),
    )
    verdict = text("balanced", "账目相符") if book.balanced else text("OPEN", "账目不符")
    return [book.gateway, book.lane.name.lower(), *(str(count) for count in counts), verdict]
