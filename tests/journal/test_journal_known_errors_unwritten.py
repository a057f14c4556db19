"""What the flash refuses is not stored, is not called stored, and gets to the far side all the same."""

from __future__ import annotations

import errno
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from gateway.clock import SystemClock
from gateway.errors import JournalSaturated, JournalWriteFailed
from gateway.journal import Journal
from gateway.journal.files import OsFiles
from gateway.journal.reader import Run
from gateway.model import Lane

U, R = Lane.URGENT, Lane.ROUTINE
QUOTA = 2 << 20


class FailingFlash(OsFiles):
    """The system's files, until `broken`: then every write and flush is refused."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = False
        self.refused = 0

    def pwrite(self, fd, data, offset):
        self._check()
        super().pwrite(fd, data, offset)

    def fdatasync(self, fd):
        self._check()
        super().fdatasync(fd)

    def _check(self) -> None:
        if self.broken:
            self.refused += 1
            raise OSError(errno.EROFS, "Read-only file system")


@pytest.fixture
def flash() -> FailingFlash:
    return FailingFlash()


@pytest.fixture
def journal(tmp_path: Path, flash: FailingFlash):
    journal = open_on(flash, tmp_path)
    yield journal
    journal.close()


def open_on(flash: OsFiles, folder: Path) -> Journal:
    return Journal.open(
        folder / "j", quota_bytes=QUOTA, clock=SystemClock(), commit_interval_s=0.01, files=flash
    )


def refuse(journal: Journal, lane: Lane, payload: bytes) -> None:
    """An event that the flash refuses, and says so."""
    with pytest.raises(JournalWriteFailed, match="Read-only"):
        journal.append(lane, payload).result(5)


def stored(journal: Journal, lane: Lane) -> list[tuple[int, bytes]]:
    found, after = [], 0
    while run := journal.read(lane, after, 1 << 16):
        found += enumerate(run.payloads, run.first)
        after = run.last
    return found


@pytest.mark.parametrize("lane", list(Lane))
def test_it_is_offered_under_another_uuid_and_forgotten_when_acknowledged(journal, flash, lane):
    journal.append(lane, b"before").result(5)
    flash.broken = True
    refuse(journal, lane, b"one")
    refuse(journal, lane, b"two")
    memory = journal.unwritten
    assert memory.uuid != journal.uuid
    assert journal.read(lane, 1, 100) is None, "what is not on flash is not read as if it were"
    run = memory.read(lane, 0, 100)
    assert (run.first, run.payloads) == (1, (b"one", b"two"))
    assert journal.status()[lane].unwritten == 2
    memory.acknowledge(lane, 1)
    assert memory.read(lane, 0, 100).payloads == (b"two",)
    memory.acknowledge(lane, 2)
    assert memory.read(lane, 2, 100) is None
    assert (journal.status()[lane].unwritten, memory.durable(lane)) == (0, 2)


def test_a_claimed_event_gives_its_seq_to_the_next_one(journal, flash):
    """The lane has no hole: what was claimed never had a place on flash."""
    journal.append(U, b"before").result(5)
    flash.broken = True
    refuse(journal, U, b"call")
    assert journal.unwritten.read(U, 0, 100).payloads == (b"call",)
    flash.broken = False
    assert journal.append(U, b"after").result(5) == 2
    assert stored(journal, U) == [(1, b"before"), (2, b"after")]
    for _ in range(1000):  # `meta` is saved again after a second
        if not journal.status()[U].failed:
            return
        threading.Event().wait(0.005)
    raise AssertionError(journal.status()[U].failed)


def test_what_nobody_claimed_is_stored_in_order_when_the_flash_takes_it(journal, flash):
    flash.broken = True
    for payload in (b"a", b"b", b"c"):
        refuse(journal, U, payload)
    assert journal.unwritten.read(U, 0, 1).payloads == (b"a",), "only as many as fit"
    flash.broken = False
    journal.append(U, b"d").result(5)
    assert stored(journal, U) == [(1, b"b"), (2, b"c"), (3, b"d")]
    assert journal.unwritten.read(U, 1, 100) is None


def test_it_survives_a_restart_once_it_was_written(tmp_path, flash):
    path = tmp_path / "j"
    journal = Journal.open(path, quota_bytes=QUOTA, clock=SystemClock(), files=flash)
    for number in range(3):
        journal.append(U, b"%d" % number).result(5)
    flash.broken = True
    refuse(journal, U, b"claimed")
    journal.unwritten.read(U, 0, 100)
    refuse(journal, U, b"kept")
    flash.broken = False
    journal.append(U, b"last").result(5)
    journal.close()
    again = Journal.open(path, quota_bytes=QUOTA, clock=SystemClock())
    assert [payload for _, payload in stored(again, U)] == [b"0", b"1", b"2", b"kept", b"last"]
    again.close()


def test_whoever_forwards_is_told(journal, flash):
    told = threading.Event()
    journal.unwritten.watch(lambda lane: told.set() if lane is U else None)
    flash.broken = True
    refuse(journal, U, b"call")
    assert told.wait(5)


def test_no_stored_event_is_given_up_because_writes_fail(journal, flash):
    """Failing writes go round the free segments; they do not push out what is on flash."""
    for number in range(20):
        journal.append(R, b"%d" % number)
    journal.flush()
    before = stored(journal, R)
    flash.broken = True
    for number in range(30):
        refuse(journal, R, b"lost %d" % number)
        journal.unwritten.read(R, number, 100)
    flash.broken = False
    journal.append(R, b"after").result(5)
    assert stored(journal, R)[:20] == before
    assert [payload for _, payload in stored(journal, R)][20:] == [b"after"]


def test_memory_is_bounded(journal, flash):
    flash.broken = True
    with pytest.raises(JournalSaturated):  # noqa: PT012 - which one is refused is not the point
        for _ in range(10_000):
            journal.append(U, bytes(1000))


def test_without_any_flash_a_call_is_still_forwarded(tmp_path):
    journal = Journal.without_flash(SystemClock(), OSError(errno.EIO, "Input/output error"))
    with pytest.raises(JournalWriteFailed, match="Input/output"):
        journal.append(U, b"call").result(5)
    assert journal.unwritten.read(U, 0, 100).payloads == (b"call",)
    status = journal.status()[U]
    assert (status.durable, status.unwritten) == (0, 1)
    assert "Input/output" in status.failed
    assert any("cannot be used" in note for note in journal.trouble.notes)
    journal.unwritten.acknowledge(U, 1)
    journal.close()


def test_a_store_on_a_disk_that_is_read_only_now_is_still_read(tmp_path):
    """What was stored before the card fell read-only is forwarded after a restart, too."""
    path = tmp_path / "j"
    journal = Journal.open(path, quota_bytes=QUOTA, clock=SystemClock())
    journal.append(U, b"call").result(5)
    journal.close()
    flash = FailingFlash()
    flash.broken = True
    again = Journal.open(path, quota_bytes=QUOTA, clock=SystemClock(), files=flash)
    assert stored(again, U) == [(1, b"call")]
    refuse(again, U, b"another")
    assert again.unwritten.read(U, 0, 100).payloads == (b"another",)
    again.close()


def test_a_stop_does_not_wait_for_what_leaves_meanwhile():
    """The forwarder claims at any moment of a flush; whoever flushes is told, and goes on."""
    rng = random.Random(1)
    for _ in range(50):
        journal = Journal.without_flash(SystemClock(), OSError(errno.EIO, "no card"))
        for lane in Lane:
            journal.append(lane, b"refused")
        time.sleep(rng.random() * 0.003)  # the moment is the point, and it is drawn by lot
        flushing = threading.Thread(target=_flush, args=(journal,), daemon=True)
        flushing.start()
        for _ in range(40):
            for lane in Lane:
                journal.unwritten.read(lane, 0, 4096)
        flushing.join(10)
        assert not flushing.is_alive(), "it waits for a commit that never comes"
        journal.close()


def _flush(journal: Journal) -> None:
    with suppress(JournalWriteFailed):
        journal.flush()


# --- once it has recovered ------------------------------------------------------------------------


def wait_until(is_so: Callable[[], bool]) -> None:
    """Return when it is so; the writer's thread has nobody to tell it to."""
    until = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.001)


