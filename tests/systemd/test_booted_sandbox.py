"""What hearth.service forbids, tried from within; and that all that hearth needs is left."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path

import pytest
from unit_kit import clean

from gateway.clock import SystemClock

PROBE = Path(__file__).with_name("sandbox_probe.py")
# The unit as it is shipped, with another program, which ends.
DROP_IN = """[Service]
Type=oneshot
Restart=no
StandardOutput=truncate:/srv/answers
ExecStart=
ExecStart=/opt/hearth/bin/python3 /srv/probe.py {port}
"""
# Nodes as a kernel would make them. No driver of this kernel answers at most of them: who may open
# them gets ENXIO, who may not, EPERM.
NODES = {
    "other": "1 11",
    "ttyUSB0": "188 0",
    "ttyACM0": "166 0",
    "ttyAMA0": "204 64",
    "snd": "116 0",
}
FORBIDDEN = {
    "write /etc": "EROFS",
    "write /usr": "EROFS",
    "write /opt": "EROFS",
    "write /var/lib": "EROFS",
    "see /home": "EACCES",
    "see /root": "EACCES",
    "see processes": "ENOENT",
    "raw packets": "EAFNOSUPPORT",
    "netlink": "EAFNOSUPPORT",
    "vsock": "EAFNOSUPPORT",
    "user namespace": "EPERM",
    "mount namespace": "EPERM",
    "mount": "EPERM",
    "trace": "EPERM",
    "user id bit": "EPERM",
    "real time": "EPERM",
    "kernel's messages": "EPERM",
}
NEEDED = (
    "write state", "write runtime", "write /tmp", "unix socket", "tcp", "names", "serial line",
)  # fmt: skip
# Their drivers may be loaded after hearth was started, when something is plugged in.
PLUGGED_IN = ("usb adapter", "usb modem", "sound card", "serial port of the board")


@pytest.fixture(scope="module")
def answers(booted):
    """What the probe found."""
    for name, numbers in NODES.items():
        booted.run("mknod", "--mode=666", f"/dev/{name}", "c", *numbers.split())
    program = booted.file("/srv/probe.py")
    shutil.copyfile(PROBE, program)
    program.chmod(0o644)
    with socket.create_server(("127.0.0.1", 0)) as server:
        booted.drop_in("hearth.service", DROP_IN.format(port=server.getsockname()[1]))
        booted.systemctl("start", "hearth")
    found = json.loads(booted.file("/srv/answers").read_text())
    booted.run("sh", "-c", f"cd /dev && rm {' '.join(NODES)}")
    clean(booted)
    return found


@pytest.mark.parametrize("what", FORBIDDEN)
def test_it_may_not(answers, what):
    assert answers[what] == FORBIDDEN[what]


def test_it_has_no_right_by_which_it_could(answers):
    capabilities, bounds, no_new, filtered = answers["rights"].split()
    assert int(capabilities, 16) == int(bounds, 16) == 0
    assert (no_new, filtered) == ("1", "2")


@pytest.mark.parametrize("what", NEEDED)
def test_it_may(answers, what):
    assert answers[what] == "done"


@pytest.mark.parametrize("what", PLUGGED_IN)
def test_what_is_plugged_in_later_may_be_opened(answers, what):
    assert answers[what] in ("ENXIO", "ENODEV", "EIO", "done")


def test_it_knows_how_good_the_clock_is(answers):
    assert answers["clock"] == SystemClock().stamp().quality.name


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_it_can_speak(answers):
    assert answers["speak"] == "done"
