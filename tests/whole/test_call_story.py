"""The story of a call, through the whole daemon: what the person is shown is always true."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest


@asynccontextmanager
async def story(folder, gpio_shim, clock_shim, **timings):
    """A home that is up and watched for lies; its books must balance at the end."""
    from call_home import CallHome

    async with CallHome(folder, gpio_shim, clock_shim, **timings) as home:
        await home.up()
        watching = asyncio.create_task(home.watch())
        yield home
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        assert await home.stop() == 0
        code, books = await home.books()
        assert code == 0, books


async def test_with_the_uplink_up(tmp_path, shim, clock_shim):
    from call_home import BEEPER, DEVICE, LAMP, LIGHT

    async with story(tmp_path, shim, clock_shim) as home:
        await home.press()
        call = await home.until("delivered")
        await home.gpio.driven(LIGHT, 1)
        await home.gpio.driven(LAMP, 1)
        await home.gpio.driven(BEEPER, 1)
        assert home.count("call", DEVICE) == 1
        await home.said("Your call has arrived.")
        assert await home.order("call.accept", call=call) == ("done", "")
        assert await home.until("accepted") == call
        assert (await home.told("accepted"))["by"] == "Sun"
        await home.said("Sun")
        assert await home.order("call.close", call=call) == ("done", "")
        await home.until(None)
        await home.gpio.driven(LIGHT, 0)
        outcome, reason = await home.order("call.accept", call=call)
        assert (outcome, call in reason) == ("refused", True)


async def test_with_the_uplink_down(tmp_path, shim, clock_shim):
    from call_home import BEEPER, DEVICE

    async with story(tmp_path, shim, clock_shim, deliver_s=1.0) as home:
        await home.broker.kill()
        await home.press()
        call = await home.until("stored")
        await home.until("undelivered")
        await home.said("Your call has not got through yet.")
        for level in (1, 0, 1, 0, 1):  # not delivered is never silent
            await home.gpio.driven(BEEPER, level)
        assert home.count("call", DEVICE) == 0
        await home.broker.start()
        assert await home.until("delivered") == call
        await home.told("undelivered")
        assert await home.order("call.close", call=call) == ("done", "")
        assert await home.until("closed") == call


async def test_with_a_collector_whose_word_does_not_count(tmp_path, shim, clock_shim):
    """The call is over there, and nobody who may say so does: it is not shown as delivered."""
    from call_home import DEVICE

    async with story(tmp_path, shim, clock_shim) as home:
        await home.collect()
        await home.press()
        await home.until("stored")
        await home.stored("call", DEVICE, 1)
        async with asyncio.timeout(20):
            while not (await home.status())["uplink"]["counters"]["acks_untrusted"]:
                await asyncio.sleep(0.02)
        call = await home.until("stored")
        await home.stored("fault", "gateway", 1)
        ((body,),) = home.query("SELECT body FROM events WHERE kind = 'fault'")
        assert "untrusted_acknowledgements" in body
        await home.collect(*home.collecting())
        assert await home.until("delivered") == call
        assert home.count("call", DEVICE) == 1


async def test_with_a_key_that_is_not_there(tmp_path, shim, clock_shim):
    """Then nobody's word counts, and a call goes up all the same."""
    from call_home import DEVICE

    async with story(tmp_path, shim, clock_shim) as home:
        assert await home.stop() == 0
        (home.folder / "collector.pub").unlink()
        await home.up()
        await home.press()
        await home.until("stored")
        await home.stored("call", DEVICE, 1)
        await home.stored("fault", "gateway", 1)
        told = home.query("SELECT body FROM events WHERE kind = 'fault'")
        assert any('"ack_keys"' in body and "collector.pub" in body for (body,) in told)
        await home.until("stored")


