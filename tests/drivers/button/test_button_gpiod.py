"""The driver on real libgpiod, on a simulated chip, in a process of its own."""

import asyncio
import time

import pytest
from fake_gpio import ACTIVE_LOW, LABEL
from gpio_bench import driver_process


def button(gpio, **settings):
    return driver_process(gpio, "button", **{"offset": 17, **settings})


async def test_press_is_one_call_and_the_light_says_how_it_stands(gpio):
    async with button(gpio, light=27) as driver:
        assert await driver.tells() == ["online", {"chip": "gpiochip0", "line": 17}]
        line = gpio.held(17)
        assert line.consumer == "hearth"
        assert line.debounce_s == pytest.approx(0.03)
        assert line.flags & ACTIVE_LOW
        await gpio.requested(27)
        assert gpio.level(27) == 0
        for level in (0, 1, 0, 1, 0):  # bounces, and stays pressed
            gpio.set(17, level)
            await asyncio.sleep(0.002)
        pressed_ms = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
        kind, name, detail, uptime_ms = await driver.tells()
        assert (kind, name, detail) == ("emit", "CALL", {"cause": "button"})
        assert abs(uptime_ms - pressed_ms) < 2000
        driver.hear("stored")
        await gpio.driven(27, 1)
        driver.hear("undelivered")
        for level in (0, 1, 0, 1):
            await gpio.driven(27, level)
        driver.hear()
        await gpio.driven(27, 0)
        assert await driver.tells() == ["online", {"chip": "gpiochip0", "line": 17}]


async def test_its_light_makes_it_noticeable(gpio):
    async with button(gpio, light=27) as driver:
        await driver.until("online")
        driver.hear("identify")
        assert await driver.tells() == ["answer", {}]
        for level in (1, 0, 1, 0, 1):
            await gpio.driven(27, level)


async def test_chip_is_found_by_label_and_by_path(gpio):
    for chip in (LABEL, "/dev/gpiochip0"):
        async with button(gpio, chip=chip) as driver:
            assert (await driver.tells())[0] == "online"
        await gpio.released(17)


async def test_active_high_button(gpio):
    gpio.set(17, 0)
    async with button(gpio, active="high", bias="pull-down") as driver:
        assert (await driver.tells())[0] == "online"
        gpio.set(17, 1)
        assert (await driver.tells())[1] == "CALL"


async def test_missing_chip_busy_line_and_no_such_line_have_their_hints(gpio):
    async with button(gpio, chip="gpiochip7") as driver:
        error, name, what, hint = await driver.tells()
        assert (error, name) == ("error", "LinkLost")
        assert "no such chip" in what
        assert "gpiodetect" in hint
    async with button(gpio, offset=99) as driver:
        assert "gpioinfo" in (await driver.tells())[3]
    async with button(gpio) as first:
        assert (await first.tells())[0] == "online"
        async with button(gpio) as second:
            error, name, _, hint = await second.tells()
            assert (error, name) == ("error", "LinkLost")
            assert "another process" in hint


async def test_chip_pulled_out_is_link_lost(gpio):
    async with button(gpio) as driver:
        assert (await driver.tells())[0] == "online"
        gpio.unplug()
        assert (await driver.tells())[:2] == ["error", "LinkLost"]


async def test_lost_edges_are_a_fault_and_doubt_is_a_call(gpio):
    async with button(gpio) as driver:
        assert (await driver.tells())[0] == "online"
        gpio.lose_edges(17, 3)
        gpio.set(17, 0)
        await asyncio.sleep(0.05)
        gpio.set(17, 1)
        told = [await driver.tells() for _ in range(6)]
        emitted = [words[1:3] for words in told if words[0] == "emit"]
        assert ["CALL", {"cause": "button"}] in emitted
        assert ["FAULT", {"fault": "lost_edges", "active": True}] in emitted
        assert ["FAULT", {"fault": "lost_edges", "active": False}] in emitted


async def test_a_supervised_button_calls_and_reports_its_broken_wire(gpio):
    gpio.set(22, 0)  # closed at rest
    async with button(gpio, offset_nc=22) as driver:
        assert (await driver.tells())[0] == "online"
        assert gpio.held(17).flags & ACTIVE_LOW
        assert not gpio.held(22).flags & ACTIVE_LOW
        gpio.set(22, 1)
        gpio.set(17, 0)
        assert (await driver.until("emit"))[1:3] == ["CALL", {"cause": "button"}]
        gpio.set(17, 1)
        gpio.set(22, 0)
        await asyncio.sleep(0.1)
        gpio.set(22, 1)  # cut: doubt is a call
        assert (await driver.until("emit"))[1:3] == ["CALL", {"cause": "button"}]
        fault = await driver.until("emit")
        assert fault[1:3] == ["FAULT", {"fault": "wire", "active": True}]
        gpio.set(17, 0)
        assert (await driver.until("emit"))[1:3] == ["CALL", {"cause": "button"}]
