"""Whoever waits for an event to be stored at the far side hears of it, and never of one that was not."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path

import pytest
from rig import FixedClock
from simdisk import SimDisk

from gateway.errors import JournalError, JournalWriteFailed
from gateway.journal import Journal, Receipt
from gateway.model import Lane

U, R = Lane.URGENT, Lane.ROUTINE


async def waits(receipt: Receipt) -> asyncio.Task[None]:
    """Somebody who waits, and has begun to."""
    task = asyncio.ensure_future(receipt.delivered())
    await whoever_can_goes_on()
    return task


async def whoever_can_goes_on() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_it_is_delivered_at_the_acknowledgement_and_not_at_the_flash(journal: Journal):
    first, second = journal.append(U, b"help"), journal.append(U, b"help again")
    tasks = [await waits(first), await waits(second)]
    await second
    await whoever_can_goes_on()
    assert not any(task.done() for task in tasks)
    journal.acknowledge(U, first.seq)
    await asyncio.wait_for(tasks[0], 5)
    await whoever_can_goes_on()
    assert not tasks[1].done()
    journal.acknowledge(U, second.seq)
    await asyncio.wait_for(tasks[1], 5)


async def test_who_asks_afterwards_hears_it_at_once(journal: Journal):
    receipt = journal.append(U, b"help")
    await receipt
    journal.acknowledge(U, receipt.seq)
    await asyncio.wait_for(receipt.delivered(), 5)


async def test_the_other_lane_says_nothing_of_it(journal: Journal):
    receipt, other = journal.append(U, b"help"), journal.append(R, b"reading")
    task = await waits(receipt)
    journal.flush()
    journal.acknowledge(R, other.seq)
    await whoever_can_goes_on()
    assert not task.done()
    task.cancel()


async def test_one_who_stops_waiting_stops_nobody_else(journal: Journal):
    receipt = journal.append(U, b"help")
    gone, stays = await waits(receipt), await waits(receipt)
    gone.cancel()
    await receipt
    journal.acknowledge(U, receipt.seq)
    await asyncio.wait_for(stays, 5)


@pytest.mark.parametrize("asks_in_time", [True, False])
async def test_what_had_to_go_is_never_called_delivered(journal: Journal, asks_in_time: bool):
    receipt = journal.append(R, b"first")
    journal.flush()
    task = await waits(receipt) if asks_in_time else None
    while journal.acknowledged(R) < receipt.seq:  # until the quota pushes it out
        journal.append(R, bytes(1000))
        journal.flush()
    with pytest.raises(JournalError, match="had to go"):
        await asyncio.wait_for(task or receipt.delivered(), 5)
    later = journal.append(R, b"later")
    journal.flush()
    journal.acknowledge(R, later.seq)
    await asyncio.wait_for(later.delivered(), 5)


async def test_what_the_flash_refused_is_delivered_from_memory(disk: SimDisk, journal: Journal):
    disk.fail = _refuse
    receipt = journal.append(U, b"help")
    with pytest.raises(JournalWriteFailed):
        await receipt
    task = await waits(receipt)
    memory = journal.unwritten
    while not (run := memory.read(U, 0, 4096)):  # not while it is being tried again
        await asyncio.sleep(0)
    assert run.payloads == (b"help",)
    disk.fail = lambda call, path: None
    following = journal.append(U, b"another")  # takes the seq that the first one left
    await following
    journal.acknowledge(U, following.seq)
    await whoever_can_goes_on()
    assert not task.done(), "the acknowledgement was of another event"
    memory.acknowledge(U, run.last)
    await asyncio.wait_for(task, 5)
    await asyncio.wait_for(receipt.delivered(), 5)


async def test_a_journal_without_flash_delivers_as_well():
    journal = Journal.without_flash(FixedClock(), OSError(errno.EIO, "no card"))
    receipt = journal.append(U, b"help")
    task = await waits(receipt)
    while not (run := journal.unwritten.read(U, 0, 4096)):
        await asyncio.sleep(0)
    journal.unwritten.acknowledge(U, run.last)
    await asyncio.wait_for(task, 5)
    journal.close()


def _refuse(call: str, path: Path | None) -> None:
    if call == "fdatasync":
        raise OSError(errno.EIO, "played")
