"""The search for M-Bus meters: as a conversation, and on a line with several of them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from line_faults import Echoing

from drivers.bus.bus import Bus
from drivers.mbus import search as search_module
from drivers.mbus import wire
from drivers.mbus.search import PrimarySearch, Search, search, search_primary
from drivers.sim.meter_cjt188 import CollidingMeters
from drivers.sim.meter_mbus import MbusScript, VirtualMbusMeter
from drivers.sim.wires import VirtualBus
from gateway.settings import BusSettings

TIMEOUT_S = 0.1
KAM, ELS = "12345678.KAM.01.07", "12345679.ELS.0A.16"


def meter(text, address=0, **script):
    return VirtualMbusMeter(text, address, script=MbusScript(**script))


def converse(line, conversation=None):
    """A search without a wire."""
    conversation = conversation or Search()
    while conversation.question:
        said = line.hear(wire.encode(conversation.question))
        conversation.heard(b"".join(piece for _, piece in said))
    return conversation


def names(conversation):
    return sorted(str(it) for it in conversation.found)


def test_nobody():
    done = converse(CollidingMeters([]))
    assert (done.found, done.unresolved, done.questions) == ({}, [], 1)


@pytest.mark.parametrize("answers_to_fd", [True, False])
def test_one_meter_is_found_at_once(answers_to_fd):
    done = converse(meter(KAM, 5, answers_to_fd=answers_to_fd))
    address = wire.SELECTED if answers_to_fd else 5
    assert done.found == {wire.parse_identification(KAM): address}
    assert (done.unresolved, done.questions) == ([], 2)


def test_two_that_differ_in_the_last_digit():
    done = converse(CollidingMeters([meter(KAM), meter(ELS)]))
    assert names(done) == [KAM, ELS]
    # select and asked twice, ten selections, two answered.
    assert (done.unresolved, done.questions) == ([], 3 + 10 + 2)


def test_two_that_differ_in_the_first_digit():
    done = converse(CollidingMeters([meter("12345678.KAM.01.07"), meter("92345678.KAM.01.07")]))
    assert names(done) == ["12345678.KAM.01.07", "92345678.KAM.01.07"]
    assert done.unresolved == []
    assert done.questions < 120


@settings(max_examples=25, deadline=None)
@given(st.sets(st.from_regex(r"\A[0-9]{8}\Z"), min_size=1, max_size=8))
def test_all_are_found(numbers):
    meters = [meter(f"{number}.KAM.01.07") for number in numbers]
    done = converse(CollidingMeters(meters))
    assert names(done) == sorted(f"{number}.KAM.01.07" for number in numbers)
    assert done.unresolved == []


def test_two_of_one_number_are_not_passed_over_in_silence():
    done = converse(CollidingMeters([meter(KAM), meter("12345678.ELS.0A.16")]))
    assert done.found == {}
    assert wire.Identification("12345678") in done.unresolved


def test_one_that_does_not_say_who_it_is():
    done = converse(meter(KAM, refusal=8))
    assert done.found == {}
    assert wire.EVERY_METER in done.unresolved


def test_an_echo_is_nobody():
    assert converse(Echoing(CollidingMeters([]))).questions == 1
    assert names(converse(Echoing(meter(KAM)))) == [KAM]


def test_noise_once_is_nobody():
    conversation = Search()
    conversation.heard(b"\xe5")
    for _ in range(2):
        assert conversation.question == wire.ask(wire.SELECTED, fcb=True)
        conversation.heard(b"")
    while conversation.question:
        conversation.heard(b"")
    assert (conversation.found, conversation.unresolved) == ({}, [wire.EVERY_METER])
    assert conversation.questions == 3 + 10


def test_a_line_that_is_never_clean_comes_to_an_end(monkeypatch):
    monkeypatch.setattr(search_module, "MOST_QUESTIONS", 500)
    conversation = Search()
    while conversation.question:
        conversation.heard(b"\x00")
    assert 500 <= conversation.questions < 530
    assert wire.EVERY_METER in conversation.unresolved


# --- by primary address -------------------------------------------------------------------------


def test_primary_addresses():
    line = CollidingMeters([meter(KAM, 0), meter(ELS, 250)])
    done = converse(line, PrimarySearch())
    assert {address: str(it) for address, it in done.found.items()} == {0: KAM, 250: ELS}
    assert (done.unresolved, done.questions) == ([], 251 + 2)


def test_two_of_one_address():
    line = CollidingMeters([meter(KAM, 1), meter("98761234.ELS.0A.16", 1)])
    done = converse(line, PrimarySearch(range(3)))
    assert (done.found, done.unresolved) == ({}, [1])


# --- on a line ----------------------------------------------------------------------------------


async def run(run_search, *speakers):
    with VirtualBus() as line:
        for speaker in speakers:
            line.add(speaker)
        bus = Bus(BusSettings("wires", line.port, 115_200))
        try:
            return await run_search(bus)
        finally:
            await bus.close()


async def test_meters_that_collide_on_a_line():
    texts = [KAM, ELS, "00000001.ELS.0A.16", "99999999.ACW.14.16"]
    line = CollidingMeters([meter(text) for text in texts])
    done = await run(lambda bus: search(bus, TIMEOUT_S), line)
    assert names(done) == sorted(texts)
    assert done.unresolved == []


async def test_meters_that_do_not_collide():
    """One after the other, as meters of different makers wake up."""
    done = await run(lambda bus: search(bus, TIMEOUT_S), meter(KAM), meter(ELS))
    assert names(done) == [KAM, ELS]
    assert done.questions == 2


async def test_primary_addresses_on_a_line():
    done = await run(
        lambda bus: search_primary(bus, TIMEOUT_S, range(4)), meter(KAM, 1), meter(ELS, 3)
    )
    assert {address: str(it) for address, it in done.found.items()} == {1: KAM, 3: ELS}
