"""Reminders, notices and orders to devices, through the whole daemon."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime

from test_call_story import story


def reminders_told(home):
    rows = home.query("SELECT body FROM events WHERE kind = 'reminder' ORDER BY lane, seq")
    return [json.loads(body)["detail"] for (body,) in rows]


async def test_a_reminder_rings_once_through_outage_and_crash(tmp_path, shim, clock_shim):
    async with story(tmp_path, shim, clock_shim) as home:
        start = datetime.now().replace(second=0, microsecond=0)  # due since this minute began
        pills = {
            "id": "pills", "kind": "medicine", "text": "two white pills", "ack": False,
            "start": start.isoformat(),
        }  # fmt: skip
        assert await home.order("reminders.set", reminders=[pills]) == ("done", "")
        await home.said("two white pills")
        await home.broker.kill()
        await home.crash()
        bell = {**pills, "id": "bell", "kind": "alarm", "text": "good morning"}
        await home.broker.start()
        assert await home.order("reminders.set", reminders=[pills, bell]) == ("done", "")
        await home.said("good morning")  # it looked at both
        async with asyncio.timeout(30):
            while len(reminders_told(home)) < 2:
                await asyncio.sleep(0.05)
        assert home.words().count("two white pills") == 1
        told = [(it["reminder"], it["state"], it.get("scaip")) for it in reminders_told(home)]
        assert told == [("pills", "rung", "0082"), ("bell", "rung", None)]


async def test_what_cannot_be_ordered_says_why(tmp_path, shim, clock_shim):
    async with story(tmp_path, shim, clock_shim) as home:
        every_second = {
            "id": "x", "kind": "alarm", "text": "x", "start": "2026-01-01T08:00:00",
            "rule": "FREQ=SECONDLY",
        }  # fmt: skip
        outcome, reason = await home.order("reminders.set", reminders=[every_second])
        assert outcome == "refused"
        assert reason
        outcome, reason = await home.order("device.read", device="no-such")
        assert (outcome, "no-such" in reason) == ("failed", True)
        outcome, reason = await home.order("device.read", device="call-bedroom")
        assert (outcome, "does not know" in reason) == ("failed", True)
        assert (await home.order("open.door"))[0] == "refused"
        rows = home.query("SELECT count(*) FROM events WHERE kind = 'command'")
        async with asyncio.timeout(30):
            while rows[0][0] < 4:
                await asyncio.sleep(0.05)
                rows = home.query("SELECT count(*) FROM events WHERE kind = 'command'")
        assert set(home.words().split()) <= {"1"}  # the proof that the engine speaks


async def test_orders_to_devices_and_notices(tmp_path, shim, clock_shim):
    from call_home import LIGHT

    async with story(tmp_path, shim, clock_shim) as home:
        assert await home.order("device.identify", device="call-bedroom") == ("done", "")
        await home.gpio.driven(LIGHT, 1)
        notice = await home.order("notice.add", id="n1", text="The lift works again")
        assert notice == ("done", "")


async def test_an_installers_test_is_marked(tmp_path, shim, clock_shim):
    from gateway.control import ask

    async with story(tmp_path, shim, clock_shim) as home:
        socket = str(home.folder / "control.sock")
        assert await asyncio.to_thread(ask, socket, "test", seconds=60) == {"testing": True}
        await home.press()
        call = await home.until("delivered")
        (body,) = home.query("SELECT body FROM events WHERE kind = 'call'")[0]
        assert json.loads(body)["detail"]["test"] is True
        assert await asyncio.to_thread(ask, socket, "test", seconds=0) == {"testing": False}
        assert await home.order("call.close", call=call) == ("done", "")


async def test_a_setting_that_is_permitted_holds_from_the_next_start(tmp_path, shim, clock_shim):
    async with story(tmp_path, shim, clock_shim) as home:
        assert await home.order("settings.set", **{"calls.accept": 77.0}) == ("done", "")
        outcome, reason = await home.order("settings.set", **{"calls.deliver": 1.0})
        assert (outcome, "settable permits" in reason) == ("refused", True)
        assert await home.order("gateway.restart") == ("done", "")
        async with asyncio.timeout(30):
            assert await home.gateway.wait() == 0
        await home.up()
        kept = json.loads((home.folder / "journal" / "home" / "settings.json").read_text())
        assert kept == {"calls.accept": 77.0}
