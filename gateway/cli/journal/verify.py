"""`hearth journal verify`: read and check every record that is still needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.cli.text import text

if TYPE_CHECKING:
    import argparse

NAME = "verify"


def summary() -> str:
    """What it does, in a line."""
    return text("read and check every record", "读取并校验每条记录")


def options(parser: argparse.ArgumentParser) -> None:
    """It has none."""


def run(arguments: argparse.Namespace) -> int:
    """Check every needed record; 1 if something is lost that no gap event tells of."""
    from gateway.journal.view import view

    looked = view(arguments.dir)
    untold = 0
    for lane in looked.lanes:
        untold += len(lane.untold)
        good = len(lane.entries)
        name = lane.lane.name.lower()
        print(
            text(
                f"{name}: {good} events intact, {len(lane.gaps)} gaps told",
                f"{name}：{good} 条事件完好，已报告缺口 {len(lane.gaps)} 处",
            )
        )
        for first, last in lane.untold:
            print(f"  {text('damaged, not told yet', '损坏，尚未报告')}: {first}..{last}")
        for aside in lane.aside:
            print(f"  {text('set aside', '已隔离')}: {aside}")
    return 1 if untold else 0
