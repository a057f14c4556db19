"""`hearth probe PORT`: what is on a bus, as `[[bus]]` and `[[device]]` tables to paste."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from gateway.cli.text import span, text
from gateway.errors import LinkLost

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from drivers.bus.bus import Bus
    from drivers.bus.line import Line
    from drivers.bus.prober import Found, Step

_BUS = "bus-1"


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "probe",
        help=text("find the meters on a bus", "查找总线上的表计"),
        description=text(
            "Asks in every protocol on every usual line, and prints tables for hearth.toml. "
            "The service must not run meanwhile: systemctl stop hearth.",
            "用各种协议和常见串口参数逐一询问，并输出可粘贴到 hearth.toml 的配置。"
            "运行前请先停止服务：systemctl stop hearth。",
        ),
    )
    parser.add_argument(
        "port",
        help=text(
            "serial port, or socket://, rfc2217://, modbus-tcp://HOST:PORT",
            "串口，或 socket://、rfc2217://、modbus-tcp://主机:端口",
        ),
    )
    parser.add_argument(
        "--protocol",
        action="append",
        default=[],
        metavar="NAME",
        help=text("only this one: modbus, cjt188, mbus", "仅此协议：modbus、cjt188、mbus"),
    )
    parser.add_argument(
        "--line",
        action="append",
        default=[],
        metavar='"2400 8E1"',
        help=text("only this line", "仅此串口参数"),
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help=text("only where devices usually are", "仅查找常用地址"),
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Search, and print what was found; 0 if anything was. Ctrl-C ends it early."""
    from drivers.bus.bus import Bus
    from drivers.bus.line import parse_line
    from drivers.bus.look import stable_name
    from drivers.bus.prober import installed_probers, plan
    from gateway.settings import read_bus

    for line in arguments.line:
        parse_line(line)
    first = parse_line(arguments.line[0]) if arguments.line else None
    settings = read_bus(
        {
            "id": _BUS,
            "port": stable_name(arguments.port),
            **({"baudrate": first.baudrate, "parity": first.parity} if first else {}),
            **({"stopbits": first.stopbits} if first else {}),
        },
        "hearth probe",
    )
    probers = installed_probers(arguments.protocol)
    steps = plan(settings, probers, arguments.line, quick=arguments.quick)
    found: list[tuple[Line, Found]] = []
    code = 0
    with _progress(steps) as bar:
        try:
            asyncio.run(_search(Bus(settings), steps, bar, found))
        except KeyboardInterrupt:
            code = 130
        except LinkLost as error:
            if not found:
                raise LinkLost(error.what, where=error.where, hint=_hint(error)) from error
            bar.say(str(error))
            code = 1
    print("\n".join(tables(settings.port, found)))
    return code or int(not found)


async def _search(
    bus: Bus, steps: Sequence[Step], bar: _Bar, found: list[tuple[Line, Found]]
) -> None:
    from drivers.bus.prober import probe

    try:
        async for line, it in probe(bus, steps, bar.told):
            found.append((line, it))
            bar.say(f"{it.driver} {line}: {_keys(it) or it.note}")
    finally:
        await bus.close()


def tables(port: str, found: Sequence[tuple[Line, Found]]) -> list[str]:
    """Lines of TOML: the bus on the line that most devices use, and every device."""
    usable = [(line, it) for line, it in found if it.keys]
    if not found:
        return [text("# nothing answers", "# 没有应答")]
    lines = [f"# {it.driver} {line}: {it.note}" for line, it in found if not it.keys]
    if not usable:
        return lines
    ((usual, _),) = Counter(line for line, _ in usable).most_common(1)
    lines += ["[[bus]]", f'id = "{_BUS}"', f"port = {json.dumps(port)}"]
    lines += [f"baudrate = {usual.baudrate}", f'parity = "{usual.parity}"']
    lines += [f"stopbits = {usual.stopbits}"] * (usual.stopbits != 1)
    for number, (line, it) in enumerate(usable, 1):
        lines += ["", "[[device]]", f'id = "meter-{number}"', f'driver = "{it.driver}"']
        lines += [f'bus = "{_BUS}"', *([f'line = "{line}"'] if line != usual else [])]
        lines += [f"{key} = {json.dumps(value)}" for key, value in it.keys.items()]
        lines += [f"# {it.note}"] * bool(it.note)
    return lines


class _Bar(Protocol):
    """Says on standard error how far the search is."""

    def told(self, step: Step, done: float) -> None: ...
    def say(self, what: str) -> None: ...


class _Lines:
    """A line for each step, where standard error is no terminal."""

    def __init__(self) -> None:
        self._step: Step | None = None

    def told(self, step: Step, _done: float) -> None:
        if step is not self._step:
            self._step = step
            self.say(f"{step.prober.driver} {step.line} ...")

    def say(self, what: str) -> None:
        print(what, file=sys.stderr, flush=True)


@contextmanager
def _progress(steps: Sequence[Step]) -> Iterator[_Bar]:
    total_s = sum(step.seconds for step in steps)
    print(
        text(
            f"about {span(total_s)}; Ctrl-C ends it and prints what was found",
            f"约需{span(total_s)}；按 Ctrl-C 可提前结束并输出已找到的表计",
        ),
        file=sys.stderr,
    )
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from gateway.cli.progress import RichBar

    with RichBar(steps) as bar:
        yield bar


def _hint(error: LinkLost) -> str:
    if "another process" in error.hint:
        return text(
            "is hearth running? systemctl stop hearth", "hearth 是否在运行？systemctl stop hearth"
        )
    return error.hint


def _keys(it: Found) -> str:
    return " ".join(f"{key}={value}" for key, value in it.keys.items())
