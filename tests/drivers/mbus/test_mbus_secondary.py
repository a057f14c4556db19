"""Meters that are known by who they are: selection, turns at FD, and never another meter's value."""

import asyncio

import msgspec
import pytest
from line_faults import Faulty, late, mute, noise_before
from mbus_faults import faults
from meter_bench import bench
from stub_context import StubContext

from drivers.bus.bus import shared_bus
from drivers.mbus import wire
from drivers.mbus.driver import MbusDriver, MbusSettings
from drivers.sim.meter_mbus import MbusScript, VirtualMbusMeter, volume
from drivers.sim.water_flow import WaterFlow
from drivers.sim.wires import VirtualBus
from gateway.errors import DeviceRefused, JournalWriteFailed
from gateway.settings import BusSettings

FAST = {"poll": 0.03, "timeout": 0.5, "retries": 0}
FIRST, SECOND = "12345678.KAM.01.07", "12345679.KAM.01.07"


def meter(text=FIRST, litres=1000.0, **script):
    return VirtualMbusMeter(text, 0, WaterFlow(total_litres=litres), MbusScript(**script))


class Listening:
    """Keeps every telegram that is on the line."""

    def __init__(self):
        self.heard = []

    def hear(self, telegram):
        self.heard.append(telegram)
        return []


@pytest.mark.parametrize("secondary", [FIRST, "12345678", "12345678.KAM", "12345678.KAM.01"])
async def test_reads_the_meter_it_was_told_of(secondary):
    with VirtualBus() as line:
        line.add(meter(SECOND, 2000.0))
        line.add(meter())
        async with bench(line.port) as b:
            context = b.start(MbusDriver, secondary=secondary, **FAST)
            await context.wait_until(lambda: len(context.values("volume")) >= 3)
    assert set(context.values("volume")) == {1.0}
    assert context.states[0] == ("online", {"meter": FIRST})


@pytest.mark.parametrize("answers_to_fd", [True, False])
async def test_two_take_turns_at_one_address(answers_to_fd):
    """Each poll of one ends the selection of the other; neither may do so in between."""
    ear = Listening()
    further = [[volume(5, storage=1)], [volume(6, storage=2)]]
    with VirtualBus() as line:
        line.add(ear)
        for text, litres in ((FIRST, 1000.0), (SECOND, 2000.0)):
            line.add(meter(text, litres, further=further, answers_to_fd=answers_to_fd))
        async with bench(line.port) as b:
            first = b.start(MbusDriver, secondary=FIRST, **FAST)
            second = b.start(MbusDriver, secondary="12345679", **FAST)
            for context in (first, second):
                await context.wait_until(lambda it=context: len(it.values("volume_s2")) >= 4)
    assert set(first.values("volume")) == {1.0}
    assert set(second.values("volume")) == {2.0}
    assert {state for state, _ in (*first.states, *second.states)} == {"online"}
    requests = [wire.decode_frame(it) for it in ear.heard]
    starts = [at for at, it in enumerate(requests) if it.ci == wire.CI_SELECT]
    for at in starts[:6]:
        asked = [bool(it.control & wire.FCB) for it in requests[at + 1 : at + 4]]
        assert asked == [True, False, True]


async def test_a_meter_that_is_not_there_costs_its_neighbour_little():
    with VirtualBus() as line:
        line.add(meter())
        async with bench(line.port) as b:
            dead = b.start(MbusDriver, secondary="99999999", **FAST | {"timeout": 0.05})
            context = b.start(MbusDriver, secondary=FIRST, **FAST)
            await context.wait_until(lambda: len(context.values("volume")) >= 5)
            await dead.wait_until(lambda: dead.states)
    assert dead.states[0] == ("offline", "meter 99999999: no answer within 0.05 s")
    assert {state for state, _ in context.states} == {"online"}


class Deaf(VirtualMbusMeter):
    """Stays selected whatever it is told, as one that missed the next selection."""

    def hear(self, telegram):
        frame = wire.decode_frame(telegram)
        if frame.ci == wire.CI_SELECT:
            self.is_selected = True
            return []
        return super().hear(telegram)


async def test_a_meter_that_stayed_selected_is_never_taken_for_the_other():
    """Who is asked for does not answer its selection's question; the one before does."""
    mine = Faulty(meter(), lambda pieces: [it for it in pieces if it[1] == b"\xe5"])
    with VirtualBus() as line:
        line.add(mine)
        line.add(Deaf(SECOND, 7, WaterFlow(total_litres=2000.0)))
        async with bench(line.port) as b:
            context = b.start(MbusDriver, secondary=FIRST, **FAST)
            await context.wait_until(lambda: context.states)
    state, reason = context.states[0]
    assert state == "offline"
    assert reason.startswith(f"meter {FIRST}: meter {SECOND} at address 253 answers instead; was")
    assert context.observations == []


