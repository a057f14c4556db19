"""The driver on the virtual board: calls, faults, a journal that refuses, a board that goes."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from driven import driven_by
from stub_context import StubContext, StubReceipt

from drivers import call
from drivers.button.driver import ButtonDriver
from drivers.button.settings import ButtonSettings
from gateway.errors import JournalClosed, JournalSaturated, JournalWriteFailed, LinkLost
from gateway.model import CallState, Kind


@pytest.fixture(autouse=True)
def bedside(board):
    """A button with a light."""
    return board.button(17, light=27)


@asynccontextmanager
async def driven(board, context, **settings):
    """The driver at work on line 17; yields its button."""
    options = {"offset": 17, "light": 27, **settings}
    driver = ButtonDriver(ButtonSettings(chip=f"sim:{board.path}", **options), context)
    async with driven_by(driver):
        await board.button(17).watched()
        yield board.button(17)


async def press(button):
    """A short press, and the time a contact needs to be quiet again."""
    await button.press(0.05)
    await asyncio.sleep(0.05)


class FailingContext(StubContext):
    """A journal that refuses calls: `refusals` are raised one by one, sooner or later."""

    def __init__(self, *refusals, at_once=False):
        super().__init__("call-bedroom")
        self.refusals = list(refusals)
        self.at_once = at_once

    def emit(self, observation):
        receipt = super().emit(observation)
        if self.refusals:
            refusal = self.refusals.pop(0)
            if self.at_once:
                raise refusal
            receipt = StubReceipt()
            receipt.set_exception(refusal)
        return receipt


class SlowContext(StubContext):
    """A journal that gives its receipts when told."""

    def __init__(self):
        super().__init__("call-bedroom")
        self.receipts = []

    def emit(self, observation):
        super().emit(observation)
        self.receipts.append(StubReceipt())
        return self.receipts[-1]


async def test_a_press_is_a_call(board):
    context = StubContext("call-bedroom")
    async with driven(board, context) as button:
        await button.press(0.05)
        (call,) = await context.wait_for(1)
        assert call.kind is Kind.CALL
        assert call.detail == {"cause": "button"}
        assert call.uptime_ms is not None


async def test_a_test_is_marked_as_one(board):
    context = StubContext()
    context.house.testing = True
    async with driven(board, context) as button:
        await button.press(0.05)
        (call,) = await context.wait_for(1)
        assert call.detail == {"cause": "button", "test": True}


async def test_the_next_press_does_not_wait_for_the_flash(board):
    context = SlowContext()
    async with driven(board, context) as button:
        await press(button)
        await context.wait_for(1)
        await press(button)
        await context.wait_for(2)
        assert not any(receipt.done() for receipt in context.receipts)


async def test_a_thousand_bounces_a_second_cost_one_call(board):
    context = StubContext()
    # A debounce of a second: a busy machine may keep the bouncing quiet for longer than 30 ms.
    async with driven(board, context, debounce=1.0) as button:
        await button.bounce(300)
        await asyncio.sleep(1.1)
        await button.press(0.05)
        await context.wait_for(2)
        assert [seen.kind for seen in context.observations] == [Kind.CALL, Kind.CALL]


async def test_a_call_the_journal_does_not_accept_is_offered_again(board, monkeypatch):
    monkeypatch.setattr(call, "RETRY_FIRST_S", 0.2)
    context = FailingContext(JournalSaturated("full"), at_once=True)
    async with driven(board, context) as button:
        await button.press(0.05)
        await context.wait_until(lambda: len(context.states) == 3)
        first, again = context.observations
        assert first == again
        assert [state for state, _ in context.states] == ["online", "offline", "online"]


async def test_a_call_the_flash_refuses_leaves_the_button_listening(board):
    context = FailingContext(JournalWriteFailed("EIO"))
    async with driven(board, context) as button:
        await button.press(0.05)
        await context.wait_until(lambda: context.states[-1][0] == "offline")
        assert "EIO" in context.states[-1][1]
        assert not button.light
        await asyncio.sleep(0.05)
        await press(button)
        await context.wait_until(lambda: context.states[-1][0] == "online")
        assert len(context.observations) == 2  # the first is the journal's to try again


async def test_a_journal_that_never_accepts_does_not_end_the_listening(board, monkeypatch):
    monkeypatch.setattr(call, "RETRY_FIRST_S", 0.01)
    monkeypatch.setattr(call, "TRIES", 3)
    refusals = [JournalSaturated("full")] * 3 + [JournalClosed("bye")]
    context = FailingContext(*refusals, at_once=True)
    async with driven(board, context) as button:
        await press(button)
        await context.wait_for(3)
        await press(button)
        await context.wait_for(4)
        await press(button)
        await context.wait_until(lambda: context.states[-1][0] == "online")


async def test_a_stuck_button_is_a_fault_and_letting_go_ends_it(board):
    context = StubContext()
    async with driven(board, context, stuck_after=1.0) as button:
        button.hold()
        await context.wait_for(2)
        button.release()
        await context.wait_for(3)
        call, stuck, unstuck = context.observations
        assert call.kind is Kind.CALL
        assert (stuck.kind, stuck.detail) == (Kind.FAULT, {"fault": "stuck", "active": True})
        assert unstuck.detail == {"fault": "stuck", "active": False}


async def test_held_while_the_gateway_starts_is_no_call(board):
    board.button(17).hold()
    context = StubContext()
    async with driven(board, context, stuck_after=1.0):
        (fault,) = await context.wait_for(1)
        assert fault.detail["fault"] == "stuck"


async def test_unplugged_is_link_lost_and_a_new_instance_finds_the_board_again(board):
    context = StubContext()
    settings = ButtonSettings(chip=f"sim:{board.path}", offset=17)
    first = asyncio.create_task(ButtonDriver(settings, context).run())
    await board.button(17).watched()
    await board.unplug()
    with pytest.raises(LinkLost):
        await first
    with pytest.raises(LinkLost) as missing:
        await ButtonDriver(settings, context).run()
    assert "virtual board" in missing.value.hint
    await board.plug()
    async with driven(board, context) as button:
        await button.press(0.05)
        await context.wait_for(1)


async def test_one_client_a_line_and_the_level_survives_clients(board):
    context = StubContext()
    async with driven(board, context) as button:
        with pytest.raises(LinkLost, match="busy"):
            await ButtonDriver(
                ButtonSettings(chip=f"sim:{board.path}", offset=17), StubContext()
            ).run()
        button.hold()
        context.signs.become(CallState.STORED)
        await button.wait_light(on=True)
    await button.wait_light(on=False)  # its driver is gone, and nobody drives it
    assert button.pressed
    again = StubContext()
    async with driven(board, again, stuck_after=1.0):
        (fault,) = await again.wait_for(1)
        assert fault.detail["fault"] == "stuck"
