"""What travels from memory: under its own name, in order, until it is stored over there."""

from __future__ import annotations

import pytest

from gateway.journal.entry import Entry
from gateway.journal.format import RecordType
from gateway.journal.unwritten import Unwritten
from gateway.model import Lane

U = Lane.URGENT


class Refused:
    """As much of a log as is asked for: what its flash refused."""

    def __init__(self, *payloads: bytes) -> None:
        self._waiting = [Entry(5, RecordType.EVENT, payload) for payload in payloads]
        self.delivered: list[bytes] = []

    @property
    def refused(self) -> int:
        return len(self._waiting)

    def claim(self, max_bytes: int) -> list[Entry]:
        """One at a time."""
        taken, self._waiting = self._waiting[:1], self._waiting[1:]
        return taken

    def stored(self, entry: Entry) -> None:
        self.delivered.append(entry.payload)


@pytest.fixture
def log() -> Refused:
    """Three events."""
    return Refused(b"a", b"bb", b"ccc")


@pytest.fixture
def memory(log: Refused) -> Unwritten:
    """They, to be forwarded."""
    return Unwritten({U: log})


def test_it_has_a_name_that_no_other_start_has():
    """Seqs begin at 1 each time: under the same name the next ones would be called duplicates."""
    assert len({Unwritten({}).uuid for _ in range(3)}) == 3


def test_it_is_read_in_order_from_anywhere(memory):
    assert [memory.read(U, after, 100).payloads for after in range(3)] == [
        (b"a",),
        (b"bb",),
        (b"ccc",),
    ]
    run = memory.read(U, 0, 100)
    assert (run.first, run.payloads) == (1, (b"a", b"bb", b"ccc"))
    assert memory.read(U, 3, 100) is None


def test_a_run_is_as_long_as_was_asked_for_and_never_empty(memory):
    for after in range(3):
        memory.read(U, after, 100)
    assert memory.read(U, 0, 3).payloads == (b"a", b"bb")
    assert memory.read(U, 2, 1).payloads == (b"ccc",)


def test_it_is_kept_until_it_is_stored_over_there_and_no_longer(memory, log):
    for after in range(3):
        memory.read(U, after, 100)
    memory.acknowledge(U, 1)
    assert log.delivered == [b"a"]
    assert memory.read(U, 0, 100).payloads == (b"bb", b"ccc")
    memory.acknowledge(U, 1)
    assert memory.read(U, 1, 100).payloads == (b"bb", b"ccc")
    memory.acknowledge(U, 3)
    assert log.delivered == [b"a", b"bb", b"ccc"]
    assert memory.waiting(U) == 0


def test_what_waits_is_counted_whether_claimed_or_not(memory):
    assert (memory.durable(U), memory.waiting(U)) == (3, 3)
    memory.read(U, 0, 100)
    assert (memory.durable(U), memory.waiting(U)) == (3, 3)
    memory.acknowledge(U, 1)
    assert (memory.durable(U), memory.acknowledged(U), memory.waiting(U)) == (3, 1, 2)
