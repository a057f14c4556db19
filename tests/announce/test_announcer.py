"""The announcer: calls over everything, "not delivered" never silent, mute hours that mute no call."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from stub_house import StubSigns
from virtual_clock import VirtualClock

from gateway.announce import announcer as announcer_module
from gateway.announce import phrases
from gateway.announce.announcer import Announcer
from gateway.announce.mute import Mute
from gateway.announce.queue import Priority
from gateway.errors import CommandRefused
from gateway.model import CallState
from gateway.settings import AnnounceSettings
from gateway.timekeeper import Timekeeper

SHANGHAI = ZoneInfo("Asia/Shanghai")


class Voice:
    """An announcer, its clock, and who listens."""

    def __init__(self, wall: str = "2026-11-26T12:00", **settings) -> None:
        self.clock = VirtualClock(wall, SHANGHAI)
        self.announcer = Announcer(
            AnnounceSettings(**({"language": "en"} | settings)),
            Timekeeper(self.clock, SHANGHAI),
        )
        self.signs = StubSigns()

    async def next(self):
        async with asyncio.timeout(5):
            return await self.announcer.next()

    async def hear(self) -> str:
        utterance = await self.next()
        utterance.said()
        return utterance.text

    async def is_silent(self) -> bool:
        try:
            async with asyncio.timeout(0):
                await self.announcer.next()
        except TimeoutError:
            return True
        return False

    @asynccontextmanager
    async def following_calls(self):
        task = asyncio.create_task(self.announcer.run(self.signs))
        try:
            await asyncio.sleep(0)
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def words(state: CallState) -> str:
    return phrases.OF_CALL[state].en


async def test_each_state_of_a_call_is_said():
    voice = Voice()
    async with voice.following_calls():
        for state in CallState:
            voice.signs.become(state)
            utterance = await voice.next()
            assert utterance.text == words(state)
            assert utterance.phrase == f"call_{state.value}"
            utterance.said()
        voice.signs.become(None)
        await asyncio.sleep(0.01)
        assert await voice.is_silent()


async def test_a_call_interrupts_the_weather_which_is_said_afterwards():
    voice = Voice()
    async with voice.following_calls():
        voice.announcer.say(phrases.weather("rain"), Priority.WEATHER)
        weather = await voice.next()
        stop = asyncio.create_task(weather.interrupted())
        voice.signs.become(CallState.STORED)
        async with asyncio.timeout(5):
            await stop
        assert await voice.hear() == words(CallState.STORED)
        assert await voice.hear() == weather.text


async def test_a_new_state_stops_the_words_of_the_old_one():
    voice = Voice()
    async with voice.following_calls():
        voice.signs.become(CallState.DELIVERED)
        delivered = await voice.next()
        voice.signs.become(CallState.UNDELIVERED)
        async with asyncio.timeout(5):
            await delivered.interrupted()
        assert await voice.hear() == words(CallState.UNDELIVERED)
        assert await voice.is_silent()


async def test_not_delivered_is_never_silent():
    voice = Voice(repeat_undelivered=0.02)  # the file would not take less than 10 s
    async with voice.following_calls():
        voice.signs.become(CallState.UNDELIVERED)
        for _ in range(4):
            assert await voice.hear() == words(CallState.UNDELIVERED)
        voice.signs.become(CallState.DELIVERED)
        text = await voice.hear()
        while text != words(CallState.DELIVERED):
            text = await voice.hear()
        await asyncio.sleep(0.06)
        assert await voice.is_silent()


async def test_how_a_call_stands_is_said_also_to_a_loudspeaker_that_comes_late():
    voice = Voice()
    async with voice.following_calls():
        voice.signs.become(CallState.DELIVERED)
        await asyncio.sleep(0.01)
        voice.clock.pass_s(3600)
        assert await voice.hear() == words(CallState.DELIVERED)


async def test_a_call_that_is_gone_is_not_told_of():
    voice = Voice()
    async with voice.following_calls():
        voice.signs.become(CallState.CLOSED)
        await asyncio.sleep(0.01)
        voice.signs.become(None)
        await asyncio.sleep(0.01)
        assert await voice.is_silent()


async def test_who_took_the_call_is_named_once():
    voice = Voice()
    async with voice.following_calls():
        voice.signs.become(CallState.DELIVERED)
        await voice.hear()
        voice.announcer.accepted_by("Anna")
        voice.signs.become(CallState.ACCEPTED)
        assert await voice.hear() == phrases.accepted_by("Anna").en
        voice.signs.become(CallState.CLOSED)
        await voice.hear()
        voice.signs.become(CallState.ACCEPTED)
        assert await voice.hear() == words(CallState.ACCEPTED)


@pytest.mark.parametrize("name", ["", "A\n", "x" * 41, None])
async def test_a_name_that_cannot_be_said(name):
    with pytest.raises(CommandRefused, match="name cannot be said"):
        Voice().announcer.accepted_by(name)


@pytest.mark.parametrize(
    ("wall", "muted"),
    [
        ("2026-11-26T21:59", False),
        ("2026-11-26T22:00", True),
        ("2026-11-27T03:00", True),
        ("2026-11-27T06:59", True),
        ("2026-11-27T07:00", False),
    ],
)
async def test_mute_hours_hold_back_weather_and_notices_and_nothing_else(wall, muted):
    voice = Voice(wall)
    for priority in Priority:
        voice.announcer.say(f"words of {priority.name}", priority)
    heard = [await voice.hear() for _ in range(3 if muted else 5)]
    assert heard[:3] == ["words of CALL", "words of ALARM", "words of REMINDER"]
    assert await voice.is_silent()


async def test_what_was_held_back_is_said_in_the_morning(monkeypatch):
    monkeypatch.setattr(announcer_module, "MUTE_LOOK_S", 0.01)
    voice = Voice("2026-11-26T23:00")
    voice.announcer.say("a notice", Priority.NOTICE, valid_s=86_400)
    waiting = asyncio.create_task(voice.hear())
    await asyncio.sleep(0.03)
    assert not waiting.done()
    voice.clock.pass_s(8 * 3600)
    assert await waiting == "a notice"


async def test_a_clock_that_is_not_known_mutes_nothing():
    voice = Voice("2026-11-26T23:00")
    voice.clock.unsynchronise()
    voice.announcer.say("a notice", Priority.NOTICE)
    assert await voice.hear() == "a notice"


async def test_what_a_person_asks_for_at_night_is_said():
    voice = Voice("2026-11-26T23:00")
    voice.announcer.say("rain", Priority.WEATHER, asked=True)
    assert await voice.hear() == "rain"


async def test_who_waits_is_woken():
    voice = Voice()
    waiting = asyncio.create_task(voice.hear())
    await asyncio.sleep(0.01)
    voice.announcer.say("words", Priority.NOTICE)
    assert await waiting == "words"


async def test_cancelling_the_wait_loses_nothing():
    voice = Voice()
    waiting = asyncio.create_task(voice.next())
    await asyncio.sleep(0)
    voice.announcer.say("words", Priority.NOTICE)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert await voice.hear() == "words"


async def test_the_language_of_the_home():
    voice = Voice(language="zh")
    voice.announcer.say(phrases.PHRASES["test_mode"], Priority.NOTICE)
    utterance = await voice.next()
    assert (utterance.language, utterance.phrase) == ("zh", "test_mode")
    assert utterance.text == phrases.PHRASES["test_mode"].zh


async def test_an_item_knows_how_far_it_got():
    voice = Voice()
    item = voice.announcer.say("words", Priority.NOTICE)
    assert (item.begun, item.said, voice.announcer.holds(item)) == (False, False, True)
    utterance = await voice.next()
    assert (item.begun, item.said) == (True, False)
    utterance.said()
    assert (item.begun, item.said, voice.announcer.holds(item)) == (True, True, False)


def test_mute_within_a_day_and_never():
    at = datetime.fromisoformat
    assert Mute("12:00-14:00").covers(at("2026-11-26T13:00"))
    assert not Mute("12:00-14:00").covers(at("2026-11-26T14:00"))
    assert not any(Mute("").covers(at(f"2026-11-26T{hour:02}:00")) for hour in range(24))
    assert not Mute("08:00-08:00").covers(at("2026-11-26T08:00"))
