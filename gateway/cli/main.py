"""`hearth`: finds the command, runs it, and turns every error into a line or two with a hint."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING

from gateway import __version__
from gateway.cli.text import text
from gateway.errors import HearthError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = (
    "run",
    "check",
    "doctor",
    "status",
    "devices",
    "probe",
    "test",
    "journal",
    "collect",
    "fleet",
    "send",
    "keys",
    "phrases",
    "demo",
)

# A thread that decodes a backlog must not keep a call waiting: Python's 5 ms between two chances of
# another thread are most of a call's whole way.
SWITCH_INTERVAL_S = 0.0001

EXIT_OK, EXIT_FAILED, EXIT_SETTINGS, EXIT_INTERRUPTED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(
        level=logging.DEBUG if arguments.verbose else logging.INFO,
        format="%(name)s: %(message)s",  # systemd's journal adds time and unit
    )
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    try:
        code: int = arguments.run(arguments)
    except SettingsError as error:
        return _tell(error, EXIT_SETTINGS)
    except HearthError as error:
        return _tell(error, EXIT_FAILED)
    except OSError as error:
        if isinstance(error, BrokenPipeError):  # `hearth journal export | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return EXIT_OK
        return _tell(HearthError(str(error) or type(error).__name__), EXIT_FAILED)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return code


def _tell(error: HearthError, code: int) -> int:
    print(f"hearth: {error}", file=sys.stderr)
    if error.hint:
        print(f"  {text('hint', '提示')}: {error.hint}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hearth",
        description=text(
            "The daemon of a home gateway for people who live alone.",
            "独居老人家庭网关守护程序。",
        ),
    )
    parser.add_argument("--version", action="version", version=f"hearth {__version__}")
    parser.add_argument(
        "-v", "--verbose", action="store_true", help=text("log details", "输出详细日志")
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name in COMMANDS:
        import_module(f"gateway.cli.{name}").add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
