"""Lamp and beeper on the virtual board."""

import asyncio
import time
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
from brokers import until
from driven import driven_by
from stub_context import StubContext

from drivers.gpio.pattern import Pattern
from drivers.signal.beeps import BEEPS
from drivers.signal.driver import SignalDriver
from drivers.signal.settings import SignalSettings
from gateway.errors import DriverError, LinkLost, SettingsError
from gateway.model import CallState

# What is measured by the clock of a busy machine: a fault fails each time, a pause of ours not.
TRIES = 10


@asynccontextmanager
async def driven(board, context, *, on="high", **lines):
    """The driver at work; yields it. Wires are 5 and 6."""
    for offset in (5, 6):
        board.wire(offset)
    lines = lines or {"lamp": 5, "beeper": 6}
    driver = SignalDriver(SignalSettings(chip=f"sim:{board.path}", on=on, **lines), context)
    async with driven_by(driver):
        await context.wait_until(lambda: bool(context.states))
        yield driver


async def hushed(context, wire):
    """Nothing is the matter any more, and the wire is quiet."""
    context.house.signs.become(None)
    await wire.wait_active(on=False)
    await asyncio.sleep(0.05)


def lengths_of(wire):
    """The lengths (s) of the spans of a wire that are over, on and off in turns."""
    return [after - before for (before, _), (after, _) in pairwise(wire.changes)]


@pytest.mark.parametrize(
    ("state", "spans"),
    [
        (CallState.STORED, 1),
        (CallState.DELIVERED, 3),
        (CallState.ACCEPTED, 1),
        (CallState.UNDELIVERED, 5),
    ],
)
async def test_the_beeper_says_how_calls_stand(board, state, spans):
    context, beeper = StubContext(), board.wire(6)
    wanted = pytest.approx(BEEPS[state].spans_s[:spans], abs=0.1)
    async with driven(board, context):
        for _ in range(TRIES):
            del beeper.changes[:]
            context.house.signs.become(state)
            await asyncio.sleep(sum(BEEPS[state].spans_s[:spans]) + 0.3)
            if (lengths_s := lengths_of(beeper)[:spans]) == wanted:
                break
            await hushed(context, beeper)
        assert lengths_s == wanted


async def test_not_delivered_beeps_until_it_is_no_longer_so(board, monkeypatch):
    monkeypatch.setitem(BEEPS, CallState.UNDELIVERED, Pattern((0.03, 0.03)))
    context = StubContext()
    async with driven(board, context):
        context.house.signs.become(CallState.UNDELIVERED)
        await until(lambda: len(board.wire(6).changes) > 20)
        await hushed(context, board.wire(6))
        del board.wire(6).changes[:]
        await asyncio.sleep(0.2)
        assert board.wire(6).changes == []


async def test_the_lamp_is_steady_then_blinks_then_is_dark(board):
    context = StubContext()
    lamp = board.wire(5)
    async with driven(board, context, lamp=5):
        context.house.signs.become(CallState.STORED)
        await lamp.wait_active(on=True)
        context.house.signs.become(CallState.TEXTED)
        for on in (False, True, False):
            await lamp.wait_active(on=on)
        context.house.signs.become(None)
        await lamp.wait_active(on=False)


async def test_a_call_that_is_open_when_it_starts_is_shown(board):
    context = StubContext()
    context.house.signs.become(CallState.STORED)
    async with driven(board, context):
        await board.wire(5).wait_active(on=True)


async def test_a_relay_board_that_switches_on_at_low(board):
    context = StubContext()
    async with driven(board, context, on="low", lamp=5):
        assert board.wire(5).level
        context.house.signs.become(CallState.STORED)
        await board.wire(5).wait_active(on=True)
        assert not board.wire(5).level
    async with asyncio.timeout(5):
        await board.wire(5).wait_active(on=False)


async def test_identify_is_seen_and_heard_and_gives_way_to_a_call(board):
    context = StubContext()
    async with driven(board, context) as driver:
        assert await driver.command("identify", {}) == {}
        await board.wire(5).wait_active(on=True)
        await board.wire(6).wait_active(on=True)
        context.house.signs.become(CallState.STORED)
        await asyncio.sleep(0.15)  # a flash would have ended
        assert board.wire(5).active
        with pytest.raises(DriverError, match="open call"):
            await driver.command("identify", {})
        with pytest.raises(DriverError, match="mute"):
            await driver.command("mute", {})


async def test_a_board_that_goes_is_link_lost(board):
    board.wire(5)
    context = StubContext()
    driver = SignalDriver(SignalSettings(chip=f"sim:{board.path}", lamp=5), context)
    with pytest.raises(DriverError, match="offline"):
        await driver.command("identify", {})
    run = asyncio.create_task(driver.run())
    await board.wire(5).watched()
    await board.unplug()
    with pytest.raises(LinkLost):
        await run
    with pytest.raises(LinkLost):
        await driver.run()


async def test_the_state_is_shown_at_once(board):
    """Well within the 150 ms that a person may wait for the first sign."""
    context, took_s = StubContext(), []
    async with driven(board, context, beeper=6):
        for _ in range(TRIES):
            del board.wire(6).changes[:]
            began = time.monotonic()
            context.house.signs.become(CallState.STORED)
            await until(lambda: board.wire(6).changes)
            took_s.append(board.wire(6).changes[0][0] - began)
            await hushed(context, board.wire(6))
    assert min(took_s) < 0.15


def test_settings_need_one_of_the_two():
    with pytest.raises(SettingsError, match="neither"):
        SignalDriver.check(SignalSettings())
    with pytest.raises(SettingsError, match="named twice"):
        SignalDriver.check(SignalSettings(lamp=5, beeper=5))


class RememberingSigns:
    """As a call desk has them: they remember, for one who looks, what was seen last."""

    def __init__(self, of):
        self._of = of
        self._seen = None

    @property
    def state(self):
        self._seen = self._of.state
        return self._seen

    async def changed(self):
        while self._of.state is self._seen:
            await self._of.changed()


async def test_lamp_and_beeper_and_a_command_do_not_hide_changes_from_each_other(board):
    context = StubContext()
    moved = context.house.signs
    context.house.signs = RememberingSigns(moved)
    async with driven(board, context) as driver:
        for _ in range(3):
            moved.become(CallState.UNDELIVERED)
            await driver.command("identify", {})  # before anybody has looked at the change
            await board.wire(5).wait_active(on=True)
            await board.wire(6).wait_active(on=True)
            with pytest.raises(DriverError, match="open call"):
                await driver.command("identify", {})
            moved.become(None)
            await board.wire(5).wait_active(on=False)
            await board.wire(6).wait_active(on=False)
            await asyncio.sleep(0.05)
