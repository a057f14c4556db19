"""Weather and notices: said while they hold, at their times and when asked for, and never stale."""

from __future__ import annotations

import asyncio
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from virtual_clock import VirtualClock, at_ms

from gateway.announce import Announcer
from gateway.errors import CommandRefused, JournalWriteFailed
from gateway.model import TimeQuality
from gateway.news import News
from gateway.news import news as news_module
from gateway.news.kept import Kept
from gateway.settings import AnnounceSettings
from gateway.timekeeper import Timekeeper

SHANGHAI = ZoneInfo("Asia/Shanghai")
MINUTE, HOUR, DAY = 60, 3600, 86_400
RAIN = "The weather: rain until noon"
NONE = "I have no fresh weather report."


class Home:
    def __init__(self, path, wall="2026-11-26T07:00", **settings) -> None:
        self.path = path
        self.clock = VirtualClock(wall, SHANGHAI)
        self.settings = AnnounceSettings(**({"language": "en"} | settings))
        self.heard: list[str] = []
        self.restart()

    def restart(self) -> None:
        time = Timekeeper(self.clock, SHANGHAI)
        self.announcer = Announcer(self.settings, time)
        self.kept = Kept(self.path)
        self.news = News(self.settings, self.kept, self.announcer, time)

    def ms(self, wall: str) -> int:
        return at_ms(f"2026-11-{wall}", SHANGHAI)

    async def rain(self, until: str = "26T12:00") -> None:
        await self.news.set_weather({"text": "rain until noon", "valid_until": self.ms(until)})

    async def listen(self) -> None:
        while True:
            try:
                async with asyncio.timeout(0):
                    utterance = await self.announcer.next()
            except TimeoutError:
                return
            self.heard.append(utterance.text)
            utterance.said()

    async def live_until(self, wall: str, step_s: float = 60) -> None:
        await self.news.look()
        await self.listen()
        while self.clock.wall_ms < self.ms(wall):
            self.clock.pass_s(step_s)
            await self.news.look()
            await self.listen()
        await self.news.look()


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "news.json")


# --- weather -------------------------------------------------------------------------------------


async def test_it_is_said_at_its_time_each_day_while_it_holds(home):
    await home.rain("27T08:00")
    await home.live_until("26T07:29")
    assert home.heard == []
    await home.live_until("26T12:00")
    assert home.heard == [RAIN]
    await home.live_until("29T00:00", 300)
    assert home.heard == [RAIN, RAIN, NONE]


async def test_who_gets_no_reports_is_not_told_so_each_morning(home):
    await home.live_until("28T00:00", 300)
    assert home.heard == []


async def test_who_asks_is_answered(home):
    home.news.tell_news()
    await home.listen()
    await home.rain()
    home.news.tell_news()
    await home.listen()
    home.clock.pass_s(6 * HOUR)
    home.news.tell_news()
    await home.listen()
    assert home.heard == [NONE, RAIN, NONE]


async def test_a_report_that_became_stale_while_it_waited_is_not_said(home):
    await home.rain("26T07:10")
    home.news.tell_news()
    home.clock.pass_s(11 * MINUTE)
    await home.listen()
    assert home.heard == []


async def test_who_asks_at_night_is_answered(tmp_path):
    home = Home(tmp_path / "n", "2026-11-26T23:00")
    await home.rain("27T12:00")
    home.news.tell_news()
    await home.listen()
    assert home.heard == [RAIN]


async def test_a_set_time_in_mute_hours_waits_for_the_morning(tmp_path):
    home = Home(tmp_path / "n", "2026-11-26T05:00", weather_at=("06:00",))
    await home.rain("26T09:00")
    await home.live_until("26T06:59")
    assert home.heard == []
    await home.live_until("26T07:01")
    assert home.heard == [RAIN]


async def test_a_restart_keeps_it_and_says_it_no_second_time(home):
    await home.rain("27T12:00")
    await home.live_until("26T07:30")
    home.restart()
    await home.live_until("26T12:00")
    assert home.heard == [RAIN]
    home.news.tell_news()
    await home.listen()
    assert home.heard == [RAIN] * 2


async def test_a_clock_that_jumped_over_the_time_by_hours_says_nothing(home):
    await home.rain("26T23:00")
    await home.live_until("26T07:01")
    home.clock.step_s(5 * HOUR)
    await home.live_until("26T13:00")
    assert home.heard == []


async def test_nothing_is_fresh_while_nobody_knows_the_time(home):
    await home.rain()
    home.clock.unsynchronise()
    home.clock.power_cut_s(1)
    home.restart()
    await home.live_until("26T12:00")
    assert home.heard == []
    home.news.tell_news()
    await home.listen()
    assert home.heard == [NONE]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"text": ""}, "nothing in it can be said"),
        ({"text": "x" * 201}, "201 characters"),
        ({"text": "a\x00"}, "U+0000"),
        ({"text": 5}, "weather.text: Expected str"),
        ({"valid_until": "noon"}, "weather.valid_until: Expected int"),
        ({"valid_until": -1}, "weather.valid_until: Expected int"),
        ({"valid_until": 2**60}, "weather.valid_until"),
        ({"valid_until": True}, "weather.valid_until: Expected int"),
        ({"valid_until": 1_000}, "stale"),
        ({"valid_until": 1_900_000_000_000}, "holds for more than 31 days"),
        ({"colour": 1}, "weather.colour: unknown key"),
        ({"a\nb": 1}, "a?b: unknown key"),
    ],
    ids=repr,
)
async def test_reports_that_are_refused(home, change, reason):
    with pytest.raises(CommandRefused) as refused:
        await home.news.set_weather({"text": "rain", "valid_until": home.ms("26T12:00")} | change)
    assert reason in str(refused.value)
    assert len(str(refused.value)) <= 256
    home.news.tell_news()
    await home.listen()
    assert home.heard == [NONE]


