"""The unit and its companions, held against systemd's own tools."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

SYSTEMD = Path(__file__).parents[1] / "systemd"


def _tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not on this machine")
    return path


def _unit(tmp_path: Path) -> Path:
    """The unit with a command that exists here; everything else as it is shipped."""
    text = (SYSTEMD / "hearth.service").read_text("utf-8")
    unit = tmp_path / "hearth.service"
    changed, count = re.subn(r"(?m)^ExecStart=.*$", "ExecStart=/bin/true", text)
    assert count == 1
    unit.write_text(changed, "utf-8")
    return unit


def test_the_unit_is_valid(tmp_path):
    result = subprocess.run(
        [_tool("systemd-analyze"), "verify", str(_unit(tmp_path))], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert "hearth.service" not in result.stderr


def test_the_unit_is_sandboxed(tmp_path):
    """Exposure 2.0 of 10 when written; the threshold is in tenths."""
    tool, unit = _tool("systemd-analyze"), str(_unit(tmp_path))
    command = [tool, "security", "--offline=true", "--no-pager", "--threshold=22", unit]
    result = subprocess.run(command, capture_output=True, text=True)
    assert "Overall exposure" in result.stdout, result.stderr
    assert result.returncode == 0, result.stdout


def test_the_command_of_the_unit_is_one_that_hearth_has():
    from gateway.cli.main import _parser

    text = (SYSTEMD / "hearth.service").read_text("utf-8")
    command = re.search(r"(?m)^ExecStart=(.*)$", text)
    assert command
    _, *arguments = command[1].split()
    assert _parser().parse_args(arguments).config == "/etc/hearth/hearth.toml"


def test_the_user_and_its_groups_are_made(tmp_path):
    (tmp_path / "etc").mkdir()
    subprocess.run(
        [_tool("systemd-sysusers"), f"--root={tmp_path}", str(SYSTEMD / "hearth.sysusers")],
        check=True,
        capture_output=True,
    )
    users = (tmp_path / "etc/passwd").read_text()
    groups = (tmp_path / "etc/group").read_text()
    assert re.search(r"(?m)^hearth:.*:/var/lib/hearth:.*nologin$", users)
    for group in ("gpio", "dialout", "bluetooth", "audio"):
        assert re.search(rf"(?m)^{group}:.*\bhearth$", groups), group
