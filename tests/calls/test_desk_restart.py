"""A call goes on where it was after a power cut; what its person saw was true."""

from __future__ import annotations

import asyncio

import pytest
from desk_bench import DEVICE, desk_rig

from gateway.calls.call import Call
from gateway.journal import Journal
from gateway.model import CallState, Lane


@pytest.mark.parametrize("state", ["stored", "delivered", "accepted", "undelivered", "texted"])
async def test_a_restart_at_each_state(tmp_path, state):
    settings = {"deliver": 0.03} if state in {"undelivered", "texted"} else {}
    async with desk_rig(tmp_path, **settings) as rig:
        rig.press()
        await _reach(rig, CallState(state))
        (before,) = rig.desk.snapshot()
        await rig.restart()
        assert rig.desk.signs(DEVICE).state is CallState(state)
        (after,) = rig.desk.snapshot()
        assert after["call"] == before["call"]
        rig.acknowledge()
        await rig.until(CallState.ACCEPTED if state == "accepted" else CallState.DELIVERED)
        assert await rig.desk.close(after["call"], "desk")
        await rig.restart()
        assert rig.desk.snapshot() == []


async def _reach(rig, state):
    await rig.until(
        CallState.UNDELIVERED if state in {CallState.UNDELIVERED, CallState.TEXTED}
        else CallState.STORED
    )  # fmt: skip
    if state in {CallState.DELIVERED, CallState.ACCEPTED}:
        rig.acknowledge()
        await rig.until(CallState.DELIVERED)
    if state is CallState.ACCEPTED:
        (call,) = rig.desk.snapshot()
        await rig.desk.accept(call["call"], "desk")
    if state is CallState.TEXTED:
        (await rig.desk.texts.next()).sent()
    await rig.until(state)


async def test_a_text_that_was_about_to_be_sent_is_sent_after_the_restart_and_not_twice(tmp_path):
    async with desk_rig(tmp_path, deliver=0.02, accept=0.02, repeats=0) as rig:
        rig.press()
        await rig.until(CallState.UNDELIVERED)
        await rig.desk.texts.next()  # and the power goes
        await rig.restart()
        async with asyncio.timeout(10):
            (await rig.desk.texts.next()).sent()
        await rig.until(CallState.TEXTED)
        rig.acknowledge()
        await rig.until(CallState.ESCALATED)
        async with asyncio.timeout(10):
            (await rig.desk.texts.next()).sent()  # about something else: nobody takes it
        await rig.kept(CallState.ESCALATED, "escalated")
        await rig.restart()
        await rig.until(CallState.ESCALATED)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await rig.desk.texts.next()


async def test_what_the_book_has_not_the_journal_has(rig):
    await rig.press()
    await rig.until(CallState.STORED)
    (before,) = rig.desk.snapshot()
    await rig.stop()
    (rig.folder / "calls.json").unlink(missing_ok=True)
    await rig.start()
    assert rig.signs.state is CallState.STORED
    assert rig.desk.snapshot() == [before]
    rig.acknowledge()
    await rig.until(CallState.DELIVERED)


async def test_delivered_while_hearth_was_away_from_the_book(rig):
    """The acknowledgement was the last thing that happened: the book still says stored."""
    await rig.press()
    await rig.until(CallState.STORED)
    await rig.kept(CallState.STORED)
    kept = (rig.folder / "calls.json").read_bytes()
    rig.acknowledge()
    await rig.until(CallState.DELIVERED)
    await rig.stop()
    (rig.folder / "calls.json").write_bytes(kept)
    await rig.start()
    await rig.until(CallState.DELIVERED)


async def test_an_end_that_the_book_missed_is_in_the_journal(rig):
    await rig.press()
    await rig.until(CallState.STORED)
    (call,) = rig.desk.snapshot()
    await rig.desk.close(call["call"], "desk")
    await rig.stop()
    (rig.folder / "calls.json").unlink(missing_ok=True)
    await rig.start()
    assert rig.desk.snapshot() == []


@pytest.mark.parametrize("end", ["cancelled", "closed", "accepted"])
async def test_what_was_told_and_not_yet_kept_is_not_forgotten(rig, monkeypatch, end):
    """hearth stopped between the event and the book: upstream will hear of the end, so it is one."""
    await rig.press()
    await rig.kept(CallState.STORED)
    rig.acknowledge()
    await rig.kept(CallState.DELIVERED)
    kept = (rig.folder / "calls.json").read_bytes()
    (call,) = rig.desk.snapshot()
    if end == "cancelled":
        assert rig.desk.cancel(DEVICE)
    elif end == "closed":
        assert await rig.desk.close(call["call"], "desk")
    else:
        assert await rig.desk.accept(call["call"], "desk")
    await rig.told(end)
    await rig.stop()
    (rig.folder / "calls.json").write_bytes(kept)
    await rig.start()
    assert [it["state"] for it in rig.desk.snapshot()] == (
        ["accepted"] if end == "accepted" else []
    )


async def test_the_book_may_be_further_than_what_still_waits_in_the_journal(tmp_path):
    async with desk_rig(tmp_path, deliver=0.02) as rig:
        rig.press()
        await rig.told("undelivered")
        rig.journal.acknowledge(Lane.URGENT, 1)  # the call, and not yet what was said of it
        await rig.kept(CallState.DELIVERED)
        await rig.restart()
        assert rig.signs.state is CallState.DELIVERED


async def test_a_call_known_to_the_book_alone_is_told_again(rig):
    await rig.stop()
    await rig.start()
    await rig.book.write([Call("0badcafe", "call-bath", {"room": "bath"}, "button", state=None)])
    await rig.restart()
    await rig.until(CallState.STORED, "call-bath")
    (event,) = rig.events()
    assert event.device == "call-bath"
    assert event.labels == {"room": "bath"}
    assert event.detail == {"call": "0badcafe", "cause": "button", "again": True}


async def test_a_new_card_with_the_old_book(rig, tmp_path):
    await rig.press()
    await rig.until(CallState.STORED)
    (before,) = rig.desk.snapshot()
    await rig.kept(CallState.STORED)
    await rig.stop()
    for path in (rig.folder / "journal").rglob("*"):
        if path.is_file():
            path.unlink(missing_ok=True)
    await rig.start()
    await rig.until(CallState.STORED)
    (event,) = rig.events()
    assert event.detail["call"] == before["call"]
    assert event.detail["again"] is True


@pytest.mark.parametrize("damage", [b"", b"[", b"{}", b'[{"id": 5}]', b"[" * 5000, b"x" * 300_000])
async def test_a_damaged_book_is_no_reason_not_to_start(rig, damage):
    await rig.press()
    await rig.until(CallState.STORED)
    await rig.stop()
    (rig.folder / "calls.json").write_bytes(damage)
    await rig.start()
    assert rig.signs.state is CallState.STORED  # the journal has it


async def test_the_signs_of_a_home_are_those_of_the_call_that_got_least_far(rig):
    await rig.press("call-bath")
    await rig.until(CallState.STORED, "call-bath")
    rig.acknowledge()
    await rig.until(CallState.DELIVERED, "call-bath")
    await rig.press()
    await rig.until(CallState.STORED, None)
    assert rig.desk.signs("call-bath").state is CallState.DELIVERED
    assert isinstance(rig.journal, Journal)
