"""`hearth demo`: a home, a gateway, a broker and a collector on this machine, with an outage.

Everything hearth does is real: the gateway and the collector are the same programs as in a home,
in processes of their own. Only the hardware is virtual (`drivers/sim`).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from gateway.cli.text import text

if TYPE_CHECKING:
    import argparse

    from gateway.cli.demo.books import DemoBooks

MIN_SECONDS = 12.0  # less leaves no time for an outage that a person can follow


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "demo", help=text("see hearth work, outage included", "演示：包括一次断网")
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=24.0,
        metavar="N",
        help=text("how long (default: %(default)s)", "时长（秒，默认 %(default)s）"),
    )
    parser.add_argument("--json", action="store_true", help=text("books as JSON", "以 JSON 输出"))
    parser.add_argument(
        "--keep", metavar="DIR", help=text("keep journal, database and logs", "保留文件到此目录")
    )
    parser.add_argument(
        "--kill",
        action="store_true",
        help=text("also kill -9 the gateway during the outage", "断网期间再强制杀死网关进程"),
    )
    parser.add_argument(
        "--broker",
        choices=("mosquitto", "amqtt"),
        default="",
        help=text("default: mosquitto if it is installed", "默认：若已安装则用 mosquitto"),
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the demo; 0 only if the books balance."""
    import asyncio
    import logging
    import tempfile
    from pathlib import Path

    from gateway.errors import HearthError

    try:
        import bumble  # noqa: F401 - the virtual radio stands on it
    except ImportError as error:
        raise HearthError(
            "the virtual hardware is not installed", hint="pip install 'hearth-gateway[sim]'"
        ) from error
    from drivers.sim.broker import Broker
    from gateway.cli.demo.story import Story

    logging.getLogger("bumble").setLevel(logging.CRITICAL)
    seconds = max(arguments.seconds, MIN_SECONDS)
    out = sys.stderr if arguments.json else sys.stdout
    with tempfile.TemporaryDirectory(prefix="hearth-") as scratch:
        folder = Path(arguments.keep or scratch)
        folder.mkdir(parents=True, exist_ok=True)
        # Sockets go to the short path in any case: a Unix socket's name has 107 bytes at most.

        async def play() -> DemoBooks:
            broker = Broker(kind=arguments.broker)
            story = Story(folder, Path(scratch), broker, kill=arguments.kill, out=out)
            return await story.tell(seconds)

        books = asyncio.run(play())
    if arguments.json:
        print(books.as_json())
    if arguments.keep:
        print(f"{text('kept in', '文件保存在')} {folder}", file=out)
    return 0 if books.balanced else 1