async def test_with_the_uplink_lost_half_way(tmp_path, shim, clock_shim):
    async with story(tmp_path, shim, clock_shim) as home:
        await home.press()
        call = await home.until("delivered")
        await home.broker.kill()
        await home.crash()
        assert await home.until("delivered") == call
        await home.broker.start()
        assert await home.order("call.accept", call=call) == ("done", "")
        assert await home.until("accepted") == call
        await home.broker.kill()
        await home.crash()
        assert await home.until("accepted") == call
        await home.broker.start()
        assert await home.order("call.close", call=call) == ("done", "")
        await home.until("closed")
        await home.crash()
        await home.until(None)
        await home.told("closed")


async def test_the_second_path_when_the_network_is_down(tmp_path, shim, clock_shim):
    async with story(tmp_path, shim, clock_shim, deliver_s=0.5, modem=True) as home:
        await home.broker.kill()
        await home.press()
        call = await home.until("texted")
        async with asyncio.timeout(20):
            number, text = await home.modem.texted()
        assert number == "+8613800000001"
        assert "370303 bedroom call-bedroom" in text
        await home.said("A text message is on its way.")
        await home.crash()
        assert await home.until("texted") == call
        await home.broker.start()
        assert await home.until("delivered") == call
        await home.told("texted")
        assert await home.order("call.close", call=call) == ("done", "")
        assert len({it.text for it in home.modem.messages}) == 1  # and no second one


async def test_nobody_takes_it(tmp_path, shim, clock_shim):
    async with story(tmp_path, shim, clock_shim, accept_s=0.7) as home:
        await home.press()
        call = await home.until("escalated")
        assert (await home.told("repeated"))["count"] == 1
        assert (await home.told("escalated"))["call"] == call
        await home.said("Nobody has answered yet.")
        assert await home.order("call.accept", "daughter", call=call) == ("done", "")
        assert await home.until("accepted") == call
        assert await home.order("call.close", call=call) == ("done", "")


@pytest.mark.parametrize("state", ["stored", "undelivered", "delivered", "escalated", "accepted"])
async def test_kill_9_at_each_state(tmp_path, shim, clock_shim, state):
    from call_home import DEVICE, LIGHT

    timings = {
        "undelivered": {"deliver_s": 0.5},
        "escalated": {"accept_s": 0.5},
    }.get(state, {})
    async with story(tmp_path, shim, clock_shim, **timings) as home:
        if state in {"stored", "undelivered"}:
            await home.broker.kill()
        await home.press()
        if state == "accepted":
            await home.order("call.accept", call=await home.until("delivered"))
        call = await home.until(state)
        await home.crash()
        assert await home.until(state) == call
        await home.gpio.driven(LIGHT, 1)
        if state in {"stored", "undelivered"}:
            assert home.count("call", DEVICE) == 0
            await home.broker.start()
            assert await home.until("delivered") == call
        assert home.count("call", DEVICE) == 1
        assert await home.order("call.close", call=call) == ("done", "")
        assert await home.until("closed") == call
        await home.gpio.driven(LIGHT, 0)


async def test_killed_in_the_middle_of_a_press(tmp_path, shim, clock_shim):
    """kill -9 as fast as it can be after the edge: the call is there, or no light ever was."""
    from call_home import BUTTON, DEVICE, LIGHT

    async with story(tmp_path, shim, clock_shim) as home:
        for delay_s in (0.0, 0.001, 0.002, 0.004, 0.008, 0.03):
            before = home.count("call", DEVICE)
            home.gpio.set(BUTTON, 0)
            await asyncio.sleep(0.03 + delay_s)  # the kernel's debounce first
            lit = home.gpio.level(LIGHT) == 1
            await home.kill()
            home.gpio.set(BUTTON, 1)
            await home.gpio.released(BUTTON)
            await home.up()
            if lit:
                await home.stored("call", DEVICE, before + 1)
            await asyncio.sleep(0.2)
            for call in (await home.status())["calls"]:
                assert await home.order("call.close", call=call["call"]) == ("done", "")
