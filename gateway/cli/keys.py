"""`hearth keys new`: a pair of keys, one to sign with and one to know that by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.cli.text import text

if TYPE_CHECKING:
    import argparse


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("keys", help=text("keys that sign", "签名密钥"))
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
    from gateway.signing.keys import write_keys
    from gateway.signing.signature import PrivateKey

    private, public = write_keys(PrivateKey.generate(), arguments.out)
    print(
        text(
            f"{private}: signs orders (hearth send --key) or acknowledgements (hearth collect"
            " --ack-key); whoever has it can do so: keep it here",
            f"{private}：用于签发命令（hearth send --key）或确认消息（hearth collect --ack-key）。"
            "持有者即可签发，请妥善保管",
        )
    )
    print(
        text(
            f"{public}: for the gateways, under [commands] keys or [uplink] ack_keys",
            f"{public}：分发到各网关，填入 [commands] keys 或 [uplink] ack_keys",
        )
    )
    return 0