# --- notices -------------------------------------------------------------------------------------


def notice(**more):
    return {"id": "n1", "text": "water is off at ten"} | more


WATER = "A notice: water is off at ten"


async def test_a_notice_is_said_once_and_again_when_asked_for(home):
    await home.news.add_notice(notice())
    await home.live_until("26T07:29")
    assert home.heard == [WATER]
    home.restart()
    await home.live_until("26T12:00")
    assert home.heard == [WATER, WATER]  # with the weather of 7:30, of which there never was any
    home.news.tell_news()
    await home.listen()
    assert home.heard[2:] == [WATER, NONE]  # a notice matters more
    await home.live_until("28T12:00", 300)
    assert len(home.heard) == 4  # it held for a day


async def test_a_notice_of_later_waits_for_its_time(home):
    await home.news.add_notice(notice(at=home.ms("26T09:00"), until=home.ms("26T10:00")))
    await home.live_until("26T08:59")
    assert home.heard == []
    await home.live_until("26T12:00")
    assert home.heard == [WATER]


async def test_a_notice_that_comes_at_night_is_said_in_the_morning_over_a_restart_too(tmp_path):
    home = Home(tmp_path / "n", "2026-11-26T23:00", weather_at=())
    await home.news.add_notice(notice())
    await home.live_until("27T03:00", 300)
    home.restart()
    await home.live_until("27T06:55", 300)
    assert home.heard == []
    await home.live_until("27T12:00", 300)
    assert home.heard == [WATER]


async def test_without_a_loudspeaker_it_stays_to_be_said(home):
    await home.news.add_notice(notice(until=home.ms("26T09:00")))
    await home.news.look()
    home.restart()
    await home.news.look()
    await home.listen()
    assert home.heard == [WATER]


async def test_a_notice_that_is_over_is_not_said(home):
    await home.news.add_notice(notice(until=home.ms("26T07:05")))
    home.clock.pass_s(6 * MINUTE)
    home.restart()
    await home.live_until("26T08:00")
    assert home.heard == []
    assert home.kept.notices == {}


async def test_the_same_id_takes_the_place_and_new_words_are_said_again(home):
    for _ in range(2):
        await home.news.add_notice(notice())
        await home.news.look()
        await home.listen()
        await home.news.look()
    await home.news.add_notice(notice(text="water is on again"))
    await home.news.look()
    await home.listen()
    assert home.heard == [WATER, "A notice: water is on again"]


async def test_one_that_arrives_while_nobody_knows_the_time_is_said_once(home):
    home.clock.unsynchronise()
    home.restart()
    await home.news.add_notice(notice())
    for _ in range(5):
        home.clock.pass_s(MINUTE)
        await home.news.look()
        await home.listen()
    assert home.heard == [WATER]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"id": ""}, "notice.id: Expected str of length >= 1"),
        ({"id": 5}, "notice.id: Expected str"),
        ({"id": "x" * 257}, "notice.id: Expected str of length <= 256"),
        ({"text": "\u202e"}, "U+202E cannot be said"),
        ({"at": 1.5}, "notice.at"),
        ({"until": 1000}, "ends before it begins"),
        ({"at": 1000, "until": 2000}, "is over"),
        ({"until": 1_900_000_000_000}, "in more than 31 days"),
        ({"at": 1_900_000_000_000}, "in more than 31 days"),
        ({"by": "x"}, "notice.by: unknown key"),
    ],
    ids=repr,
)
async def test_notices_that_are_refused(home, change, reason):
    with pytest.raises(CommandRefused) as refused:
        await home.news.add_notice(notice() | change)
    assert reason in str(refused.value)
    await home.news.look()
    await home.listen()
    assert home.heard == []


async def test_too_many_are_refused(home):
    for number in range(news_module.MOST_NOTICES):
        await home.news.add_notice(notice(id=f"n{number}", until=home.ms("26T08:00")))
    with pytest.raises(CommandRefused, match="50 notices already"):
        await home.news.add_notice(notice(id="more"))
    await home.news.add_notice(notice(id="n3", text="other words"))
    home.clock.pass_s(2 * HOUR)
    await home.news.add_notice(notice(id="more"))


async def test_flash_that_refuses(home, monkeypatch):
    async def refuse(self):
        raise JournalWriteFailed("no")

    monkeypatch.setattr(Kept, "save", refuse)
    with pytest.raises(JournalWriteFailed):
        await home.news.add_notice(notice())
    await home.live_until("26T07:05")
    assert home.heard == [WATER]


@pytest.mark.parametrize("damage", [b"", b"[", b"{" * 9999, b"x" * 2**19], ids=len)
async def test_damaged_files_are_not_believed(home, damage):
    home.path.write_bytes(damage)
    home.restart()
    await home.rain()
    home.restart()
    home.news.tell_news()
    await home.listen()
    assert home.heard == [RAIN]


async def test_it_runs_by_itself(home):
    running = asyncio.create_task(home.news.run())
    try:
        await home.news.add_notice(notice())
        async with asyncio.timeout(5):
            utterance = await home.announcer.next()
        assert utterance.text == WATER
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_when_the_clock_becomes_known_set_times_begin(home):
    await home.rain("26T23:00")
    home.clock.unsynchronise()
    home.clock.power_cut_s(20 * MINUTE)
    home.restart()
    await home.news.look()
    home.clock.quality = TimeQuality.SYNCHRONISED
    assert datetime.fromtimestamp(home.clock.wall_ms / 1000, SHANGHAI).minute == 20
    await home.live_until("26T08:00")
    assert home.heard == [RAIN]
