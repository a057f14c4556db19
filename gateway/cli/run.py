"""`hearth run`: the daemon in the foreground, as systemd runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.cli.text import text

if TYPE_CHECKING:
    import argparse

DEFAULT_CONFIG = "/etc/hearth/hearth.toml"


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("run", help=text("run the daemon", "运行守护程序"))
    add_config(parser)
    parser.set_defaults(run=run)


def add_config(parser: argparse.ArgumentParser) -> None:
    """The option that names the configuration file."""
    parser.add_argument(
        "-c",
        "--config",
        default=DEFAULT_CONFIG,
        metavar="FILE",
        help=text("configuration (default: %(default)s)", "配置文件（默认：%(default)s）"),
    )


def run(arguments: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT."""
    import asyncio
    import faulthandler

    from gateway.daemon import Daemon
    from gateway.overrides import load_overridden

    # What systemd's watchdog ends (SIGABRT) says in its journal where it hung. Only the thread that
    # hears it, which is the loop's unless it cannot: those of others change while they are read.
    faulthandler.enable(all_threads=False)

    async def serve() -> None:
        await Daemon(load_overridden(arguments.config)).run()

    asyncio.run(serve())
    return 0
