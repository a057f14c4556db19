"""The bell: each occurrence rings once, until a person answers, whatever power and clock do."""

from __future__ import annotations

import asyncio
from random import Random
from zoneinfo import ZoneInfo

import msgspec
import pytest
from reminding_home import Home, pill
from simdisk import SimDisk

from gateway.errors import CommandRefused, JournalSaturated, JournalWriteFailed
from gateway.model import TimeQuality
from gateway.reminders.book import MOST_UNTOLD, Book
from gateway.reminders.plan import MOST_MISSED

SHANGHAI = ZoneInfo("Asia/Shanghai")
MEDICINE = (
    "It is time for your medicine: one white tablet. Press the button when you have taken it."
)
THANKS = "Thank you. I have noted it."
DAY, HOUR, MINUTE = 86_400, 3600, 60


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "reminders.json", "2026-11-26T07:50", SHANGHAI)


# --- a morning -----------------------------------------------------------------------------------


async def test_it_rings_when_it_is_due_and_is_told(home):
    assert await home.bell.set_all([pill()]) == 1
    await home.live_until("2026-11-26T07:59")
    assert home.heard == home.events == []
    await home.live_until("2026-11-26T08:00")
    assert home.heard == [MEDICINE]
    assert home.bell.ringing == ["pill"]
    assert home.events == [
        {
            "reminder": "pill",
            "kind": "medicine",
            "state": "rung",
            "occurrence": "2026-11-26T08:00:00",
            "scaip": "0082",
        }
    ]


async def test_it_is_repeated_until_a_person_answers(home):
    await home.bell.set_all([pill()])
    await home.live_until("2026-11-26T08:11")
    assert home.heard == [MEDICINE] * 3  # 8:00, 8:05, 8:10
    assert home.bell.acknowledge("call-bedroom")
    await home.live_until("2026-11-26T12:00")
    assert home.heard == [*[MEDICINE] * 3, THANKS]
    assert home.bell.ringing == []
    assert home.states() == ["rung", "taken"]
    assert home.events[-1]["scaip"] == "0083"
    assert home.events[-1]["by"] == "call-bedroom"
    assert not home.bell.acknowledge("call-bedroom")


async def test_or_until_it_was_enough(home):
    await home.bell.set_all([pill(repeats=2)])
    await home.live_until("2026-11-26T12:00")
    assert home.heard == [MEDICINE] * 3
    assert home.states() == ["rung", "not_taken"]
    assert home.events[-1]["scaip"] == "0081"


async def test_the_next_day_it_rings_again(home):
    await home.bell.set_all([pill()])
    await home.live(3 * DAY)
    assert home.of("rung") == [f"2026-11-{day}T08:00:00" for day in (26, 27, 28)]
    assert home.states() == ["rung", "not_taken"] * 3


@pytest.mark.parametrize(
    ("kind", "words"), [("appointment", "A reminder"), ("alarm", "It is time")]
)
async def test_only_medicine_has_telecare_codes(home, kind, words):
    await home.bell.set_all([pill(kind=kind)])
    await home.live_until("2026-11-26T08:00")
    assert home.heard[0].startswith(words)
    assert "scaip" not in home.events[0]


async def test_without_ack_it_is_said_once(home):
    await home.bell.set_all([pill(kind="appointment", ack=False)])
    await home.live_until("2026-11-26T08:00")
    assert not home.bell.acknowledge("key")  # a press now is a call, not an answer
    home.restart()
    await home.live_until("2026-11-26T23:00")
    assert home.heard == ["A reminder: one white tablet."]
    assert home.states() == ["rung"]


async def test_once_is_once(home):
    await home.bell.set_all([pill(rule="", start="2026-11-26T08:30:00")])
    await home.live(10 * DAY, 600)
    assert home.of("rung") == ["2026-11-26T08:30:00"]


async def test_a_person_answers_what_they_heard(home):
    """Two at one time, and the key pressed after the first: the second is not taken yet."""
    home.has_speaker = False
    await home.bell.set_all([pill(), pill(id="drops", text="eye drops")])
    await home.live_until("2026-11-26T08:00")
    utterance = await home.announcer.next()
    assert "tablet" in utterance.text
    assert home.bell.acknowledge("key")
    async with asyncio.timeout(1):
        await utterance.interrupted()  # nobody needs to hear it to its end
    assert home.bell.ringing == ["drops"]
    await home.listen()
    assert [text for text in home.heard if "eye drops" in text]
    assert home.bell.acknowledge("key")
    assert home.bell.ringing == []


