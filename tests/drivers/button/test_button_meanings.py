"""What a press means where the configuration says so, on the virtual board."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from brokers import until
from driven import driven_by
from stub_context import StubContext

from drivers.button.driver import ButtonDriver
from drivers.button.settings import ButtonSettings
from gateway.errors import DriverError, SettingsError
from gateway.model import CallState, Kind


@asynccontextmanager
async def driven(board, context, *, nc=None, **settings):
    """The driver at work on line 17; yields its button. Long is 0.8 s here.

    No shorter, because who presses is the test itself, and a busy machine keeps it from letting go.
    """
    button = board.button(17, light=27, nc=nc)
    times = {"long_press": 0.8, "double_window": 0.8, "debounce": 0.01}
    options = {"offset": 17, "light": 27, "offset_nc": nc, **times, **settings}
    driver = ButtonDriver(ButtonSettings(chip=f"sim:{board.path}", **options), context)
    async with driven_by(driver):
        await context.wait_until(lambda: bool(context.states))
        yield button, driver


async def test_a_long_press_takes_an_open_call_back(board):
    context = StubContext()
    async with driven(board, context, long="cancel") as (button, _):
        context.signs.become(CallState.DELIVERED)
        await button.press(1.0)
        await until(lambda: context.cancelled == 1)
        await asyncio.sleep(0.05)  # beyond the debounce
        await button.press(0.05)
        (call,) = await context.wait_for(1)
        assert call.detail == {"cause": "button", "press": "short"}


async def test_to_take_back_what_is_not_open_is_a_call(board):
    context = StubContext()
    async with driven(board, context, long="cancel") as (button, _):
        button.hold()
        (call,) = await context.wait_for(1)
        assert call.detail == {"cause": "button", "press": "long"}
        assert context.cancelled == 1


async def test_a_press_acknowledges_a_reminder_and_calls_without_one(board):
    context = StubContext("call-bedroom")
    async with driven(board, context, short="acknowledge") as (button, _):
        context.house.reminding = True
        await button.press(0.05)
        await until(lambda: context.house.acknowledged == ["call-bedroom"])
        assert context.observations == []
        context.house.reminding = False
        await button.press(0.05)
        (call,) = await context.wait_for(1)
        assert call.detail["press"] == "short"


async def test_a_double_press_asks_for_the_news(board):
    context = StubContext()
    async with driven(board, context, double="news") as (button, _):
        await button.press(0.05)
        await asyncio.sleep(0.05)
        await button.press(0.05)
        await until(lambda: context.house.news_told == 1)
        await asyncio.sleep(1.0)  # longer than the double window
        assert context.observations == []


async def test_a_press_that_means_nothing_does_nothing(board):
    context = StubContext()
    async with driven(board, context, short="none", double="none") as (button, _):
        await button.press(0.05)
        button.hold()
        (call,) = await context.wait_for(1)
        assert call.detail["press"] == "long"


async def test_stuck_is_a_call_though_long_means_something_else(board):
    context = StubContext()
    async with driven(board, context, long="news", stuck_after=1.5) as (button, _):
        button.hold()
        call, fault = await context.wait_for(2)
        assert context.house.news_told == 1
        assert call.detail == {"cause": "button", "press": "doubtful"}
        assert fault.detail == {"fault": "stuck", "active": True}


async def test_a_cut_wire_is_a_call_and_a_fault_and_the_other_side_still_calls(board):
    context = StubContext()
    async with driven(board, context, nc=22, long="cancel") as (button, _):
        await button.press(0.1)
        (call,) = await context.wait_for(1)
        assert call.detail["press"] == "short"
        await asyncio.sleep(0.05)
        button.cut(nc=True)
        doubt, fault = (await context.wait_for(3))[1:]
        assert doubt.detail["press"] == "doubtful"
        assert fault.detail == {"fault": "wire", "active": True}
        button.hold()
        assert (await context.wait_for(4))[3].kind is Kind.CALL
        assert context.cancelled == 0


async def test_a_wire_cut_unseen_is_found_by_a_press_and_mended_by_another(board):
    context = StubContext()
    async with driven(board, context, nc=22) as (button, _):
        button.cut(no=True)
        await button.press(0.1)
        call, fault = await context.wait_for(2)
        assert call.kind is Kind.CALL
        assert fault.detail == {"fault": "wire", "active": True}
        button.cut()
        await button.press(0.1)
        whole = {"fault": "wire", "active": False}
        await context.wait_until(lambda: context.observations[-1].detail == whole)
        assert len(context.of(Kind.CALL)) == 2


async def test_the_light_shows_what_the_state_says_and_no_more(board):
    context = StubContext()
    async with driven(board, context) as (button, _):
        await button.press(0.05)
        await context.wait_for(1)
        assert not button.light  # nobody has said yet that it is stored
        context.signs.become(CallState.STORED)
        await button.wait_light(on=True)
        context.signs.become(CallState.UNDELIVERED)
        for on in (False, True, False, True):
            await button.wait_light(on=on)
        context.signs.become(CallState.ACCEPTED)
        await button.wait_light(on=True)
        context.signs.become(None)
        await button.wait_light(on=False)


async def test_identify_blinks_and_gives_way_to_a_call(board):
    context = StubContext()
    async with driven(board, context) as (button, driver):
        assert await driver.command("identify", {}) == {}
        for on in (True, False, True):
            await button.wait_light(on=on)
        context.signs.become(CallState.STORED)
        await asyncio.sleep(0.15)
        assert button.light
        with pytest.raises(DriverError, match="open call"):
            await driver.command("identify", {})
        with pytest.raises(DriverError, match="dance"):
            await driver.command("dance", {})


async def test_without_a_light_nothing_can_be_noticed(board):
    async with driven(board, StubContext(), light=None) as (_, driver):
        with pytest.raises(DriverError, match="no light"):
            await driver.command("identify", {})


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"light": 17}, "line 17 is named twice"),
        ({"offset_nc": 17}, "line 17 is named twice"),
        ({"short": "none", "long": "cancel", "double": "news"}, "no press is a call"),
        ({"long_press": 5.0, "stuck_after": 5.0}, "long_press"),
    ],
)
def test_settings_that_contradict_themselves(settings, fault):
    with pytest.raises(SettingsError, match=fault):
        ButtonDriver.check(ButtonSettings(offset=17, **settings))
