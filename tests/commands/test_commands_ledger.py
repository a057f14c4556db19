"""What was begun is remembered until it expires, whatever the power and the clock do."""

import errno
from pathlib import Path
from random import Random

import pytest
from ordered import DAY, HOUR, NOW, command_of
from simdisk import SimDisk

from gateway.commands import ledger as ledger_module
from gateway.commands.ledger import MAX_BYTES, MAX_SKEW_MS, Ledger
from gateway.commands.wire import MAX_REPLY_BYTES, Outcome, Reply, encode_reply
from gateway.errors import CommandRefused, JournalWriteFailed

ONE = command_of(1)
DONE = Reply(ONE.id, Outcome.DONE, "", {"count": 1, "ratio": 2.5, "ok": True, "text": "好"})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "notes" / "commands.json"


async def test_what_was_begun_and_ended_is_found_after_a_restart(path):
    ledger = Ledger(path)
    assert ledger.find(ONE.id) is None
    await ledger.begin(ONE, "d1", NOW)
    assert ledger.find(ONE.id).reply(ONE.id) is None
    assert Ledger(path).find(ONE.id) == ledger.find(ONE.id)
    await ledger.end(ONE, "d1", DONE)
    again = Ledger(path)
    assert again.find(ONE.id).reply(ONE.id) == DONE
    assert encode_reply(again.find(ONE.id).reply(ONE.id)) == encode_reply(DONE)
    assert path.stat().st_mode & 0o777 == 0o600


async def test_power_may_go_at_any_moment(path):
    """Before `begin` returns it is noted or not; after it, it is; the same with the outcome."""
    disk = SimDisk()
    disk.make_dir(path.parent)
    ledger = Ledger(path, disk)
    await ledger.begin(command_of(9), "d9", NOW)
    begun_from = len(disk.ops)
    await ledger.begin(ONE, "d1", NOW)
    ended_from = len(disk.ops)
    await ledger.end(ONE, "d1", DONE)

    def found_at(calls):
        found = set()
        for image in disk.medium(calls).every(60, Random(calls)):
            after = Ledger(path, SimDisk(image))
            assert after.find(command_of(9).id) is not None
            assert not after._lost
            entry = after.find(ONE.id)
            found.add("none" if entry is None else "begun" if entry.outcome is None else "ended")
        return found

    for calls in range(begun_from, ended_from):
        assert found_at(calls) <= {"none", "begun"}
    assert found_at(ended_from) == {"begun"}
    for calls in range(ended_from, len(disk.ops)):
        assert found_at(calls) <= {"begun", "ended"}
    assert found_at(len(disk.ops)) == {"ended"}


async def test_what_has_expired_is_forgotten_and_refused_for_ever(path):
    ledger = Ledger(path)
    await ledger.begin(ONE, "d", NOW)
    await ledger.begin(command_of(2, expires_ms=NOW + DAY), "d", NOW)
    await ledger.begin(command_of(3), "d", NOW + HOUR)
    assert ledger.find(ONE.id) is None
    assert ledger.find(command_of(2).id) is not None
    for it in (ledger, Ledger(path)):
        assert it.forgot(ONE.expires_ms), "also for a clock that is set back"
        assert not it.forgot(ONE.expires_ms + 1)


async def test_while_the_clock_is_unknown_nothing_is_forgotten(path):
    ledger = Ledger(path)
    await ledger.begin(ONE, "d", NOW)
    await ledger.begin(command_of(2), "d", None)
    assert ledger.find(ONE.id) is not None


async def test_it_is_bounded(path, monkeypatch):
    monkeypatch.setattr(ledger_module, "MAX_IDS", 3)
    ledger = Ledger(path)
    for n in range(3):
        await ledger.begin(command_of(n, expires_ms=NOW + HOUR + n), "d", NOW)
    with pytest.raises(CommandRefused, match="full"):
        await ledger.begin(command_of(5), "d", NOW)
    await ledger.begin(command_of(2, expires_ms=NOW + HOUR + 2), "d", NOW)  # takes no more room
    await ledger.begin(command_of(5), "d", NOW + HOUR)
    assert len(ledger) == 3


async def test_a_full_one_fits_its_bound(path):
    """A thousand of the longest replies there are."""
    ledger = Ledger(path)
    longest = Reply(ONE.id, Outcome.FAILED, "\x01" * 256, {"\x02": "\x03" * 256, "b": "\x04" * 256, "c": "\x05" * 200})  # fmt: skip
    assert len(encode_reply(longest)) > 0.97 * MAX_REPLY_BYTES
    for n in range(ledger_module.MAX_IDS - 1):
        ledger._book.commands[n.to_bytes(16, "big").hex()] = ledger_module.Entry(
            "d" * 32, NOW + HOUR, longest.outcome, longest.reason, longest.result
        )
    await ledger.begin(command_of(5000), "d", NOW)
    assert path.stat().st_size < MAX_BYTES
    assert len(Ledger(path)) == ledger_module.MAX_IDS


@pytest.mark.parametrize("call", ["open", "pwrite", "fdatasync", "rename"])
async def test_what_the_flash_refuses_is_not_begun(path, call):
    disk = SimDisk()
    disk.make_dir(path.parent)
    ledger = Ledger(path, disk)

    def fail(asked: str, _path: Path | None) -> None:
        if asked == call:
            raise OSError(errno.EROFS, "Read-only file system")

    disk.fail = fail
    with pytest.raises(JournalWriteFailed):
        await ledger.begin(ONE, "d", NOW)
    assert ledger.find(ONE.id) is None
    with pytest.raises(JournalWriteFailed):
        await ledger.end(ONE, "d", DONE)
    assert ledger.find(ONE.id).reply(ONE.id) == DONE, "known until the next restart"


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\xff", b'{"commands": {"a": 5}}', b"[" * 100_000, b" " * MAX_BYTES + b"{}"],
    ids=["empty", "cut", "list", "not-text", "no-entry", "deep", "large"],
)  # fmt: skip
async def test_a_file_that_cannot_be_read_raises_doubts(path, content, caplog):
    """What was issued before that may have been carried out; what is issued later was not."""
    path.parent.mkdir()
    path.write_bytes(content)
    ledger = Ledger(path)
    assert "is lost" in caplog.text
    assert ledger.doubts(NOW, NOW)
    assert ledger.doubts(NOW + MAX_SKEW_MS, NOW + 1), "by a clock that is ahead"
    assert not ledger.doubts(NOW + MAX_SKEW_MS + 1, NOW + 1)
    await ledger.begin(command_of(7), "d", NOW)
    again = Ledger(path)
    assert again.doubts(NOW + MAX_SKEW_MS, NOW + HOUR), "also after the file was written anew"
    assert not again.doubts(NOW + HOUR, NOW + HOUR)


async def test_without_a_file_there_are_no_doubts(path):
    assert not Ledger(path).doubts(NOW, NOW)