async def test_without_a_loudspeaker_a_person_answers_all(home):
    home.has_speaker = False
    await home.bell.set_all([pill(), pill(id="drops")])
    await home.live_until("2026-11-26T08:00")
    assert home.bell.acknowledge("key")
    assert home.bell.ringing == []


async def test_what_was_heard_before_stays_heard_when_it_is_repeated(home):
    await home.bell.set_all([pill(), pill(id="drops")])
    await home.live_until("2026-11-26T08:00")
    home.has_speaker = False
    await home.live_until("2026-11-26T08:05")
    assert home.bell.acknowledge("key")
    assert home.bell.ringing == []


async def test_a_reminder_that_is_due_again_ends_the_one_before(home):
    often = pill(rule="FREQ=HOURLY;BYMINUTE=0,15,30,45", repeats=50)
    await home.bell.set_all([often])
    await home.live_until("2026-11-26T08:16")
    assert home.states() == ["rung", "not_taken", "rung"]
    assert home.events[1]["reason"] == "the next is due"


async def test_it_is_kept_before_it_is_heard(home, monkeypatch):
    await home.bell.set_all([pill(), pill(id="visit", ack=False)])
    say, kept = home.announcer.say, []

    def look_at_flash(*args, **more):
        kept.append(msgspec.json.decode(home.path.read_bytes())["progress"])
        return say(*args, **more)

    monkeypatch.setattr(home.announcer, "say", look_at_flash)
    await home.live_until("2026-11-26T08:05")
    assert len(kept) == 3
    assert all(progress["pill"]["ringing"] for progress in kept)
    assert [progress["pill"]["ringing"]["times"] for progress in kept] == [1, 1, 2]
    assert kept[1]["visit"]["ringing"]


async def test_a_press_while_flash_is_slow_answers_only_what_wants_an_answer(home, monkeypatch):
    await home.bell.set_all([pill(ack=False)])
    save, answers = Book.save, []

    async def slow(book):
        answers.append(home.bell.acknowledge("key"))
        await save(book)

    monkeypatch.setattr(Book, "save", slow)
    await home.live_until("2026-11-26T08:00")
    assert answers
    assert not any(answers)
    assert home.states() == ["rung"]


async def test_a_press_while_flash_is_slow_is_not_followed_by_the_words(home, monkeypatch):
    await home.bell.set_all([pill()])
    save = Book.save

    async def slow(book):
        await save(book)
        home.bell.acknowledge("key")

    await home.live_until("2026-11-26T07:59")
    monkeypatch.setattr(Book, "save", slow)
    await home.live_until("2026-11-26T08:10")
    assert home.heard == [THANKS]
    assert home.states() == ["rung", "taken"]


# --- restarts ------------------------------------------------------------------------------------


async def test_a_restart_does_not_ring_twice(home):
    await home.bell.set_all([pill()])
    await home.live_until("2026-11-26T08:01")
    home.restart()
    await home.live_until("2026-11-26T08:04")
    assert home.heard == [MEDICINE]
    assert home.states() == ["rung"]


async def test_what_nobody_answered_goes_on_after_a_restart(home):
    await home.bell.set_all([pill(repeats=3)])
    await home.live_until("2026-11-26T08:01")
    home.power_cut(2 * MINUTE)
    assert home.bell.ringing == ["pill"]
    await home.live_until("2026-11-26T12:00")
    assert home.heard == [MEDICINE] * 4
    assert home.states() == ["rung", "not_taken"]


async def test_what_a_person_answered_is_over_after_a_restart(home):
    await home.bell.set_all([pill()])
    await home.live_until("2026-11-26T08:01")
    home.bell.acknowledge("key")
    await home.look()
    home.restart()
    await home.live(2 * HOUR)
    assert home.heard == [MEDICINE, THANKS]
    assert home.states() == ["rung", "taken"]


async def test_after_a_day_without_power_nobody_is_told_to_take_it_now(home):
    await home.bell.set_all([pill()])
    await home.live_until("2026-11-26T08:01")
    home.power_cut(12 * HOUR)
    await home.look()
    assert home.heard == [MEDICINE]
    assert home.states() == ["rung", "not_taken"]
    assert home.events[-1]["reason"] == "off"


@pytest.mark.parametrize(("late_min", "rings"), [(1, True), (30, True), (31, False)])
async def test_what_was_due_while_off_rings_late_or_is_told(home, late_min, rings):
    await home.bell.set_all([pill()])
    await home.look()
    home.power_cut((10 + late_min) * MINUTE)
    await home.look()
    assert home.heard == ([MEDICINE] if rings else [])
    assert home.states() == ["rung" if rings else "not_rung"]
    assert home.events[0]["occurrence"] == "2026-11-26T08:00:00"


