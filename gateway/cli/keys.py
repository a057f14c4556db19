"""`hearth keys new`: the pair of keys with which orders are signed and known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.cli.text import text

if TYPE_CHECKING:
    import argparse


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("keys", help=text("keys that sign orders", "命令签名密钥"))
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    new = actions.add_parser("new", help=text("make a pair", "生成一对密钥"))
    new.add_argument(
        "--out",
        required=True,
        metavar="NAME",
        help=text("writes NAME.key and NAME.pub", "写入 NAME.key 与 NAME.pub"),
    )
    new.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Make a pair; SettingsError if there is a file of that name."""
    from gateway.commands.keys import write_keys
    from gateway.commands.signature import PrivateKey

    private, public = write_keys(PrivateKey.generate(), arguments.out)
    print(
        text(
            f"{private}: signs orders (hearth send --key); whoever has it can order: keep it here",
            f"{private}:用于签发命令(hearth send --key)。持有者即可下令,请妥善保管",
        )
    )
    print(
        text(
            f"{public}: for the gateways, under [commands] keys",
            f"{public}:分发到各网关,填入 [commands] keys",
        )
    )
    return 0