async def test_a_neighbours_late_answer_is_not_taken():
    slow = Faulty(meter(SECOND, 2000.0), late(0.6))
    with VirtualBus() as line:
        line.add(slow)
        line.add(meter())
        async with bench(line.port) as b:
            context = b.start(MbusDriver, secondary=FIRST, **FAST)
            other = b.start(MbusDriver, secondary=SECOND, **FAST)
            await context.wait_until(lambda: len(context.values("volume")) >= 5)
    assert set(context.values("volume")) == {1.0}
    assert set(other.values("volume")) <= {2.0}


async def test_noise_before_every_answer():
    with VirtualBus() as line:
        line.add(Faulty(meter(), noise_before(3)))
        async with bench(line.port) as b:
            context = b.start(MbusDriver, secondary=FIRST, **FAST)
            await context.wait_until(lambda: len(context.values("volume")) >= 3)
    assert set(context.values("volume")) == {1.0}


async def test_whoever_is_selected_still_is_told_after_a_failure():
    ear, mine = Listening(), Faulty(meter(), mute)
    with VirtualBus() as line:
        line.add(ear)
        line.add(mine)
        async with bench(line.port) as b:
            context = b.start(MbusDriver, secondary=FIRST, **FAST | {"timeout": 0.05})
            await context.wait_until(lambda: context.states)
            mine.bend = list
            await context.wait_until(lambda: len(context.values("volume")) >= 3)
    deselections = [at for at, it in enumerate(ear.heard) if it == bytes.fromhex("1040fd3d16")]
    assert 2 <= len(deselections) <= 3  # at first and after each failure, not at every poll


# --- another meter than before ------------------------------------------------------------------


async def read(text, notes, refusal=None, **options):
    """One reading of a meter, by a driver that starts with these notes; they are changed."""
    with VirtualBus() as line:
        line.add(meter(text))
        context = StubContext("meter", BusSettings("wires", line.port))
        context.notes.values, context.notes.refusal = notes, refusal
        driver = MbusDriver(msgspec.convert(options, MbusSettings), context)
        try:
            reading = await driver.read(shared_bus(context))
        finally:
            await context.close()
    return reading, context


async def test_the_first_one_is_noted():
    notes = {}
    await read(FIRST, notes, secondary="12345678")
    assert notes == {"meter": FIRST}


async def test_another_of_the_same_number_is_refused():
    notes = {"meter": "12345678.ELS.01.07"}
    with pytest.raises(DeviceRefused, match=r"answers instead of 12345678\.ELS\.01\.07") as caught:
        await read(FIRST, notes, secondary="12345678")
    assert "whole secondary address" in caught.value.hint
    assert notes == {"meter": "12345678.ELS.01.07"}


async def test_a_whole_address_in_the_settings_outweighs_the_note():
    notes = {"meter": "12345678.ELS.01.07"}
    reading, context = await read(FIRST, notes, secondary=FIRST)
    assert reading.volume_m3 == 1.0
    assert notes == {"meter": FIRST}
    assert faults(context) == []


async def test_another_one_at_a_primary_address_is_told_of_and_read():
    notes = {"meter": SECOND}
    reading, context = await read(FIRST, notes, address=0)
    assert reading.volume_m3 == 1.0
    assert faults(context) == [{"fault": "swapped", "active": True, "was": SECOND, "is": FIRST}]
    assert notes == {"meter": FIRST}


async def test_a_swap_is_told_once():
    with VirtualBus() as line:
        it = meter()
        line.add(it)
        async with bench(line.port) as b:
            context = b.start(MbusDriver, address=0, **FAST)
            await context.wait_until(lambda: len(context.values("volume")) >= 2)
            it._meter = wire.parse_identification(SECOND)
            seen = len(context.values("volume"))
            await context.wait_until(lambda: len(context.values("volume")) >= seen + 3)
    assert [it["is"] for it in faults(context)] == [SECOND]


@pytest.mark.parametrize("note", ["", 5, None])
async def test_a_note_that_says_nothing(note):
    notes = {"meter": note}
    reading, context = await read(FIRST, notes, address=0)
    assert reading.volume_m3 == 1.0
    assert faults(context) == []


async def test_a_note_that_cannot_be_written_does_not_stop_the_meter():
    reading, _ = await read(FIRST, {}, JournalWriteFailed("read-only"), address=0)
    assert reading.volume_m3 == 1.0


async def test_a_poll_that_is_cancelled_gives_the_turn_back():
    """A device that is taken out of the settings must not keep FD."""
    with VirtualBus() as line:
        line.add(Faulty(meter(SECOND), late(5.0)))
        line.add(meter())
        async with bench(line.port) as b:
            slow = b.start(MbusDriver, secondary=SECOND, **FAST | {"timeout": 10.0})
            context = b.start(MbusDriver, secondary=FIRST, **FAST)
            turn = context.shared("mbus:wires", lambda: None).turn
            async with asyncio.timeout(10):
                while not turn.locked():
                    await asyncio.sleep(0)
            slow.task.cancel()
            await context.wait_until(lambda: len(context.values("volume")) >= 2)
    assert set(context.values("volume")) == {1.0}