@pytest.fixture
def quick_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """The flash is asked again soon."""
    monkeypatch.setattr("gateway.journal.log.PROBE_INTERVAL_S", 0.005)


@pytest.mark.parametrize("lane", list(Lane))
def test_flash_that_recovered_is_not_called_failing_though_nothing_waits(
    journal, flash, lane, quick_probe
):
    """What was refused has left by another way: no commit will show that the flash is well."""
    flash.broken = True
    refuse(journal, lane, b"help")
    journal.unwritten.acknowledge(lane, _claim_all(journal, lane))
    assert journal.status()[lane].failed
    assert journal.status()[lane].unwritten == 0
    flash.broken = False
    wait_until(lambda: not journal.status()[lane].failed)
    written = journal.bytes_written
    journal.append(lane, b"after").result(5)
    assert journal.bytes_written > written


def test_flash_that_still_refuses_is_asked_again_and_stays_failing(journal, flash, quick_probe):
    flash.broken = True
    refuse(journal, U, b"help")
    journal.unwritten.acknowledge(U, _claim_all(journal, U))
    refused = flash.refused
    wait_until(lambda: flash.refused > refused + 5)
    assert "Read-only" in journal.status()[U].failed


def test_asking_the_flash_costs_a_store_nothing(tmp_path, flash, quick_probe):
    """Segments have gone round, so that what is written over held events once."""
    journal = open_on(flash, tmp_path)
    for number in range(3000):
        journal.append(R, b"reading %d" % number * 20)
        if number % 50 == 49:
            journal.flush()
            journal.acknowledge(R, journal.durable(R) - 10)
    journal.flush()
    waiting = stored(journal, R)[-10:]
    flash.broken = True
    refuse(journal, R, b"refused")
    journal.unwritten.acknowledge(R, _claim_all(journal, R))
    flash.broken = False
    wait_until(lambda: not journal.status()[R].failed)
    journal.close()
    again = open_on(flash, tmp_path)
    assert not again.trouble.set_aside
    assert not again.trouble.notes
    assert stored(again, R)[-10:] == waiting
    again.close()


def _claim_all(journal: Journal, lane: Lane) -> int:
    """Take over what was refused, as the forwarder does; the last seq of it."""
    runs: list[Run] = []
    wait_until(lambda: bool(_take(journal, lane, runs)))  # not while it is being tried again
    return runs[0].last


def _take(journal: Journal, lane: Lane, runs: list[Run]) -> list[Run]:
    if run := journal.unwritten.read(lane, 0, 1 << 16):
        runs.append(run)
    return runs
