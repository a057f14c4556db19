"""A real process on a real disk: killed, or its flash failing under it, at any moment."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.clock import SystemClock
from gateway.journal import Journal
from gateway.model import Lane

QUOTA = 2 << 20
KILLS = 100

# Says what it was told: `u 7` when seq 7 of the urgent lane was confirmed, `u !` when refused.
WRITER = """
import sys
from gateway.clock import SystemClock
from gateway.errors import JournalError
from gateway.journal import Journal
from gateway.model import Lane
journal = Journal.open(sys.argv[1], quota_bytes=2 << 20, clock=SystemClock(), commit_interval_s=.01)
print("ready", flush=True)
number = 0
while True:
    try:
        routine = [journal.append(Lane.ROUTINE, b"r%d" % i) for i in range(5)]
        number += 1
        print("u", journal.append(Lane.URGENT, b"call %d" % number).result(), flush=True)
        print("r", routine[-1].result(), flush=True)
    except JournalError:
        print("u !", flush=True)
    if number % 50 == 0:
        for lane in Lane:
            journal.acknowledge(lane, max(0, journal.durable(lane) - 20))
"""


class Writer:
    """A process that writes to a journal and says what was confirmed."""

    def __init__(self, folder: Path, *before: str) -> None:
        self.confirmed = {"u": 0, "r": 0}
        self.refused = 0
        self._process = subprocess.Popen(
            [*before, sys.executable, "-c", WRITER, str(folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdout
        self._out = self._process.stdout
        assert self._out.readline() == "ready\n"

    def hear(self, lines: int) -> None:
        """The next so many lines."""
        for _ in range(lines):
            self._take(self._out.readline())

    def kill(self) -> None:
        """SIGKILL, and what it managed to say before."""
        os.killpg(self._process.pid, signal.SIGKILL)
        for line in self._out:
            self._take(line)
        self._process.wait()
        self._out.close()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def _take(self, line: str) -> None:
        if not line.endswith("\n"):
            return  # killed in the middle of a word
        lane, seq = line.split()
        if seq == "!":
            self.refused += 1
        else:
            self.confirmed[lane] = max(self.confirmed[lane], int(seq))


def check(folder: Path, confirmed: dict[str, int]) -> dict[Lane, list[bytes]]:
    """Every confirmed seq is there or acknowledged, in order, without a gap; what is there."""
    journal = Journal.open(folder, quota_bytes=QUOTA, clock=SystemClock())
    found = {}
    for lane, key in ((Lane.URGENT, "u"), (Lane.ROUTINE, "r")):
        assert journal.durable(lane) >= confirmed[key], f"{lane.name}: confirmed and gone"
        payloads, expected = [], journal.acknowledged(lane) + 1
        while run := journal.read(lane, expected - 1, 1 << 16):
            assert run.first == expected, f"{lane.name}: a hole before {run.first}"
            payloads += run.payloads
            expected = run.last + 1
        assert expected == journal.durable(lane) + 1
        found[lane] = payloads
    assert not journal.trouble.set_aside
    journal.close()
    return found


def test_kill_9_loses_nothing_that_was_confirmed(tmp_path):
    """Again and again, each time after a random moment of work."""
    rng = random.Random(9)
    confirmed = {"u": 0, "r": 0}
    for _ in range(KILLS):
        writer = Writer(tmp_path / "j")
        writer.hear(rng.choice([0, 1, 5, 20, 60]))
        time.sleep(rng.random() * 0.004)  # the moment is the point, and it is drawn by lot
        writer.kill()
        confirmed = {key: max(seq, confirmed[key]) for key, seq in writer.confirmed.items()}
    assert min(confirmed.values()) > KILLS
    check(tmp_path / "j", confirmed)


needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")


def strace(call: str, when: str, error: str = "EIO") -> tuple[str, ...]:
    inject = f"inject={call}:error={error}:when={when}"
    return ("strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", inject)


@needs_strace
@pytest.mark.parametrize("when", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("call", ["fdatasync", "pwrite64"])
def test_one_refused_call_goes_unnoticed_by_who_waits(tmp_path, call, when):
    """The kernel itself says EIO, once; the spare segment takes what was refused."""
    Writer(tmp_path / "j").kill()  # the store is made without a fault
    writer = Writer(tmp_path / "j", *strace(call, str(when)))
    writer.hear(40)
    writer.kill()
    assert writer.refused == 0
    assert min(writer.confirmed.values()) > 5
    check(tmp_path / "j", writer.confirmed)


@needs_strace
@pytest.mark.parametrize("call", ["fdatasync", "pwrite64"])
@pytest.mark.parametrize("error", ["EIO", "ENOSPC", "EROFS"])
def test_flash_that_refuses_for_good_is_never_called_stored(tmp_path, call, error):
    writer = Writer(tmp_path / "j")
    writer.hear(30)
    writer.kill()
    before = writer.confirmed
    stored = check(tmp_path / "j", before)
    writer = Writer(tmp_path / "j", *strace(call, "6+", error))
    while writer.refused < 5:
        writer.hear(1)
    assert writer.alive
    confirmed = dict(writer.confirmed)
    writer.hear(3)
    assert writer.confirmed == confirmed, "confirmed though the flash refuses"
    writer.kill()
    after = check(tmp_path / "j", {k: max(before[k], confirmed[k]) for k in before})
    for lane in Lane:
        assert after[lane][: len(stored[lane])] == stored[lane], "what was stored is still there"


@pytest.fixture
def card(tmp_path: Path) -> Iterator[Path]:
    """A filesystem of its own, to be broken."""
    if os.geteuid() != 0:
        pytest.skip("needs root to mount")
    image, mount = tmp_path / "card", tmp_path / "mnt"
    mount.mkdir()
    with image.open("wb") as file:
        file.truncate(24 << 20)
    for command in (
        ["mkfs.ext4", "-q", "-F", "-b", "4096", str(image)],
        ["mount", "-o", "loop,errors=remount-ro", str(image), str(mount)],
    ):
        if shutil.which(command[0]) is None or subprocess.run(command).returncode != 0:
            pytest.skip(f"{command[0]} does not work here")
    yield mount
    subprocess.run(["umount", "-l", str(mount)], check=True)


def fall_read_only(mount: Path) -> None:
    """What the kernel does to a card whose filesystem it does not trust any more."""
    device = Path(os.path.realpath(_device_of(mount))).name
    trigger = Path("/sys/fs/ext4", device, "trigger_fs_error")
    if not trigger.exists():
        pytest.skip("this kernel cannot be asked to distrust a filesystem")
    trigger.write_text("tested")


def _device_of(mount: Path) -> str:
    for line in Path("/proc/mounts").read_text().splitlines():
        device, where, *_ = line.split()
        if where == str(mount):
            return device
    raise LookupError(mount)


def test_a_card_that_falls_read_only(card):
    """Nothing is confirmed any more; what was stored is read, also after a restart on that card."""
    folder = card / "j"
    writer = Writer(folder)
    writer.hear(40)
    fall_read_only(card)
    while writer.refused < 3:
        writer.hear(1)
    confirmed = dict(writer.confirmed)
    writer.hear(3)
    assert writer.confirmed == confirmed
    writer.kill()
    found = check(folder, confirmed)  # opened on the card as it is now
    assert found[Lane.URGENT]
    journal = Journal.open(folder, quota_bytes=QUOTA, clock=SystemClock())
    with pytest.raises(Exception, match="refused"):
        journal.append(Lane.URGENT, b"call").result(10)
    assert journal.unwritten.read(Lane.URGENT, 0, 100).payloads == (b"call",)
    journal.close()


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 20))


def test_a_disk_that_others_filled_up_does_not_stop_the_journal(card):
    """All its room was taken at creation."""
    folder = card / "j"
    Writer(folder).kill()
    with pytest.raises(OSError, match="space"):
        fill(card / "others")
    writer = Writer(folder)
    writer.hear(200)
    writer.kill()
    assert writer.refused == 0
    check(folder, writer.confirmed)