async def test_one_without_ack_that_power_took_the_word_from_is_over(home, monkeypatch):
    await home.bell.set_all([pill(ack=False)])
    monkeypatch.setattr(home.bell, "_ring", lambda plan: None)
    await home.live_until("2026-11-26T08:00")
    home.power_cut(MINUTE)
    await home.live(2 * HOUR)
    assert home.states() == ["rung"]
    assert home.heard == []


async def test_many_that_were_missed_are_one_event(home):
    await home.bell.set_all([pill(rule="FREQ=DAILY;BYHOUR=8,20;BYMINUTE=0")])
    await home.look()
    home.power_cut(3 * DAY)
    await home.look()
    (event,) = home.events
    assert event["state"] == "not_rung"
    assert (event["occurrence"], event["last"]) == ("2026-11-26T08:00:00", "2026-11-28T20:00:00")
    assert event["missed"] == 6
    assert "scaip" not in event  # nobody knows whether it was taken
    await home.live_until("2026-11-29T08:00")
    assert home.of("rung") == ["2026-11-29T08:00:00"]


async def test_years_of_every_quarter_of_an_hour_do_not_hold_anything_up(home):
    flood = [pill(id=f"r{n}", rule="FREQ=HOURLY;BYMINUTE=0,15,30,45") for n in range(3)]
    await home.bell.set_all(flood)
    await home.look()
    home.power_cut(2 * 365 * DAY)
    await home.look()
    assert [event["missed"] for event in home.events if event["state"] == "not_rung"] == [
        MOST_MISSED + 1
    ] * 3  # the one in the grace that a later one takes the place of
    assert len(home.of("rung")) == 3


async def test_a_power_cut_at_any_moment(tmp_path):
    """After every single call of the file system: it is not begun twice, and is told in the end."""
    path, disk = tmp_path / "reminders.json", SimDisk()
    disk.make_dir(path.parent)
    home = Home(path, "2026-11-26T07:50", SHANGHAI)
    home.files = disk
    home.restart()
    await home.bell.set_all([pill(repeats=1)])
    was_set = len(disk.ops)
    await home.live_until("2026-11-26T08:01")
    assert home.states() == ["rung"]
    has_rung = len(disk.ops)
    await home.live_until("2026-11-26T08:11")
    assert home.heard == [MEDICINE] * 2
    assert home.states() == ["rung", "not_taken"]
    seen = set()
    for cut in range(was_set, len(disk.ops) + 1):
        for image in disk.medium(cut).every(6, Random(cut)):
            after = Home(path, "2026-11-26T08:12", SHANGHAI)
            after.files = SimDisk(image)
            after.restart()
            await after.live(30 * MINUTE)
            assert after.bell.ringing == []
            assert after.states() in ([], ["not_taken"], ["rung", "not_taken"])
            assert len(after.heard) <= 2
            if cut >= has_rung:
                assert "rung" not in after.states()
                assert len(after.heard) <= 1
            seen.add(tuple(after.states()))
    assert seen == {(), ("not_taken",), ("rung", "not_taken")}


async def test_flash_that_refuses_does_not_keep_it_from_ringing(home, monkeypatch):
    await home.bell.set_all([pill()])

    async def refuse(self):
        raise JournalWriteFailed("no")

    monkeypatch.setattr(Book, "save", refuse)
    await home.live_until("2026-11-26T08:11")
    assert home.heard == [MEDICINE] * 3
    with pytest.raises(JournalWriteFailed):
        await home.bell.set_all([])


async def test_what_the_journal_did_not_take_is_told_later(home):
    await home.bell.set_all([pill()])
    home.refusal = JournalSaturated("full")
    await home.live_until("2026-11-26T08:01")
    assert home.heard == [MEDICINE]
    assert home.events == []
    home.restart()
    home.refusal = None
    await home.look()
    assert home.states() == ["rung"]
    home.restart()
    await home.look()
    assert home.states() == ["rung"]


async def test_events_that_wait_for_ever_are_bounded_and_counted(home):
    for number in range(MOST_UNTOLD + 7):
        home.bell._book.tell(1, {"n": number})
    assert len(home.bell._book.now.untold) == MOST_UNTOLD
    home.bell.teller.dirty = True
    await home.look()
    await home.look()
    assert {"fault": "reminder_events_lost", "active": True, "count": 7} in home.faults


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"\xff" * 99, b"{" * 99_999, b"x" * 2**21])
async def test_a_damaged_file_is_told_and_set_aside(home, damage):
    home.path.write_bytes(damage)
    home.restart()
    await home.look()
    (fault,) = home.faults
    assert (fault["fault"], fault["active"]) == ("reminders_lost", True)
    assert home.path.with_suffix(".damaged").read_bytes() == damage
    await home.bell.set_all([pill()])
    home.restart()
    await home.live_until("2026-11-26T08:00")
    assert home.heard == [MEDICINE]
    assert len(home.faults) == 1


