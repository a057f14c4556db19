"""The desk: what happens to a call is told, kept and shown, and shown never more than is true."""

from __future__ import annotations

import asyncio

import pytest
from desk_bench import DEVICE, desk_rig

from gateway.errors import JournalWriteFailed
from gateway.model import CallState, Kind, TimeQuality


async def test_a_call_from_press_to_close(rig):
    signs = rig.desk.signs(DEVICE)
    assert signs.state is None
    rig.press()
    await rig.until(CallState.STORED)
    (call,) = rig.events()
    assert call.kind is Kind.CALL
    assert call.detail == {"cause": "button", "call": call.detail["call"]}
    assert call.labels == {"room": "bedroom"}
    rig.acknowledge()
    await rig.until(CallState.DELIVERED)
    assert await rig.desk.accept(call.detail["call"], "desk 1")
    assert rig.signs.state is CallState.ACCEPTED
    assert await rig.desk.close(call.detail["call"], "desk 1")
    assert rig.signs.state is CallState.CLOSED
    accepted, closed = rig.events()
    assert accepted.detail == {"call": call.detail["call"], "state": "accepted", "by": "desk 1"}
    assert closed.detail["state"] == "closed"
    assert rig.book.read() == []


async def test_nobody_can_be_told_and_then_somebody_can(tmp_path):
    async with desk_rig(tmp_path, deliver=0.05) as rig:
        rig.press()
        await rig.until(CallState.UNDELIVERED)
        assert (await rig.told("undelivered"))["call"]
        rig.acknowledge()
        await rig.until(CallState.DELIVERED)


async def test_a_second_path_is_asked_when_nobody_can_be_told(tmp_path):
    async with desk_rig(tmp_path, deliver=0.02) as rig:
        rig.press()
        async with asyncio.timeout(10):
            message = await rig.desk.texts.next()
            assert message.text == f"{DEVICE} calls"
            message.failed("no signal")
            assert (await rig.told("not_texted"))["reason"] == "no signal"
            await rig.until(CallState.UNDELIVERED)
            (await rig.desk.texts.next()).sent()
        await rig.until(CallState.TEXTED)
        assert await rig.told("texted")
        rig.acknowledge()
        await rig.until(CallState.DELIVERED)


async def test_a_text_is_not_sent_once_the_call_is_delivered(tmp_path):
    async with desk_rig(tmp_path, deliver=0.02) as rig:
        rig.press()
        await rig.until(CallState.UNDELIVERED)
        rig.acknowledge()
        await rig.until(CallState.DELIVERED)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await rig.desk.texts.next()


async def test_nobody_takes_it_told_again_and_escalated(tmp_path):
    async with desk_rig(tmp_path, accept=0.03, repeats=2) as rig:
        rig.press()
        await rig.until(CallState.STORED)
        rig.acknowledge()
        await rig.until(CallState.ESCALATED)
        counts = [
            e.detail.get("count") for e in rig.events() if e.detail.get("state") == "repeated"
        ]
        assert counts == [1, 2]
        assert await rig.told("escalated")
        async with asyncio.timeout(10):
            await rig.desk.texts.next()
        (call,) = rig.desk.snapshot()
        assert await rig.desk.accept(call["call"], "son")
        assert rig.signs.state is CallState.ACCEPTED


async def test_where_nobody_can_answer_a_delivered_call_ends_by_itself(tmp_path):
    async with desk_rig(tmp_path, answered=False, linger=0.03) as rig:
        rig.press()
        await rig.until(CallState.STORED)
        rig.acknowledge()
        await rig.until(CallState.CLOSED)
        assert not [e for e in rig.events() if e.detail.get("state") == "repeated"]


async def test_presses_of_one_device_are_one_call_until_it_is_taken(rig):
    receipts = [rig.press(), rig.press(), rig.press()]
    rig.press("call-bath")
    for receipt in receipts:
        await receipt
    await rig.until(CallState.STORED, "call-bath")
    events = [event for event in rig.events() if event.device == DEVICE]
    assert len({event.detail["call"] for event in events}) == 1
    assert [event.detail.get("presses") for event in events] == [None, 2, 3]
    first = events[0].detail["call"]
    await rig.desk.accept(first, "desk")
    rig.press()
    async with asyncio.timeout(10):
        while len(rig.desk.snapshot()) < 3:
            await asyncio.sleep(0.005)
    await rig.until(CallState.STORED)  # the new one; the one that got least far is shown


