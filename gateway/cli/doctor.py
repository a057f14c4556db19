"""`hearth doctor`: everything that a fitter on a ladder wants to know at once, with what to do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from gateway.cli.run import add_config
from gateway.cli.text import chinese, text

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from gateway.finding import Finding


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "doctor",
        help=text("look at everything, and say what to mend", "全面检查，并说明如何排除故障"),
    )
    add_config(parser)
    parser.add_argument("--json", action="store_true", help=text("as JSON", "以 JSON 输出"))
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print what is found; 0 if nothing of it is a fault."""
    from gateway.doctor.examination import examine
    from gateway.finding import Level

    findings = examine(arguments.config)
    if arguments.json:
        found = list(findings)
        print(json.dumps([_facts(it) for it in found], ensure_ascii=False))
    else:
        found = _print(findings)
    return 1 if any(it.level is Level.FAULT for it in found) else 0


def _facts(finding: Finding) -> dict[str, str]:
    return {
        "level": finding.level.value,
        "about": finding.about,
        "what": text(*finding.what),
        "hint": text(*finding.hint),
    }


def _print(findings: Iterable[Finding]) -> list[Finding]:
    """Each as soon as it is found, then how many there are."""
    from gateway.finding import Level

    labels = {
        Level.OK: text("ok     ", "正常"),
        Level.WARNING: text("warning", "注意"),
        Level.FAULT: text("FAULT  ", "故障"),
    }
    margin = " " * ((6 if chinese() else 9) + 17)  # a Chinese character is two columns wide
    found = []
    for it in findings:
        found.append(it)
        print(f"{labels[it.level]}  {it.about:<16} {text(*it.what)}", flush=True)
        if hint := text(*it.hint):
            print(f"{margin}{text('hint: ', '提示：')}{hint}")
    counts = {level: sum(it.level is level for it in found) for level in Level}
    faults, warnings = counts[Level.FAULT], counts[Level.WARNING]
    print(text(f"faults: {faults}, warnings: {warnings}", f"故障 {faults} 项，注意 {warnings} 项"))
    return found
