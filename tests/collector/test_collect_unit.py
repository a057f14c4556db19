"""The collector's unit, held against systemd's own tools, and against `hearth collect`."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "systemd/hearth-collect.service").read_text("utf-8")


@pytest.fixture
def unit(tmp_path):
    """The unit with a command that exists here; everything else as it is shipped."""
    path = tmp_path / "hearth-collect.service"
    changed, count = re.subn(r"(?m)^ExecStart=.*$", "ExecStart=/bin/true", TEXT)
    assert count == 1
    path.write_text(changed, "utf-8")
    return path


@pytest.fixture
def analyze():
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("systemd-analyze is not on this machine")
    return lambda *arguments: subprocess.run(
        [tool, *arguments], capture_output=True, text=True, timeout=60
    )


def test_the_unit_is_valid(unit, analyze):
    result = analyze("verify", str(unit))
    assert result.returncode == 0, result.stderr
    assert "hearth-collect.service" not in result.stderr


def test_the_unit_is_sandboxed(unit, analyze):
    """Exposure 1.2 of 10 when written; the threshold is in tenths."""
    result = analyze("security", "--offline=true", "--no-pager", "--threshold=15", str(unit))
    assert "Overall exposure" in result.stdout, result.stderr
    assert result.returncode == 0, result.stdout


def test_the_command_of_the_unit_is_one_that_hearth_has():
    """With the example's variables put in as systemd does: ${X} is one word, $X is several."""
    from gateway.cli.main import _parser

    example = (ROOT / "config/hearth-collect.example.env").read_text("utf-8")
    values = dict(re.findall(r'(?m)^(HEARTH_\w+)="?([^"\n]*)"?$', example))
    command = re.search(r"(?m)^ExecStart=(.*)$", TEXT)
    assert command
    words = []
    for word in shlex.split(command[1])[1:]:
        name = word.strip("${}")
        words += (
            [word]
            if name not in values
            else [values[name]]
            if word.startswith("${")
            else values[name].split()
        )
    arguments = _parser().parse_args(words)
    assert arguments.store == "sqlite:///var/lib/hearth-collect/events.db"
    assert arguments.password_file == "credential:mqtt-password"
    assert arguments.webhook_secret_file == "credential:webhook-secret"
    for name in ("mqtt-password", "webhook-secret"):
        assert f"LoadCredential={name}:/etc/hearth/{name}" in TEXT
