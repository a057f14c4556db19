"""More devices than connections: each gets its turn, and none waits for ever."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.ble import seats as seats_module
from drivers.ble.seats import Seats
from gateway.errors import LinkLost


@pytest.fixture
def quick_turns(monkeypatch):
    monkeypatch.setattr(seats_module, "TURN_S", 0.02)


class Device:
    """Wants a seat again and again; keeps it until its turn is over."""

    def __init__(self, seats):
        self.turns = 0
        self.sits = False
        self.task = asyncio.ensure_future(self._run(seats))

    async def _run(self, seats):
        while True:
            seat = await seats.sit()
            self.sits = True
            self.turns += 1
            try:
                await seat.over()
            finally:
                self.sits = False
                seats.leave(seat)

    async def stop(self):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


async def test_who_has_a_seat_keeps_it_while_nobody_waits(quick_turns):
    seats = Seats(2)
    devices = [Device(seats) for _ in range(2)]
    await until(lambda: all(device.sits for device in devices))
    await asyncio.sleep(0.1)  # five turns: nobody may be told that it is over
    assert [device.turns for device in devices] == [1, 1]
    for device in devices:
        await device.stop()
    assert seats.free == 2


async def test_with_one_too_many_all_take_turns(quick_turns):
    seats = Seats(3)
    devices = [Device(seats) for _ in range(7)]
    most = 0
    async with asyncio.timeout(10):
        while min(device.turns for device in devices) < 4:
            most = max(most, sum(device.sits for device in devices))
            await asyncio.sleep(0.001)
    assert most == 3
    turns = [device.turns for device in devices]
    assert max(turns) - min(turns) <= 2, "first come, first served"
    for device in devices:
        await device.stop()
    assert seats.free == 3


async def test_a_turn_is_not_over_before_its_time():
    seats = Seats(1)
    seat = await seats.sit()
    waiting = Device(seats)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not seat.is_over()
    seats.leave(seat)
    await until(lambda: waiting.sits)
    await waiting.stop()


async def test_one_who_stops_waiting_ends_nobodys_turn(quick_turns):
    seats = Seats(1)
    seat = await seats.sit()
    waiting = Device(seats)
    await asyncio.sleep(0)
    await waiting.stop()
    await asyncio.sleep(0.05)
    assert not seat.is_over()
    seats.leave(seat)
    assert seats.free == 1
    seats.leave(seat)
    assert seats.free == 1, "left twice"


async def test_a_seat_that_is_given_to_one_who_just_left_is_not_lost():
    seats = Seats(1)
    seat = await seats.sit()
    waiting = asyncio.ensure_future(seats.sit())
    await asyncio.sleep(0)
    seats.leave(seat)
    waiting.cancel()  # the seat is its own by now, and it does not know
    await asyncio.gather(waiting, return_exceptions=True)
    assert seats.free == 1


@settings(deadline=None)
@given(st.integers(1, 4), st.lists(st.sampled_from(["come", "go", "wait"]), max_size=40))
async def test_seats_are_never_more_than_there_are_and_none_is_lost(count, steps):
    seats, devices = Seats(count), []
    for step in steps:
        if step == "come":
            devices.append(Device(seats))
        elif step == "go" and devices:
            await devices.pop(len(devices) // 2).stop()
        await asyncio.sleep(0)
        assert sum(device.sits for device in devices) <= count
    await until(lambda: sum(device.sits for device in devices) == min(count, len(devices)))
    for device in devices:
        await device.stop()
    assert seats.free == count


async def test_who_waits_in_vain_is_told(quick_turns):
    seats = Seats(1)
    seat = await seats.sit()
    waiting = [asyncio.ensure_future(seats.sit()) for _ in range(3)]
    await asyncio.sleep(0)
    seats.turn_away(LinkLost("the adapter went away"))
    for one in waiting:
        with pytest.raises(LinkLost):
            await one
    seats.leave(seat)
    assert seats.free == 1


@pytest.mark.parametrize("said", [[2], [2, 1], [1, 2, 2]])
async def test_the_largest_number_that_is_said_is_believed_also_if_it_is_small(said):
    seats = Seats()
    for count in said:
        seats.allow(count)
    assert seats.free == 2
