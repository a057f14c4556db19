"""Signs of life."""

from __future__ import annotations

import asyncio

from driven_task import running

from gateway import __version__
from gateway.errors import JournalSaturated
from gateway.model import Kind, Lane, Measurement
from gateway.settings import SupervisionSettings
from gateway.supervision import Supervision


class Far:
    """Whoever hears; refuses when told to."""

    def __init__(self):
        self.seen = asyncio.Queue()
        self.refuses = False

    def tell(self, seen):
        if self.refuses:
            self.refuses = False
            raise JournalSaturated("full")
        self.seen.put_nowait(seen)


def waiting():
    return {Lane.URGENT: 1, Lane.ROUTINE: 7}


def settings(**keys):
    return SupervisionSettings(**{"quiet_after": 0.02, "test_call": 0.0, **keys})


async def test_a_sign_of_life_at_once_and_twice_in_the_time():
    far = Far()
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with (
        running(Supervision(settings(), far.tell, far.tell, waiting).run()),
        asyncio.timeout(10),
    ):
        signs = [await far.seen.get() for _ in range(4)]
    assert {it.kind for it in signs} == {Kind.GATEWAY}
    assert signs[0].detail == {
        "state": "alive",
        "quiet_after_s": 0.02,
        "version": __version__,
    }
    assert signs[0].measurements == (
        Measurement("backlog_urgent", 1, "count"),
        Measurement("backlog_routine", 7, "count"),
    )
    assert loop.time() - began >= 0.03


async def test_a_journal_that_is_full_gets_the_next_one():
    far = Far()
    far.refuses = True
    async with (
        running(Supervision(settings(), far.tell, far.tell, waiting).run()),
        asyncio.timeout(10),
    ):
        assert (await far.seen.get()).detail["state"] == "alive"


async def test_a_test_call_goes_the_way_of_a_call():
    lives, calls = Far(), Far()
    supervision = Supervision(settings(test_call=0.01), lives.tell, calls.tell, waiting)
    async with running(supervision.run()), asyncio.timeout(10):
        call = await calls.seen.get()
    assert (call.kind, call.detail) == (Kind.CALL, {"cause": "test", "test": True})


async def test_what_waits_is_counted_anew_with_every_sign():
    far, counts = Far(), iter(range(3))
    supervision = Supervision(
        settings(), far.tell, far.tell, lambda: {Lane.ROUTINE: next(counts, 9)}
    )
    async with running(supervision.run()), asyncio.timeout(10):
        told = [(await far.seen.get()).measurements[0].value for _ in range(3)]
    assert told == [0, 1, 2]
