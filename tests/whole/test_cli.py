"""The command line as people use it: exit codes, one or two lines of error, never a traceback."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import cbor2
import pytest

from gateway import __version__
from gateway.clock import SystemClock
from gateway.codec import encode_event
from gateway.journal import Journal
from gateway.model import Event, Kind, Lane, Measurement, TimeQuality

QUOTA = "2 MiB"


def hearth(*arguments: str, zh: bool = False) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "gateway.cli.main", *arguments],
        capture_output=True,
        env=os.environ | {"HEARTH_LANG": "zh" if zh else "en"},
        timeout=60,
    )


def _config(folder: Path, extra: str = "", port: int = 1) -> Path:
    path = folder / "hearth.toml"
    path.write_text(
        f"""
[gateway]
id = "test-home"
[uplink]
url = "mqtt://127.0.0.1:{port}"
[journal]
path = "{folder}/journal"
quota = "{QUOTA}"
[control]
socket = "{folder}/control.sock"
{extra}"""
    )
    return path


def _error(result: subprocess.CompletedProcess[bytes], code: int) -> str:
    """The error text of a command that failed as it should."""
    text = result.stderr.decode()
    assert result.returncode == code, text
    assert "Traceback" not in text
    return text


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A journal with one call and two readings, one of them acknowledged."""
    journal = Journal.open(tmp_path / "journal", quota_bytes=2 << 20, clock=SystemClock())
    stamp = SystemClock().stamp()
    call = Event(Kind.CALL, "call-bedroom", stamp)
    reading = Event(Kind.MEASUREMENT, "meter", stamp, (Measurement("volume", 1.5, "m3"),))
    journal.append(Lane.URGENT, encode_event(call)).result()
    for _ in range(2):
        journal.append(Lane.ROUTINE, encode_event(reading))
    journal.flush()
    journal.acknowledge(Lane.ROUTINE, 1)
    journal.close()
    return tmp_path / "journal"


def test_version():
    assert hearth("--version").stdout.decode().strip() == f"hearth {__version__}"


def test_check_names_every_fault_with_its_line(tmp_path):
    extra = (
        '[[device]]\nid = "a"\ndriver = "buton"\n[[device]]\nid = "b"\ndriver = "modbus"\nunit=0\n'
    )
    text = _error(hearth("check", "-c", str(_config(tmp_path, extra))), 2)
    assert "no driver 'buton'" in text
    assert "device[1].bus: missing" in text
    assert "device[1].unit" in text
    assert "device[1].profile: missing" in text


def test_check_of_a_sound_file(tmp_path):
    assert b"sound" in hearth("check", "-c", str(_config(tmp_path))).stdout
    assert "配置正确" in hearth("check", "-c", str(_config(tmp_path)), zh=True).stdout.decode()


def test_check_takes_one_loudspeaker(tmp_path):
    """Two would take words from each other."""
    extra = "".join(f'[[device]]\nid = "{name}"\ndriver = "speaker"\n' for name in ("hall", "bed"))
    text = _error(hearth("check", "-c", str(_config(tmp_path, extra))), 2)
    assert "'hall' is one already; a home has only one speaker" in text


def test_the_doctor_tells_faults_with_hints_and_a_code(tmp_path):
    extra = '[[bus]]\nid = "b"\nport = "/nowhere/tty"\n'
    extra += '[[device]]\nid = "m"\ndriver = "mbus"\nbus = "b"\naddress = 1\n'
    result = hearth("doctor", "-c", str(_config(tmp_path, extra)))
    page = result.stdout.decode()
    assert (result.returncode, result.stderr) == (1, b"")
    assert "FAULT    bus b            /nowhere/tty: No such file or directory\n" in page
    assert "nobody can take a call" in page
    assert "故障" in hearth("doctor", "-c", str(tmp_path / "none.toml"), zh=True).stdout.decode()


def test_a_configuration_that_is_not_there():
    assert "cannot be read" in _error(hearth("run", "-c", "/nonexistent/hearth.toml"), 2)


def test_devices_lists_what_is_installed():
    text = hearth("devices").stdout.decode()
    names = ("bthome", "button", "cjt188", "modbus", "wristband")
    assert [name for name in names if name not in text] == []


def test_status_without_a_daemon_hints_at_systemd(tmp_path):
    text = _error(hearth("status", "-c", str(_config(tmp_path))), 1)
    assert "systemctl status hearth" in text


