"""`hearth devices`: which drivers exist, and what each one takes in its `[[device]]` table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.cli.text import text
from gateway.errors import UnknownDriver

if TYPE_CHECKING:
    import argparse


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "devices", help=text("list the installed drivers", "列出已安装的设备驱动")
    )
    parser.set_defaults(run=run)


def run(_arguments: argparse.Namespace) -> int:
    """Print every installed driver; 1 if one of them does not load."""
    from gateway.driver import installed_drivers

    broken = 0
    for name, origin in installed_drivers().items():
        try:
            _describe(name, origin)
        except UnknownDriver as error:
            print(f"{name:<12} {text('does not load', '无法加载')}: {error}")
            broken = 1
    return broken


def _describe(name: str, origin: str) -> None:
    import msgspec

    from gateway.driver import load_driver

    driver = load_driver(name)
    keys = [
        field.encode_name if field.required else f"[{field.encode_name}]"
        for field in msgspec.structs.fields(driver.Settings)
    ]
    print(f"{name:<12} {driver.summary}")
    print(f"{'':<12} {text('keys', '参数')}: {' '.join(['bus'] * driver.needs_bus + keys)}")
    print(f"{'':<12} {text('from', '来源')}: {origin}")
