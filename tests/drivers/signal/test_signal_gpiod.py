"""Lamp and beeper on real libgpiod, on a simulated chip, in a process of their own."""

from gpio_bench import driver_process


async def test_lamp_and_beeper_follow_the_calls(gpio):
    gpio.set(5, 0)
    gpio.set(6, 0)
    async with driver_process(gpio, "signal", lamp=5, beeper=6) as driver:
        assert await driver.tells() == ["online", {"chip": "gpiochip0"}]
        assert gpio.level(5) == gpio.level(6) == 0
        driver.hear("undelivered")
        for level in (1, 0, 1, 0):
            await gpio.driven(5, level)
        for level in (1, 0, 1, 0, 1, 0):
            await gpio.driven(6, level)
        driver.hear("stored")
        await gpio.driven(5, 1)
        driver.hear()
        await gpio.driven(5, 0)
        await gpio.driven(6, 0)


async def test_outputs_that_are_on_at_low(gpio):
    async with driver_process(gpio, "signal", lamp=5, on="low") as driver:
        await driver.until("online")
        assert gpio.level(5) == 1
        driver.hear("stored")
        await gpio.driven(5, 0)


async def test_identify(gpio):
    async with driver_process(gpio, "signal", beeper=6) as driver:
        await driver.until("online")
        driver.hear("identify")
        assert await driver.tells() == ["answer", {}]
        for level in (1, 0, 1):
            await gpio.driven(6, level)


async def test_chip_pulled_out_is_link_lost_though_nothing_is_driven(gpio):
    async with driver_process(gpio, "signal", lamp=5) as driver:
        await driver.until("online")
        gpio.unplug()
        assert (await driver.until("error"))[1] == "LinkLost"
