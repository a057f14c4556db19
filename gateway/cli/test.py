"""`hearth test MINUTES`: calls of the next minutes are an installer's tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.cli.run import add_config
from gateway.cli.text import text

if TYPE_CHECKING:
    import argparse

LONGEST_MIN = 240.0  # what the daemon takes


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "test",
        help=text("mark the calls of the next minutes as tests", "将随后几分钟的呼叫标记为测试"),
    )
    add_config(parser)
    parser.add_argument(
        "minutes",
        type=_minutes,
        help=text(f"up to {LONGEST_MIN:g}; 0 ends it", f"不超过 {LONGEST_MIN:g}；0 为结束"),
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Tell the running daemon; ControlError if none answers."""
    from gateway.control import ask
    from gateway.settings import load

    socket = load(arguments.config).control.socket
    ask(socket, "test", seconds=60 * arguments.minutes)
    if arguments.minutes:
        print(
            text(
                f"calls of the next {arguments.minutes:g} minutes are tests",
                f"此后 {arguments.minutes:g} 分钟内的呼叫为测试",
            )
        )
    else:
        print(text("calls are calls again", "测试已结束，呼叫恢复正常"))
    return 0


def _minutes(given: str) -> float:
    minutes = float(given)
    if not 0 <= minutes <= LONGEST_MIN:
        raise ValueError(given)
    return minutes
