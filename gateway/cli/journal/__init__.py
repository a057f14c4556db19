"""`hearth journal`: look into a journal, also while it is written; only `repair` may change it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.cli.journal import export, inspect, repair, verify
from gateway.cli.text import text

if TYPE_CHECKING:
    import argparse


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("journal", help=text("look into a journal", "查看事件日志"))
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    for action in (inspect, verify, export, repair):
        name, help_text = action.NAME, action.summary()
        sub = actions.add_parser(name, help=help_text, description=help_text)
        sub.add_argument("dir", metavar="DIR", help=text("the journal's folder", "日志目录"))
        action.options(sub)
        sub.set_defaults(run=action.run)
