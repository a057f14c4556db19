"""`hearth collect`: the far side. Stores each event once, acknowledges what is committed."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gateway.cli.text import span, text

if TYPE_CHECKING:
    import argparse

    from collector.books import Book
    from collector.heard import Heard


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("collect", help=text("run a collector", "运行收集服务"))
    parser.add_argument("--url", metavar="URL", help=text("the broker", "消息服务器"))
    parser.add_argument(
        "--store",
        required=True,
        metavar="URL",
        help=text("sqlite:///absolute/path or sqlite:relative/path", "数据库地址"),
    )
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--check", action="store_true", help=text("print the books and end", "核对账目后退出")
    )
    instead.add_argument(
        "--quiet",
        action="store_true",
        help=text("print the gateways that have gone quiet and end", "列出失联的网关后退出"),
    )
    parser.add_argument(
        "--json", action="store_true", help=text("these two as JSON", "以上两项以 JSON 输出")
    )
    parser.add_argument("--username", default="", metavar="NAME")
    parser.add_argument("--password-file", default="", metavar="FILE")
    parser.add_argument("--ca", default="", metavar="FILE")
    parser.add_argument("--cert", default="", metavar="FILE")
    parser.add_argument("--key", default="", metavar="FILE")
    parser.add_argument(
        "--allow-plaintext",
        action="store_true",
        help=text("mqtt:// to another machine", "允许明文连接其他主机"),
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Collect until SIGTERM or SIGINT; --check and --quiet print, and 1 is that all is not well."""
    if arguments.quiet:
        return quiet(arguments)
    return check(arguments) if arguments.check else serve(arguments)


def serve(arguments: argparse.Namespace) -> int:
    """Collect until SIGTERM or SIGINT."""
    import asyncio
    import signal

    from collector.service import Collector
    from collector.store import open_store
    from gateway.errors import SettingsError
    from gateway.settings import read_uplink

    if not arguments.url:
        raise SettingsError(["--url: missing"], hint="hearth collect --url mqtts://... --store ...")
    names = ("url", "username", "password_file", "ca", "cert", "key", "allow_plaintext")
    settings = read_uplink({name: getattr(arguments, name) for name in names}, "hearth collect")

    async def collect() -> None:
        store = open_store(arguments.store)
        try:
            task = asyncio.create_task(Collector(settings, store).run())
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, task.cancel)
            await asyncio.wait([task])
            if not task.cancelled():
                task.result()
        finally:
            store.close()

    asyncio.run(collect())
    return 0


def check(arguments: argparse.Namespace) -> int:
    """Print the books; 1 if a lane does not balance."""
    from collector.store import open_store

    store = open_store(arguments.store)
    try:
        books = store.books()
    finally:
        store.close()
    if arguments.json:
        print(json.dumps([facts(book) for book in books]))
    else:
        print_books(books)
    return 0 if all(book.balanced and not book.conflicts for book in books) else 1


def quiet(arguments: argparse.Namespace) -> int:
    """Print the gateways that were not heard for too long; 1 if there is one."""
    from collector.store import open_store

    store = open_store(arguments.store)
    try:
        heard = store.heard()
    finally:
        store.close()
    now_ms = time.time_ns() // 1_000_000
    silent = [it for it in heard if it.is_quiet(now_ms)]
    if arguments.json:
        print(json.dumps([_silence(it, now_ms) for it in silent]))
    else:
        print_quiet(silent, len(heard), now_ms)
    return 1 if silent else 0


def _silence(it: Heard, now_ms: int) -> dict[str, object]:
    return {
        "gateway": it.gateway,
        "heard_ms": it.heard_ms,
        "silent_s": it.silent_s(now_ms),
        "quiet_after_s": it.quiet_after_s,
    }


def print_quiet(silent: list[Heard], known: int, now_ms: int) -> None:
    """One line each; if there is none, that."""
    if not silent:
        print(text(f"all {known} gateways are heard", f"全部 {known} 个网关均有消息"))
    for it in silent:
        print(f"{it.gateway}{text(': ', '：')}{_last_heard(it, now_ms)}")


def _last_heard(it: Heard, now_ms: int) -> str:
    if not it.heard_ms:
        return text(
            "not heard since this store keeps the times, and by no event of known time before",
            "自开始记录时间以来没有消息，此前也没有时间可信的事件",
        )
    # Local time of whoever reads it, with its distance from UTC.
    local = datetime.fromtimestamp(it.heard_ms / 1000, UTC).astimezone()
    when, silent = local.isoformat(" ", "seconds"), span(it.silent_s(now_ms))
    return text(
        f"last heard {when}, {silent} ago; quiet after {span(it.quiet_after_s)}",
        f"最后消息 {when}，{silent}前；超过 {span(it.quiet_after_s)}即为失联",
    )


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


def print_books(books: list[Book]) -> None:
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
    ]
    print("  ".join(f"{head:>10}" for head in heads))
    for book in books:
        cells = [
            book.gateway,
            book.lane.name.lower(),
            book.accepted,
            book.stored,
            book.lost,
            book.missing,
            book.duplicates,
            book.conflicts,
        ]
        verdict = text("balanced", "账目相符") if book.balanced else text("OPEN", "账目不符")
        print("  ".join(f"{cell!s:>10}" for cell in cells) + f"  {verdict}")
