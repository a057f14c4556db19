"""The driver on real libgpiod, on a simulated chip, in a process of its own."""

import asyncio
import json
import os
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fake_gpio import ACTIVE_LOW, LABEL, FakeGpio
from shims import GPIO, build_shim

PROCESS = Path(__file__).with_name("button_process.py")
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    built = build_shim(GPIO, tmp_path_factory.mktemp("shim"))
    if built is None:
        pytest.skip("no C compiler to build the simulated GPIO chip with")
    return built


@pytest.fixture
async def gpio(shim):
    async with FakeGpio(shim) as gpio, asyncio.timeout(20):
        yield gpio


@asynccontextmanager
async def button(gpio, **settings):
    """The driver's process; yields a function that reads its next message."""
    env = {**os.environ, **gpio.env, "PYTHONPATH": str(ROOT)}
    text = json.dumps({"chip": "gpiochip0", "offset": 17, **settings})
    process = await asyncio.create_subprocess_exec(
        sys.executable, PROCESS, text, env=env, stdout=asyncio.subprocess.PIPE
    )

    async def tells():
        line = await process.stdout.readline()
        return json.loads(line) if line else None

    try:
        yield tells
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_press_is_one_call_and_then_the_light(gpio):
    async with button(gpio, light=27, light_time=0.3) as tells:
        assert await tells() == ["online", {"chip": "gpiochip0", "line": 17}]
        request = gpio.request(17)
        assert request.consumer == "hearth"
        assert request.debounce_s == pytest.approx(0.03)
        assert request.flags & ACTIVE_LOW
        await gpio.requested(27)
        assert gpio.level(27) == 0
        for level in (0, 1, 0, 1, 0):  # bounces, and stays pressed
            gpio.set(17, level)
            await asyncio.sleep(0.002)
        pressed_ms = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
        kind, name, detail, uptime_ms = await tells()
        assert (kind, name, detail) == ("emit", "CALL", {"cause": "button"})
        assert abs(uptime_ms - pressed_ms) < 2000
        await gpio.driven(27, 1)
        gpio.set(17, 1)
        await gpio.driven(27, 0)
        assert await tells() == ["online", {"chip": "gpiochip0", "line": 17}]


async def test_chip_is_found_by_label_and_by_path(gpio):
    for chip in (LABEL, "/dev/gpiochip0"):
        async with button(gpio, chip=chip) as tells:
            assert (await tells())[0] == "online"
        await gpio.released(17)


async def test_active_high_button(gpio):
    gpio.set(17, 0)
    async with button(gpio, active="high", bias="pull-down") as tells:
        assert (await tells())[0] == "online"
        gpio.set(17, 1)
        assert (await tells())[1] == "CALL"


async def test_missing_chip_busy_line_and_no_such_line_have_their_hints(gpio):
    async with button(gpio, chip="gpiochip7") as tells:
        error, name, what, hint = await tells()
        assert (error, name) == ("error", "LinkLost")
        assert "no such chip" in what
        assert "gpiodetect" in hint
    async with button(gpio, offset=99) as tells:
        assert "gpioinfo" in (await tells())[3]
    async with button(gpio) as first:
        assert (await first())[0] == "online"
        async with button(gpio) as second:
            error, name, _, hint = await second()
            assert (error, name) == ("error", "LinkLost")
            assert "another process" in hint


async def test_chip_pulled_out_is_link_lost(gpio):
    async with button(gpio) as tells:
        assert (await tells())[0] == "online"
        gpio.unplug()
        assert (await tells())[:2] == ["error", "LinkLost"]


async def test_lost_edges_are_a_fault_and_doubt_is_a_call(gpio):
    async with button(gpio) as tells:
        assert (await tells())[0] == "online"
        gpio.lose_edges(17, 3)
        gpio.set(17, 0)
        await asyncio.sleep(0.05)
        gpio.set(17, 1)
        told = [await tells() for _ in range(6)]
        emitted = [words[1:3] for words in told if words[0] == "emit"]
        assert ["CALL", {"cause": "button"}] in emitted
        assert ["FAULT", {"fault": "lost_edges", "active": True}] in emitted
        assert ["FAULT", {"fault": "lost_edges", "active": False}] in emitted
