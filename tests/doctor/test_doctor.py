"""`hearth doctor` as a fitter runs it, and over a real libgpiod."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from argparse import ArgumentParser
from pathlib import Path

import pytest
from fake_gpio import LABEL, FakeGpio
from shims import GPIO, build_shim

from drivers.sim.board import VirtualBoard
from gateway.cli import doctor
from gateway.signing.keys import write_keys
from gateway.signing.signature import PrivateKey


def config(folder: Path, port: int, devices: str = "") -> Path:
    path = folder / "hearth.toml"
    path.write_text(
        f"""
[gateway]
id = "test-home"
[uplink]
url = "mqtt://127.0.0.1:{port}"
[journal]
path = "{folder}/journal"
quota = "2 MiB"
[control]
socket = "{folder}/control.sock"
[commands]
keys = ["{folder}/desk.pub"]
{devices}"""
    )
    return path


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """With a key in it."""
    monkeypatch.setenv("HEARTH_LANG", "en")
    write_keys(PrivateKey.generate(), str(tmp_path / "desk"))
    return tmp_path


@pytest.fixture
def port():
    """A port that takes connections."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def run(path: Path, *more: str) -> int:
    parser = ArgumentParser()
    doctor.add(parser.add_subparsers())
    arguments = parser.parse_args(["doctor", "-c", str(path), *more])
    return arguments.run(arguments)


BUTTON = '[[device]]\nid = "call"\ndriver = "button"\noffset = 17\nchip = "{chip}"\n'


async def test_a_gateway_without_a_fault(folder, port, capsys):
    path = config(folder, port, BUTTON.format(chip=f"sim:{folder}/board.sock"))
    async with VirtualBoard(folder / "board.sock"):
        assert run(path) == 0
    page = capsys.readouterr().out
    assert "ok       configuration    sound, 1 devices\n" in page
    assert "ok       call             virtual hardware is there\n" in page
    assert "warning  daemon           does not answer" in page
    assert "faults: 0, warnings: " in page.splitlines()[-1]
    assert not (folder / "journal").exists()


def test_faults_have_hints_and_a_code(folder, port, capsys):
    assert run(config(folder, port, BUTTON.format(chip="pinctrl-nowhere"))) == 1
    page = capsys.readouterr().out
    assert "FAULT    call             pinctrl-nowhere: no such chip\n" in page
    assert "                          hint: gpiodetect lists" in page


def test_a_file_with_faults_ends_the_visit_with_all_of_them(folder, capsys):
    path = folder / "hearth.toml"
    path.write_text("[uplink]\nurl = 5\n")
    assert run(path, "--json") == 1
    found = json.loads(capsys.readouterr().out)
    faults = [it["what"] for it in found if it["level"] == "fault"]
    assert len(faults) == 2
    assert {it["about"] for it in found} >= {"clock", "time zone", "configuration"}


def test_in_chinese(folder, port, capsys, monkeypatch):
    monkeypatch.setenv("HEARTH_LANG", "zh")
    assert run(config(folder, port)) == 0
    page = capsys.readouterr().out
    assert "正常  configuration    配置正确，0 个设备\n" in page
    assert "故障 0 项，注意" in page


async def test_lines_of_a_chip_found_by_its_label(folder, port):
    """libgpiod is real; its kernel is played."""
    shim = build_shim(GPIO, folder)
    if shim is None:
        pytest.skip("no C compiler to build the simulated GPIO chip with")
    path = config(folder, port, BUTTON.format(chip=LABEL) + "light = 64\n")
    wrong = await _look_at_call(path, shim)
    assert (wrong["level"], "gpioinfo" in wrong["hint"]) == ("fault", True)
    path = config(folder, port, BUTTON.format(chip=LABEL) + "light = 27\n")
    right = await _look_at_call(path, shim)
    assert (right["level"], right["what"]) == ("ok", f"{LABEL} lines 17, 27 can be had")


async def _look_at_call(path: Path, shim: Path) -> dict[str, str]:
    async with FakeGpio(shim) as gpio:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway.cli.main", "doctor", "--json", "-c", str(path)),
            env={**os.environ, **gpio.env},
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate()
    (finding,) = [it for it in json.loads(out) if it["about"] == "call"]
    return finding