async def test_a_rule_that_is_not_taken_any_more_does_not_keep_hearth_from_starting(home):
    await home.bell.set_all([pill(), pill(id="drops")])
    kept = home.path.read_text()
    home.path.write_text(kept.replace("FREQ=DAILY", "FREQ=MINUTELY", 1))
    home.restart()
    await home.live_until("2026-11-26T08:00")
    assert [fault["fault"] for fault in home.faults] == ["reminders_lost"]
    assert [event["reminder"] for event in home.events] == ["drops"]


# --- the clock -----------------------------------------------------------------------------------


async def test_nothing_rings_while_nobody_knows_the_time_and_that_is_said(home):
    await home.bell.set_all([pill()])
    await home.look()
    home.clock.unsynchronise()
    home.clock.step_s(-365 * DAY)
    home.power_cut(5 * MINUTE)  # no battery, no network: a clock of last year
    await home.live(HOUR)
    assert home.heard == [
        "I do not know what time it is. Until I do, I cannot remind you of anything."
    ]
    assert home.events == []
    assert home.faults == [{"fault": "clock_unknown", "active": True}]
    home.clock.step_s(365 * DAY)
    home.clock.quality = TimeQuality.SYNCHRONISED
    home.clock.step_s(-50 * MINUTE)  # 8:05: what is due rings
    await home.look()
    assert home.heard[1:] == [MEDICINE]
    assert home.faults[-1] == {"fault": "clock_unknown", "active": False}


async def test_a_clock_that_is_found_soon_is_not_worth_a_word(home):
    await home.bell.set_all([pill()])
    home.clock.unsynchronise()
    home.power_cut(MINUTE)
    await home.live(MINUTE, 5)
    home.clock.quality = TimeQuality.SYNCHRONISED
    await home.live(MINUTE, 5)
    assert home.heard == home.faults == []


async def test_without_reminders_nobody_cares_for_the_time(home):
    home.clock.unsynchronise()
    await home.live(HOUR)
    assert home.heard == home.faults == []


async def test_an_outage_of_days_does_not_stop_them(home):
    """The kernel calls the clock unsynchronised after nine hours without a time server."""
    await home.bell.set_all([pill()])
    await home.look()
    home.clock.unsynchronise()
    await home.live(DAY)
    home.restart()  # hearth's, in the same boot: the anchor is in the book
    await home.live(2 * DAY)
    assert home.of("rung") == [f"2026-11-{day}T08:00:00" for day in (26, 27, 28)]
    assert home.faults == []


async def test_set_while_nobody_knew_the_time(home):
    home.clock.unsynchronise()
    home.clock.step_s(-365 * DAY)
    await home.bell.set_all([pill()])
    await home.live(15 * MINUTE)
    home.clock.step_s(365 * DAY)
    home.clock.quality = TimeQuality.SYNCHRONISED
    await home.look()  # 8:05, and it was set at 7:50
    assert home.of("rung") == ["2026-11-26T08:00:00"]


async def test_since_when_it_holds_is_known_after_a_power_cut_too(home):
    home.clock.unsynchronise()
    await home.bell.set_all([pill()])
    home.clock.quality = TimeQuality.SYNCHRONISED
    await home.look()
    home.power_cut(DAY)
    await home.look()
    assert home.of("not_rung") == ["2026-11-26T08:00:00"]


async def test_a_clock_set_forward_over_it_rings_late_or_tells(home):
    await home.bell.set_all([pill()])
    await home.look()
    home.clock.step_s(20 * MINUTE)
    await home.look()
    assert home.of("rung") == ["2026-11-26T08:00:00"]
    home.clock.step_s(2 * DAY)
    await home.look()
    assert home.of("not_rung") == ["2026-11-27T08:00:00"]
    assert home.of("rung") == ["2026-11-26T08:00:00", "2026-11-28T08:00:00"]


async def test_a_clock_set_back_rings_nothing_twice(home):
    await home.bell.set_all([pill()])
    await home.live_until("2026-11-26T08:01")
    home.bell.acknowledge("key")
    home.clock.step_s(-HOUR)
    await home.live(3 * HOUR)
    assert home.of("rung") == ["2026-11-26T08:00:00"]
    await home.live_until("2026-11-27T08:01")
    assert home.of("rung") == ["2026-11-26T08:00:00", "2026-11-27T08:00:00"]


