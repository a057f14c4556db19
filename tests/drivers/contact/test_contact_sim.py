"""Contacts on the virtual board: alarms, doors, floods of edges, cut wires, restarts."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from driven import driven_by
from stub_context import StubContext

from drivers.contact.driver import ContactDriver
from drivers.contact.settings import ContactSettings
from gateway.errors import JournalSaturated, LinkLost, SettingsError
from gateway.model import Kind, Lane, lane_of

HOLD_OFF = 0.2
FLUTTER_HOLD_OFF = 2.0  # no machine is so busy that what flutters every 50 ms is quiet for so long


def settings_of(board, **more):
    options = {"kind": "smoke", "normally": "open", "offset": 23, "hold_off": HOLD_OFF, **more}
    return ContactSettings(chip=f"sim:{board.path}", debounce=0.01, **options)


@asynccontextmanager
async def driven(board, context, **more):
    """The driver at work on line 23; yields its contact, `hold` closes it."""
    contact = board.button(23, nc=more.get("offset_nc"))
    async with driven_by(ContactDriver(settings_of(board, **more), context)):
        await context.wait_until(lambda: bool(context.states))
        yield contact


def alarms(context):
    return [alarm.detail["active"] for alarm in context.of(Kind.ALARM)]


async def test_an_alarm_and_its_end(board):
    context = StubContext("smoke-kitchen")
    async with driven(board, context) as contact:
        contact.hold()
        (alarm,) = await context.wait_for(1)
        assert (alarm.kind, alarm.detail) == (Kind.ALARM, {"alarm": "smoke", "active": True})
        assert lane_of(alarm.kind) is Lane.URGENT
        assert alarm.uptime_ms is not None
        contact.release()
        over = (await context.wait_for(2))[1]
        assert over.detail == {"alarm": "smoke", "active": False}
        assert over.uptime_ms - alarm.uptime_ms >= HOLD_OFF * 1000


async def test_a_normally_closed_contact_raises_it_by_opening(board):
    context = StubContext()
    board.button(23).hold()
    async with driven(board, context, normally="closed", kind="water") as contact:
        assert context.observations == []
        contact.release()
        (alarm,) = await context.wait_for(1)
        assert alarm.detail == {"alarm": "water", "active": True}


async def test_a_thousand_bounces_a_second_are_one_alarm(board):
    context = StubContext()
    async with driven(board, context, hold_off=FLUTTER_HOLD_OFF) as contact:
        await contact.bounce(500)
        await context.wait_for(2)
        assert alarms(context) == [True, False]


async def test_a_contact_that_flutters_is_one_alarm(board):
    context = StubContext()
    async with driven(board, context, hold_off=FLUTTER_HOLD_OFF) as contact:
        for _ in range(10):
            await contact.press(0.05)
            await asyncio.sleep(0.05)
        await context.wait_for(2)
        assert alarms(context) == [True, False]


async def test_active_at_the_start_is_told(board):
    board.button(23).hold()
    context = StubContext()
    async with driven(board, context) as contact:
        await context.wait_for(1)
        contact.release()
        await context.wait_for(2)
        assert alarms(context) == [True, False]


async def test_an_alarm_that_ended_while_nobody_looked_is_told_to_be_over(board):
    context = StubContext()
    async with driven(board, context) as contact:
        contact.hold()
        async with asyncio.timeout(5):
            while context.notes.values != {"active": True}:
                await asyncio.sleep(0.01)
    board.button(23).release()
    async with driven(board, context):
        await context.wait_for(2)
        assert alarms(context) == [True, False]
    again = StubContext()
    async with driven(board, again):
        assert again.observations == []


async def test_a_door_is_told_at_the_start_and_at_each_change(board):
    board.button(23).hold()
    context = StubContext()
    async with driven(board, context, kind="door", normally="closed") as door:
        await context.wait_for(1)
        door.release()
        await context.wait_for(2)
        door.hold()
        await context.wait_for(3)
        assert context.values("open") == [False, True, False]
        assert {seen.kind for seen in context.observations} == {Kind.MEASUREMENT}


async def test_a_test_is_marked_as_one(board):
    context = StubContext()
    context.house.testing = True
    async with driven(board, context) as contact:
        contact.hold()
        (alarm,) = await context.wait_for(1)
        assert alarm.detail["test"] is True


async def test_lost_edges_are_a_fault_and_an_alarm(board):
    context = StubContext()
    async with driven(board, context) as contact:
        board.wire(23).lose_edges(2)
        await contact.press(0.05)
        await context.wait_for(4)
        faults = [fault.detail for fault in context.of(Kind.FAULT)]
        assert [fault["active"] for fault in faults] == [True, False]
        assert {fault["fault"] for fault in faults} == {"lost_edges"}
        assert alarms(context) == [True, False]


async def test_a_cut_wire_is_an_alarm_and_a_fault_and_the_other_side_still_alarms(board):
    context = StubContext()
    async with driven(board, context, offset_nc=24) as contact:
        contact.cut(nc=True)
        alarm, fault = await context.wait_for(2)
        assert alarm.detail == {"alarm": "smoke", "active": True}
        assert fault.detail == {"fault": "wire", "active": True}
        contact.hold()
        await context.wait_for(3)
        assert alarms(context) == [True, True]


async def test_an_alarm_the_journal_does_not_accept_is_offered_again(board, monkeypatch):
    monkeypatch.setattr("drivers.call.RETRY_FIRST_S", 0.05)
    context = StubContext()
    emit, refusals = context.emit, [JournalSaturated("full")]

    def refuse_once(observation):
        if refusals:
            raise refusals.pop()
        return emit(observation)

    context.emit = refuse_once
    async with driven(board, context) as contact:
        contact.hold()
        await context.wait_for(1)
        assert alarms(context) == [True]


async def test_unplugged_is_link_lost(board):
    context = StubContext()
    board.button(23)
    run = asyncio.create_task(ContactDriver(settings_of(board), context).run())
    await board.wire(23).watched()
    await board.unplug()
    with pytest.raises(LinkLost):
        await run


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ({"offset_nc": 23}, "named twice"),
        ({"offset_nc": 24, "normally": "closed"}, "offset_nc needs"),
    ],
)
async def test_settings_that_contradict_themselves(board, more, fault):
    with pytest.raises(SettingsError, match=fault):
        ContactDriver.check(settings_of(board, **more))


async def test_the_quiet_time_is_by_kind(board):
    assert settings_of(board, hold_off=0).hold_off_s == 10
    assert settings_of(board, hold_off=0, kind="window").hold_off_s == 1
