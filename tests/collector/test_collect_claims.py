"""Alarms in the hands of a `hearth collect` that is killed, stopped, or only slow: who tells them."""

from __future__ import annotations

import asyncio
import contextlib
import signal

import pytest
from brokers import needs_mosquitto, until
from collect_kit import Hearth, home
from receiver import OK, Receiver, hang
from store_kit import ask

from collector.storage import lapses

pytestmark = needs_mosquitto
# The looks, a second apart, and one more; it was given to the receiver for 15 s.
LAPSED_S = lapses.LOOKS + 2.0
# On a machine that is busy; well below the minute after which any claim lapses.
LAPSES_WITHIN_S = 30.0


@pytest.fixture
def arguments(broker, store_url, secret):
    def make(receiver):
        return (
            *("--url", broker.url, "--store", store_url, "--share", "desk"),
            *("--webhook", receiver.url, "--webhook-secret-file", secret),
        )

    return make


class Hanging:
    """A receiver that does not answer the first few requests."""

    def __init__(self, first):
        self.left = first

    def __call__(self, request):
        self.left -= 1
        return OK if self.left < 0 else hang


async def test_what_a_killed_collector_had_in_hand_is_told_soon_after_its_restart(
    broker, store_url, arguments
):
    async with Receiver(Hanging(1)) as receiver, home(broker) as press:
        async with Hearth(*arguments(receiver)) as hearth:
            name = press()
            await until(lambda: receiver.ids == [name])
            await hearth.end(signal.SIGKILL)
        async with Hearth(*arguments(receiver)) as hearth:
            await hearth.said("collecting from")
            await until(lambda: len(receiver.ids) == 2, timeout_s=LAPSES_WITHIN_S)
            await until(lambda: ask(store_url, "SELECT count(*) FROM due") == [(0,)])
            assert await hearth.end() == 0
    assert receiver.ids == [name, name]


# Two collectors on one database are what PostgreSQL is for.
@pytest.mark.parametrize("store_url", ["postgres"], indirect=True)
async def test_a_collector_that_lives_keeps_what_it_has_in_hand_and_a_stopped_one_does_not(
    broker, store_url, arguments
):
    in_line = "SELECT count(*) FROM due"
    async with contextlib.AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(Receiver(Hanging(1)))
        press = await stack.enter_async_context(home(broker))
        slow = await stack.enter_async_context(Hearth(*arguments(receiver)))
        name = press()
        await until(lambda: receiver.ids == [name])
        other = await stack.enter_async_context(Hearth(*arguments(receiver)))
        await other.said("urgent lane: connected")
        await asyncio.sleep(LAPSED_S)
        assert receiver.ids == [name]
        slow.process.send_signal(signal.SIGSTOP)
        await until(lambda: receiver.ids == [name, name], timeout_s=LAPSES_WITHIN_S)
        await until(lambda: ask(store_url, in_line) == [(0,)])
        slow.process.send_signal(signal.SIGCONT)
        await slow.said("output webhook: 127.0.0.1: no answer in time")
        last = press()
        await until(lambda: receiver.ids == [name, name, last])
        await until(lambda: ask(store_url, in_line) == [(0,)])
        assert (await other.end(), await slow.end()) == (0, 0)
    assert ask(store_url, "SELECT count(*) FROM undelivered") == [(0,)]
