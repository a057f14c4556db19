"""`hearth journal repair`: what the next start of the daemon would do, told or done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.cli.text import text

if TYPE_CHECKING:
    import argparse

    from gateway.journal.repair import Findings

NAME = "repair"


def summary() -> str:
    """What it does, in a line."""
    return text(
        "do now what the next start of the daemon does, or only explain it",
        "立即执行（或仅说明）守护程序下次启动时的修复",
    )


def options(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument(
        "--dry-run", action="store_true", help=text("explain, change nothing", "只说明，不改动")
    )


def run(arguments: argparse.Namespace) -> int:
    """Explain or do; 1 if there was something to repair."""
    from gateway.journal.repair import foresee, repair

    found = (foresee if arguments.dry_run else repair)(arguments.dir)
    _tell(found, done=not arguments.dry_run)
    return 0 if found.sound else 1


def _tell(found: Findings, *, done: bool) -> None:
    for lane in found.lanes:
        print(
            text(
                f"{lane.lane.name.lower()}: seqs {lane.acknowledged + 1}..{lane.last} are kept",
                f"{lane.lane.name.lower()}：保留序号 {lane.acknowledged + 1}..{lane.last}",
            )
        )
        for first, last in lane.lost:
            print(
                "  "
                + text(
                    f"{first}..{last} were stored and are gone; a gap event will say so",
                    f"{first}..{last} 曾落盘但已丢失，将以缺口事件上报",
                )
            )
    for name in found.set_aside:
        print(text(f"set aside, not thrown away: {name}", f"已隔离（未删除）：{name}"))
    for note in found.notes:
        print(note)
    for change in found.changes:
        if done:
            print(text(f"done: {change}", f"已执行：{change}"))
        else:
            print(text(f"the next start will {change}", f"下次启动将执行：{change}"))
    if found.sound:
        print(text("nothing to repair", "无需修复"))