def test_a_second_daemon_is_refused(tmp_path, store):
    journal = Journal.open(store, quota_bytes=2 << 20, clock=SystemClock())
    text = _error(hearth("run", "-c", str(_config(tmp_path))), 1)
    assert f"process {os.getpid()} has this journal open" in text
    journal.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A filesystem of 1 MiB."""
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a small filesystem")
    mount = tmp_path / "small"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(mount)]
    if subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("no mount(8) here")
    yield mount
    subprocess.run(["umount", str(mount)], check=True)


def test_a_disk_that_is_too_small_says_how_much_is_missing(small_disk, tmp_path):
    config = _config(tmp_path)
    config.write_text(config.read_text().replace(f"{tmp_path}/journal", f"{small_disk}/journal"))
    text = _error(hearth("run", "-c", str(config)), 1)
    assert "the journal needs" in text
    assert re.search(r"hint: free \d\.\d MiB, or set a smaller \[journal\] quota", text)


def test_journal_inspect(store):
    facts = json.loads(hearth("journal", "inspect", "--json", str(store)).stdout)
    assert facts["lanes"]["urgent"]["waiting"] == 1
    assert facts["lanes"]["routine"] == facts["lanes"]["routine"] | {
        "acknowledged": 1,
        "newest": 2,
        "waiting": 1,
        "gaps": [],
        "untold": [],
    }
    assert "待上传 1" in hearth("journal", "inspect", str(store), zh=True).stdout.decode()


def test_journal_export_is_a_cbor_sequence(store):
    out = hearth("journal", "export", str(store)).stdout
    call = cbor2.loads(out)
    assert call[0] == Kind.CALL
    assert call[1] == "call-bedroom"
    assert cbor2.loads(out[len(cbor2.dumps(call)) :])[0] == Kind.MEASUREMENT


def test_journal_export_as_json_gives_anchored_times(store):
    journal = Journal.open(store, quota_bytes=2 << 20, clock=SystemClock())
    stamp = SystemClock().stamp()
    true_ms = 2_000_000_000_000
    anchor = type(stamp)(stamp.boot, stamp.uptime_ms, true_ms, TimeQuality.SYNCHRONISED)
    journal.append(Lane.ROUTINE, encode_event(Event(Kind.ANCHOR, "gateway", anchor)))
    journal.close()
    lines = hearth("journal", "export", "--json", str(store)).stdout.splitlines()
    events = [json.loads(line) for line in lines]
    assert [event["kind"] for event in events] == ["call", "measurement", "anchor"]
    call = events[0]
    if call["time_quality"] != "synchronised":  # this machine's own clock may be
        assert call["time_quality"] == "anchored"
        assert call["wall_ms"] == true_ms - stamp.uptime_ms + call["uptime_ms"]


def test_journal_verify_fails_on_damage_that_nobody_was_told_of(store):
    assert hearth("journal", "verify", str(store)).returncode == 0
    segment = next(f for f in sorted((store / "urgent").iterdir()) if any(f.read_bytes()))
    data = bytearray(segment.read_bytes())
    data[4096 + 30] ^= 1
    segment.write_bytes(data)
    result = hearth("journal", "verify", str(store))
    assert result.returncode == 1
    assert "damaged, not told yet: 1..1" in result.stdout.decode()


@pytest.mark.parametrize("action", ["inspect", "verify", "export"])
def test_no_journal_here(action, tmp_path):
    assert "no journal here" in _error(hearth("journal", action, str(tmp_path / "no")), 1)


class Manager:
    """The service manager's end of the notification socket.

    It reads all the time: the kernel keeps ten datagrams for it, and what comes on top is dropped.
    """

    def __init__(self, path: Path) -> None:
        self._seen: list[bytes] = []
        self._news = threading.Condition()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._listener.bind(str(path))
        self._reader = threading.Thread(target=self._read)

    def __enter__(self) -> Manager:
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._reader.join()
        self._listener.close()

    def heard(self, words: bytes, times: int = 1) -> None:
        """Until it has heard these words so often."""
        with self._news:
            assert self._news.wait_for(
                lambda: sum(words in message for message in self._seen) >= times, 20
            ), f"never heard {words!r}: {self._seen}"

    def _read(self) -> None:
        while message := self._listener.recv(1000):
            with self._news:
                self._seen.append(message)
                self._news.notify_all()


def test_the_daemon_says_when_it_is_ready_and_ends_cleanly(tmp_path):
    """Real process, real notification socket: READY, status, SIGTERM, STOPPING, exit 0."""
    with Manager(tmp_path / "notify") as manager:
        config = _config(tmp_path)
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway.cli.main", "run", "-c", str(config)],
            env=os.environ | {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"},
            stderr=subprocess.PIPE,
        )
        manager.heard(b"READY=1")
        manager.heard(b"WATCHDOG=1", times=3)
        status = json.loads(hearth("status", "--json", "-c", str(config)).stdout)
        assert status["gateway"] == "test-home"
        assert status["uplink"]["connected"] is False
        assert hearth("status", "-c", str(config)).stdout.decode().count("NOT CONNECTED") == 1
        found = json.loads(hearth("doctor", "--json", "-c", str(config)).stdout)
        levels = {(it["about"], it["level"]) for it in found}
        assert {("daemon", "ok"), ("journal", "ok"), ("uplink", "fault")} <= levels
        process.send_signal(signal.SIGTERM)
        manager.heard(b"STOPPING=1")
        _, log = process.communicate(timeout=20)
        assert process.returncode == 0, log.decode()
    lines = hearth("journal", "export", "--json", str(tmp_path / "journal")).stdout.splitlines()
    states = [json.loads(line)["detail"]["state"] for line in lines]
    assert states == ["started", "alive", "stopped"]


def test_collect_needs_a_broker_and_a_sound_url(tmp_path):
    store = f"sqlite://{tmp_path}/e.db"
    assert "--url: missing" in _error(hearth("collect", "--store", store), 2)
    text = _error(hearth("collect", "--store", store, "--url", "mqtt://far.example"), 2)
    assert "plaintext to another machine" in text
    assert "store" in _error(hearth("collect", "--check", "--store", "oracle://x"), 2)


def test_a_fleet_of_which_nobody_was_heard_yet(tmp_path):
    result = hearth("fleet", "--json", "--store", f"sqlite://{tmp_path}/e.db")
    assert (result.returncode, json.loads(result.stdout)) == (0, [])
