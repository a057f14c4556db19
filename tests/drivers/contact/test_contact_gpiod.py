"""Contacts on real libgpiod, on a simulated chip, in a process of their own."""

import asyncio

import pytest
from fake_gpio import ACTIVE_LOW
from gpio_bench import driver_process


def contact(gpio, **settings):
    return driver_process(gpio, "contact", **{"offset": 23, "hold_off": 0.2, **settings})


async def test_a_smoke_detector_raises_its_alarm_and_ends_it(gpio):
    async with contact(gpio, kind="smoke", normally="open") as driver:
        assert await driver.tells() == ["online", {"chip": "gpiochip0", "line": 23}]
        assert gpio.held(23).debounce_s == pytest.approx(0.03)
        gpio.set(23, 0)
        assert (await driver.until("emit"))[1:3] == ["ALARM", {"alarm": "smoke", "active": True}]
        gpio.set(23, 1)
        assert (await driver.until("emit"))[1:3] == ["ALARM", {"alarm": "smoke", "active": False}]


async def test_a_door_that_is_normally_closed(gpio):
    gpio.set(23, 0)
    async with contact(gpio, kind="door", normally="closed") as driver:
        assert (await driver.until("emit"))[1:3] == ["MEASUREMENT", {"open": False}]
        gpio.set(23, 1)
        assert (await driver.until("emit"))[1:3] == ["MEASUREMENT", {"open": True}]


async def test_a_change_over_relay_whose_wire_is_cut(gpio):
    gpio.set(24, 0)
    async with contact(gpio, kind="gas", normally="open", offset_nc=24) as driver:
        await driver.until("online")
        assert gpio.held(23).flags & ACTIVE_LOW
        assert not gpio.held(24).flags & ACTIVE_LOW
        gpio.set(24, 1)
        assert (await driver.until("emit"))[1:3] == ["ALARM", {"alarm": "gas", "active": True}]
        assert (await driver.until("emit"))[1:3] == ["FAULT", {"fault": "wire", "active": True}]


async def test_a_storm_of_edges_is_one_alarm(gpio):
    """The kernel debounces most of it away; what it lets through is one alarm still."""
    async with contact(gpio, kind="water", normally="open") as driver:
        await driver.until("online")
        for _ in range(20):
            for _ in range(50):
                gpio.set(23, 0)
                gpio.set(23, 1)
            await asyncio.sleep(0.01)
        gpio.set(23, 0)
        assert (await driver.until("emit"))[1:3] == ["ALARM", {"alarm": "water", "active": True}]
        gpio.set(23, 1)
        assert (await driver.until("emit"))[1:3] == ["ALARM", {"alarm": "water", "active": False}]


async def test_chip_pulled_out_is_link_lost(gpio):
    async with contact(gpio, kind="heat", normally="open") as driver:
        await driver.until("online")
        gpio.unplug()
        assert (await driver.until("error"))[1] == "LinkLost"