async def test_what_was_missed_on_a_wrong_clock_rings_when_it_is_set_right(home):
    await home.bell.set_all([pill()])
    await home.look()
    home.clock.step_s(3 * HOUR)
    await home.look()
    assert home.of("not_rung") == ["2026-11-26T08:00:00"]
    home.clock.step_s(-3 * HOUR)
    await home.live_until("2026-11-26T08:01")
    assert home.of("rung") == ["2026-11-26T08:00:00"]


async def test_a_clock_that_was_a_year_ahead_does_not_silence_it_for_a_year(home):
    await home.bell.set_all([pill()])
    await home.look()
    home.clock.step_s(365 * DAY)
    await home.live(HOUR)
    home.clock.step_s(-365 * DAY)
    await home.live_until("2026-11-29T07:00")
    assert home.of("rung") == [
        "2027-11-26T08:00:00",
        "2026-11-27T08:00:00",
        "2026-11-28T08:00:00",
    ]


async def test_repeats_go_by_time_that_passed_and_not_by_the_wall(home):
    await home.bell.set_all([pill()])
    await home.live_until("2026-11-26T08:00")
    home.clock.step_s(-10 * MINUTE)
    await home.live(5 * MINUTE)
    assert home.heard == [MEDICINE] * 2


# --- new ones ------------------------------------------------------------------------------------


async def test_set_again_they_keep_how_far_they_got(home):
    await home.bell.set_all([pill()])
    await home.live_until("2026-11-26T08:01")
    await home.bell.set_all([pill(), pill(id="drops", start="2026-01-01T09:00:00")])
    await home.live_until("2026-11-26T08:06")
    assert home.heard == [MEDICINE] * 2
    assert home.states() == ["rung"]
    assert home.bell.acknowledge("key")


async def test_new_words_hold_from_the_next_time_on(home):
    await home.bell.set_all([pill()])
    await home.live_until("2026-11-26T08:01")
    await home.bell.set_all([pill(text="two tablets")])
    await home.live_until("2026-11-26T08:06")
    assert "two tablets" in home.heard[-1]
    assert home.states() == ["rung"]


async def test_what_is_withdrawn_rings_no_more(home):
    await home.bell.set_all([pill()])
    await home.live_until("2026-11-26T08:01")
    await home.bell.set_all([])
    await home.live(2 * DAY)
    assert home.heard == [MEDICINE]
    assert home.states() == ["rung", "not_taken"]
    assert home.events[-1]["reason"] == "withdrawn"


async def test_a_new_time_holds_from_now_on(home):
    await home.bell.set_all([pill()])
    await home.live_until("2026-11-26T08:01")
    await home.bell.set_all([pill(start="2026-01-01T07:00:00")])
    await home.live_until("2026-11-27T07:01")
    assert home.of("rung") == ["2026-11-26T08:00:00", "2026-11-27T07:00:00"]
    assert home.events[1]["reason"] == "changed"


async def test_one_that_arrives_a_little_late_still_rings(home):
    once = pill(rule="", start="2026-11-26T07:40:00")
    await home.bell.set_all([once, once | {"id": "old", "start": "2026-11-26T07:00:00"}])
    await home.live(HOUR)
    assert home.of("rung") == ["2026-11-26T07:40:00"]
    assert "not_rung" not in home.states()  # one of an hour ago was over before it came


async def test_what_recurs_begins_with_the_next(home):
    await home.bell.set_all([pill(start="2026-01-01T07:45:00")])
    await home.live(HOUR)
    assert home.events == []


async def test_a_refused_list_changes_nothing(home):
    await home.bell.set_all([pill()])
    with pytest.raises(CommandRefused, match="every 15 min"):
        await home.bell.set_all([pill(id="flood", rule="FREQ=SECONDLY")])
    home.restart()
    await home.live_until("2026-11-26T08:00")
    assert home.heard == [MEDICINE]


# --- by itself -----------------------------------------------------------------------------------


async def test_it_runs_by_itself(home):
    """`run` looks, rings, tells and wakes for a key, without anybody calling `look`."""
    home.has_speaker = False
    await home.bell.set_all([pill()])
    home.clock.step_s(10 * MINUTE)
    running = asyncio.create_task(home.bell.run())
    try:
        async with asyncio.timeout(10):
            utterance = await home.announcer.next()
            assert utterance.text == MEDICINE
            while home.states() != ["rung"]:
                await asyncio.sleep(0.005)
            assert home.bell.acknowledge("key")
            while home.states() != ["rung", "taken"]:
                await asyncio.sleep(0.005)
            while b'"untold":[]' not in home.path.read_bytes():
                await asyncio.sleep(0.005)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
