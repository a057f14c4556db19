"""The search for meters: as a conversation, and on a line with one to eight of them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.bus.bus import Bus
from drivers.cjt188 import search as search_module
from drivers.cjt188 import wire
from drivers.cjt188.search import Search, search
from drivers.sim.meter_cjt188 import Cjt188Script, CollidingMeters, VirtualCjt188Meter
from drivers.sim.wires import VirtualBus
from gateway.settings import BusSettings

TIMEOUT_S = 0.04


def meter(address, **script):
    return VirtualCjt188Meter(address, script=Cjt188Script(**script))


def converse(line, order="low-first", most=20_000):
    """A search without a wire; how many questions it took."""
    conversation = Search(order)
    asked = 0
    while conversation.question:
        asked += 1
        assert asked < most
        conversation.heard(
            b"".join(piece for _, piece in line.hear(wire.encode(conversation.question)))
        )
    return conversation, asked


def printed(conversation):
    return sorted(wire.printed_address(address) for address in conversation.found)


def test_nobody():
    conversation, asked = converse(CollidingMeters([]))
    assert (conversation.found, conversation.unresolved, asked) == ({}, [], 1)


def test_one_meter_is_found_at_once():
    conversation, asked = converse(meter("78330011223344"))
    assert conversation.found == {wire.wire_address("78330011223344"): 0x10}
    assert (conversation.unresolved, asked) == ([], 1)


def test_two_that_differ_in_the_lowest_byte():
    line = CollidingMeters([meter("78330011223344"), meter("78330011223345")])
    conversation, asked = converse(line)
    assert printed(conversation) == ["78330011223344", "78330011223345"]
    assert (conversation.unresolved, asked) == ([], 102)


def test_two_that_differ_in_the_highest_byte():
    line = CollidingMeters([meter("01330011223344"), meter("99330011223344")])
    conversation, asked = converse(line)
    assert printed(conversation) == ["01330011223344", "99330011223344"]
    assert asked == 7 * 100 + 7 + 1


@settings(max_examples=25, deadline=None)
@given(st.sets(st.from_regex(r"\A[0-9]{14}\Z"), min_size=1, max_size=8))
def test_whoever_understands_masks_is_found(addresses):
    conversation, _ = converse(CollidingMeters([meter(address) for address in addresses]))
    assert printed(conversation) == sorted(addresses)
    assert conversation.unresolved == []


def test_meters_without_masks_are_not_passed_over_in_silence():
    addresses = ("78330011223344", "78330011223345")
    line = CollidingMeters([meter(address, masks=False) for address in addresses])
    conversation, _ = converse(line)
    assert (conversation.found, conversation.unresolved) == ({}, [wire.EVERY_METER])


def test_one_meter_without_masks_behind_a_collision_is_not_passed_over_either():
    line = CollidingMeters([meter("78330011223344"), meter("78330011223345", masks=False)])
    conversation, _ = converse(line)
    assert printed(conversation) == ["78330011223344"]
    assert conversation.unresolved == [wire.EVERY_METER]


def test_what_is_garbled_to_the_end_is_reported_by_its_whole_address():
    conversation, address = Search("low-first"), wire.wire_address("78330011223344")
    while question := conversation.question:
        conversation.heard(b"\x00" if wire.matches(question.address, address) else b"")
    assert conversation.unresolved[0] == address
    assert conversation.found == {}


def test_noise_once_costs_one_question():
    conversation = Search("low-first")
    conversation.heard(b"\x00\x68\x68")
    assert conversation.question == wire.address_request("low-first")
    conversation.heard(b"")
    assert conversation.question is None
    assert (conversation.found, conversation.unresolved) == ({}, [])


def test_a_line_that_is_never_clean_comes_to_an_end(monkeypatch):
    monkeypatch.setattr(search_module, "MOST_QUESTIONS", 500)
    conversation, asked = Search("low-first"), 0
    while conversation.question:
        asked += 1
        conversation.heard(b"\x00")
    assert 500 <= asked < 520
    assert wire.EVERY_METER in conversation.unresolved


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=40))
def test_fuzz(heard):
    conversation = Search("high-first")
    for data in heard:
        if conversation.question:
            conversation.heard(data)


def test_echoes_and_late_words_are_no_meters():
    conversation = Search("low-first")
    asked = conversation.question
    late = wire.encode_address(wire.address_request("high-first"), b"\x11" * 7)
    conversation.heard(wire.encode(asked) + wire.encode(late))
    assert (conversation.found, conversation.question) == ({}, None)


# --- on a line ----------------------------------------------------------------------------------


async def search_line(*speakers, order="low-first"):
    with VirtualBus() as line:
        for speaker in speakers:
            line.add(speaker)
        bus = Bus(BusSettings("wires", line.port, 115_200))
        try:
            return await search(bus, order, TIMEOUT_S)
        finally:
            await bus.close()


@pytest.mark.parametrize("count", range(1, 9))
async def test_meters_that_do_not_collide(count):
    """One after the other, as meters of different makers wake up."""
    addresses = [f"783300112233{index:02d}" for index in range(count)]
    found = await search_line(*(meter(address) for address in addresses))
    assert printed(found) == addresses
    assert found.unresolved == []


@pytest.mark.parametrize("order", wire.DI_ORDERS)
async def test_meters_of_one_order_are_found_in_that(order):
    known = meter("78330011223344", orders=(order,))
    assert printed(await search_line(known, order=order)) == ["78330011223344"]
    assert printed(await search_line(known, order=wire.other_order(order))) == []


async def test_eight_meters_of_which_some_collide():
    addresses = ["78330011223344", "78330011223345", "78330011223444", "01330011225544"]
    addresses += ["00000000000001", "00000000000099", "12345678901234", "99999999999999"]
    line = CollidingMeters([meter(address) for address in addresses])
    found = await search_line(line)
    assert printed(found) == sorted(addresses)
    assert found.unresolved == []