async def test_cancel_in_time_is_an_event(rig):
    rig.press()
    await rig.until(CallState.STORED)
    assert rig.desk.cancel("call-bath") is False
    assert rig.desk.cancel(DEVICE) is True
    await rig.until(CallState.CANCELLED)
    assert await rig.told("cancelled")


async def test_cancel_too_late_is_none(tmp_path):
    async with desk_rig(tmp_path, cancel=0.05) as rig:
        rig.press()
        await rig.until(CallState.STORED)
        await asyncio.sleep(0.1)
        assert rig.desk.cancel(DEVICE) is False
        assert rig.signs.state is CallState.STORED


async def test_a_call_that_the_flash_refuses_is_not_shown_as_stored(rig, monkeypatch):
    def refuse(*_):
        raise OSError(5, "no")

    monkeypatch.setattr("gateway.journal.files.OsFiles.fdatasync", refuse)
    receipt = rig.press()
    with pytest.raises(JournalWriteFailed):
        await receipt
    assert rig.signs.state is None
    assert rig.desk.signs().state is None


async def test_a_call_that_neither_flash_nor_network_takes_is_not_silent(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(5, "no")

    async with desk_rig(tmp_path, deliver=0.05) as rig:
        monkeypatch.setattr("gateway.journal.files.OsFiles.fdatasync", refuse)
        rig.press()
        await rig.until(CallState.UNDELIVERED)
        async with asyncio.timeout(10):
            assert (await rig.desk.texts.next()).text == f"{DEVICE} calls"


@pytest.mark.parametrize("state", [CallState.DELIVERED, CallState.ACCEPTED])
async def test_a_later_state_is_shown_when_it_is_kept_and_not_before(rig, monkeypatch, state):
    await rig.press()
    await rig.kept(CallState.STORED)
    if state is CallState.ACCEPTED:
        rig.acknowledge()
        await rig.until(CallState.DELIVERED)
    before, writing, may_write = rig.signs.state, asyncio.Event(), asyncio.Event()
    write = rig.book.write

    async def slow(calls):
        writing.set()
        await may_write.wait()
        await write(calls)

    monkeypatch.setattr(rig.book, "write", slow)
    if state is CallState.ACCEPTED:
        answer = asyncio.create_task(rig.desk.accept(rig.desk.snapshot()[0]["call"], "desk"))
    else:
        rig.acknowledge()
    async with asyncio.timeout(10):
        await writing.wait()
    assert rig.desk.snapshot()[0]["state"] is state
    assert rig.signs.state is before
    may_write.set()
    await rig.until(state)
    assert rig.book.read()[0].state is state
    if state is CallState.ACCEPTED:
        assert await answer


async def test_what_cannot_be_kept_is_shown_all_the_same(rig):
    rig.press()
    await rig.until(CallState.STORED)
    rig.book._file.path.parent.joinpath("calls.new").mkdir()
    rig.acknowledge()
    await rig.until(CallState.DELIVERED)


async def test_an_old_call_expires_when_the_clock_says_so(rig):
    rig.press()
    await rig.until(CallState.STORED)
    rig.clock.wall_ms += 86_400_001
    rig.desk._wake.set()
    await rig.until(CallState.EXPIRED)
    assert await rig.told("expired")


async def test_an_unknown_clock_makes_no_call_old(rig):
    rig.press()
    await rig.until(CallState.STORED)
    rig.clock.quality = TimeQuality.UNKNOWN
    rig.clock.wall_ms += 10 * 86_400_000
    rig.desk._wake.set()
    await asyncio.sleep(0.02)
    assert rig.signs.state is CallState.STORED


async def test_answers_to_what_is_not_open(rig):
    assert await rig.desk.accept("00000000", "desk") is False
    assert await rig.desk.close("00000000", "desk") is False
    assert rig.events() == []


async def test_the_gateways_own_test_is_over_once_it_is_delivered(rig):
    await rig.press("gateway", test=True)
    rig.acknowledge()
    async with asyncio.timeout(10):
        while rig.desk.snapshot()[0]["state"] is not CallState.CLOSED:
            await asyncio.sleep(0.005)
    assert rig.events() == []


async def test_the_gateways_own_test_is_shown_to_nobody(tmp_path):
    async with desk_rig(tmp_path, deliver=0.02) as rig:
        rig.press("gateway", test=True)
        assert await rig.told("undelivered")
        assert rig.desk.signs().state is None
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await rig.desk.texts.next()
