"""`hearth check`: every fault of a configuration at once, before a fitter leaves the ladder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.cli.run import add_config
from gateway.cli.text import text
from gateway.errors import SettingsError

if TYPE_CHECKING:
    import argparse


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("check", help=text("check a configuration", "检查配置文件"))
    add_config(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0 if the configuration is sound; faults end the command with 2."""
    from gateway.doctor.configuration import read_on
    from gateway.settings import load

    settings = load(arguments.config)
    planned, faults = read_on(settings)
    if faults:
        raise SettingsError(faults)
    devices = len(planned)
    print(
        text(
            f"{arguments.config}: sound. {settings.gateway.id}, {devices} devices,"
            f" {len(settings.buses)} buses",
            f"{arguments.config}：配置正确。{settings.gateway.id}，{devices} 个设备，"
            f"{len(settings.buses)} 条总线",
        )
    )
    return 0
