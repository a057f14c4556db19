"""`hearth demo` as a person runs it: real programs, real processes, a real outage."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys

import pytest

pytestmark = pytest.mark.timeout(180)


def _demo(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "gateway.cli.main", "demo", "--seconds", "12", *arguments]


def _balanced(books: dict, presses: int = 3) -> None:
    assert books["balanced"] is True, books
    assert books["calls_stored"] == len(books["presses"]) == presses
    assert all(press["light_s"] < 5 for press in books["presses"])
    assert {lane["lane"] for lane in books["lanes"]} == {"urgent", "routine"}
    for lane in books["lanes"]:
        assert lane["stored"] + lane["lost"] == lane["accepted"] == books["accepted"][lane["lane"]]
        assert lane["missing"] == lane["conflicts"] == 0


def test_the_books_balance_after_an_outage_and_a_kill():
    result = subprocess.run(_demo("--json", "--kill"), capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    books = json.loads(result.stdout)
    _balanced(books)
    assert "kill -9" in result.stderr


def test_kill_9_from_outside_in_the_middle_of_the_outage_loses_nothing(tmp_path):
    """Whoever kills the daemon after the light came on finds the call at the collector."""
    process = subprocess.Popen(
        _demo("--keep", str(tmp_path / "demo")),
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"HEARTH_LANG": "en"},
    )
    assert process.stdout
    pid, killed, lines = 0, False, list[str]()
    for line in process.stdout:
        lines.append(line)
        if found := re.search(r"gateway \(process (\d+)", line):
            pid = int(found[1])
        if not killed and pid and "light comes on" in line and "BROKER" in "".join(lines):
            os.kill(pid, signal.SIGKILL)
            killed = True
    assert process.wait() == 0, "".join(lines)
    process.stdout.close()
    page = "".join(lines)
    assert killed
    assert "the gateway died (-9)" in page
    assert "The books balance." in page
    assert "presses / calls stored               3 / 3" in page


def test_the_embedded_broker_will_do():
    """A machine without mosquitto: amqtt, MQTT 3.1.1."""
    chinese = os.environ | {"HEARTH_LANG": "zh"}
    demo = _demo("--broker", "amqtt")
    result = subprocess.run(demo, capture_output=True, text=True, env=chinese)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "amqtt" in result.stdout
    assert "账目相符" in result.stdout
