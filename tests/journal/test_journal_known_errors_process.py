"""A real process on a real disk: killed, or its flash failing under it, at any moment."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from kill_cases import QUOTA, Writer, check, kill_case

from gateway.clock import SystemClock
from gateway.journal import Journal
from gateway.model import Lane

KILLS = 100


def test_kill_9_loses_nothing_that_was_confirmed(tmp_path):
    """Again and again, each time after a random moment of work."""
    rng = random.Random(9)
    confirmed = {"u": 0, "r": 0}
    for _ in range(KILLS):
        kill_case(tmp_path / "j", confirmed, rng)
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
