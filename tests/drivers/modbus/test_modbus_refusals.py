"""Devices that refuse: less is asked, what is refused by itself is withheld, what worked is kept."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from meter_bench import bench
from modbus_bench import HEAD, asked, device, driving, use_profile, values

from drivers.modbus import reader as reader_module
from drivers.modbus.driver import ModbusDriver
from drivers.sim.meter_modbus import VirtualModbusMeter
from drivers.sim.wires import VirtualBus
from gateway.errors import DeviceRefused, DeviceSilent
from gateway.model import Kind

FAST = {"poll": 0.03, "timeout": 0.5, "retries": 0}


def a_map(*addresses, head="", more=""):
    return (
        HEAD
        + head
        + "".join(
            f'[[register]]\nname = "r{a}"\naddress = {a}\ntype = "u16"\n{more}' for a in addresses
        )
    )


@pytest.fixture
def ten(monkeypatch):
    """r0 to r9, side by side."""
    use_profile(monkeypatch, a_map(*range(10)))


async def test_a_device_that_takes_no_more_than_so_many(ten):
    it = device(most=3)
    async with driving(it) as driver:
        reading = await driver.read(driver.bus)
        assert values(reading).keys() == {f"r{n}" for n in range(10)}
        assert not reading.withheld
        it.heard.clear()
        await driver.read(driver.bus)
    assert asked(it) == [(3, 0, 2), (3, 2, 3), (3, 5, 2), (3, 7, 3)]


async def test_a_device_that_refuses_what_lies_between(monkeypatch):
    use_profile(monkeypatch, a_map(0, 1, 5, 9, head="join = 9\n"))
    it = device(gaps=False)
    async with driving(it) as driver:
        reading = await driver.read(driver.bus)
        again = await driver.read(driver.bus)
    assert values(reading).keys() == values(again).keys() == {"r0", "r1", "r5", "r9"}
    first, *rest = asked(it)
    assert first == (3, 0, 10)
    assert rest == 2 * [(3, 0, 2), (3, 5, 1), (3, 9, 1)]


async def test_values_that_are_not_there_are_withheld_and_not_asked_for_again(ten):
    it = device(missing={"r3", "r8"})
    async with driving(it) as driver:
        reading = await driver.read(driver.bus)
        assert values(reading).keys() == {f"r{n}" for n in (0, 1, 2, 4, 5, 6, 7, 9)}
        assert reading.withheld == dict.fromkeys(("r3", "r8"), "refused: illegal data address")
        it.heard.clear()
        again = await driver.read(driver.bus)
    assert again == reading
    assert not {3, 8} & {a + n for _, a, count in asked(it) for n in range(count)}
    assert len(it.heard) <= 6  # of eight values that are there


async def test_they_are_asked_for_again_after_a_while(ten, monkeypatch):
    it = device(missing={"r3"})
    async with driving(it) as driver:
        assert (await driver.read(driver.bus)).withheld.keys() == {"r3"}
        it.meter.script.missing.clear()
        assert (await driver.read(driver.bus)).withheld.keys() == {"r3"}
        monkeypatch.setattr(reader_module, "REFUSED_AGAIN_S", 0.0)
        reading = await driver.read(driver.bus)
        assert not reading.withheld
        assert len(reading.measurements) == 10
        it.heard.clear()
        await driver.read(driver.bus)
    assert asked(it) == [(3, 0, 10)]


@pytest.mark.parametrize("code", [2, 3, 4])
async def test_refusals_that_ask_for_less(ten, code):
    it = device(refusals=[code])
    async with driving(it) as driver:
        assert len((await driver.read(driver.bus)).measurements) == 10
    assert asked(it) == [(3, 0, 10), (3, 0, 5), (3, 5, 5)]


@pytest.mark.parametrize("code", [5, 6])
async def test_a_busy_device_is_not_asked_for_less(ten, code):
    it = device(refusals=[code])
    async with driving(it) as driver:
        with pytest.raises(DeviceRefused, match="busy"):
            await driver.read(driver.bus)
        assert len((await driver.read(driver.bus)).measurements) == 10
    assert asked(it) == [(3, 0, 10), (3, 0, 10)]


@pytest.mark.parametrize("code", [7, 8, 99])
async def test_other_refusals_neither(ten, code):
    it = device(refusals=[code])
    async with driving(it) as driver:
        with pytest.raises(DeviceRefused, match=r"unit 1: refuses registers 0\+10"):
            await driver.read(driver.bus)
    assert asked(it) == [(3, 0, 10)]


@pytest.mark.parametrize(
    ("code", "what"), [(10, "path unavailable"), (11, "target does not answer")]
)
async def test_a_gateway_that_speaks_for_a_dead_device(ten, code, what):
    async with driving(device(refusals=[code])) as driver:
        with pytest.raises(DeviceSilent, match=f"unit 1: the gateway says: gateway {what}"):
            await driver.read(driver.bus)


async def test_a_function_that_is_not_known_is_refused_as_a_whole(monkeypatch):
    text = a_map(0, 1, 2) + a_map(10, 11, more="function = 4\n").removeprefix(HEAD)
    use_profile(monkeypatch, text)
    it = device(functions=frozenset({4}))
    async with driving(it) as driver:
        reading = await driver.read(driver.bus)
        await driver.read(driver.bus)
    assert values(reading).keys() == {"r10", "r11"}
    assert reading.withheld == dict.fromkeys(("r0", "r1", "r2"), "refused: illegal function")
    assert asked(it) == [(3, 0, 3), (4, 10, 2), (4, 10, 2)]


async def test_a_device_that_refuses_everything(ten):
    it = device(missing={f"r{n}" for n in range(10)})
    async with driving(it) as driver:
        with pytest.raises(DeviceRefused, match=r"refuses registers 0\+10: illegal") as caught:
            await driver.read(driver.bus)
        assert caught.value.hint == "is the profile that of this meter?"
        it.meter.script.missing.clear()
        assert len((await driver.read(driver.bus)).measurements) == 10


async def test_silence_in_the_middle_teaches_nothing(ten):
    it = device(refusals=[2])
    heard = it.hear

    def deaf_to_parts(telegram):
        return heard(telegram) if not it.heard else []

    it.hear = deaf_to_parts
    async with driving(it, timeout=0.05) as driver:
        with pytest.raises(DeviceSilent):
            await driver.read(driver.bus)
        it.hear = heard
        it.heard.clear()
        assert len((await driver.read(driver.bus)).measurements) == 10
    assert asked(it) == [(3, 0, 10)]


async def test_of_bits_too(monkeypatch):
    text = HEAD + "function = 2\njoin = 100\n"
    text += "".join(
        f'[[register]]\nname = "b{a}"\naddress = {a}\ntype = "bit"\n' for a in (0, 1, 2, 40, 41)
    )
    use_profile(monkeypatch, text)
    it = device(values={"b1": True, "b41": True}, gaps=False, missing={"b40"})
    async with driving(it) as driver:
        reading = await driver.read(driver.bus)
        it.heard.clear()
        assert await driver.read(driver.bus) == reading
    assert values(reading) == {"b0": False, "b1": True, "b2": False, "b41": True}
    assert reading.withheld == {"b40": "refused: illegal data address"}
    assert asked(it) == [(2, 0, 3), (2, 41, 1)]


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
async def test_whatever_a_device_lacks_the_rest_is_read(monkeypatch, data):
    where = data.draw(st.lists(st.integers(0, 40), min_size=2, max_size=12, unique=True))
    use_profile(monkeypatch, a_map(*where, head=f"join = {data.draw(st.integers(0, 40))}\n"))
    missing = set(data.draw(st.lists(st.sampled_from([f"r{a}" for a in where]), max_size=11)))
    limits = {"most": data.draw(st.integers(1, 20)), "gaps": data.draw(st.booleans())}
    there = {f"r{a}" for a in where} - missing
    async with driving(device(missing=set(missing), **limits)) as driver:
        if there:
            for _ in range(2):
                reading = await driver.read(driver.bus)
                assert values(reading).keys() == there
                assert reading.withheld.keys() == missing
        else:
            with pytest.raises(DeviceRefused):
                await driver.read(driver.bus)


async def test_a_smaller_model_is_online_with_one_fault():
    meter = VirtualModbusMeter(1, "bove")
    meter.script.missing = {"pressure"}
    with VirtualBus() as line:
        line.add(meter)
        async with bench(line.port) as b:
            context = b.start(ModbusDriver, unit=1, profile="bove", **FAST | {"poll": 0.3})
            await context.wait_until(lambda: len(context.of(Kind.MEASUREMENT)) >= 3)
    (fault,) = [it for it in context.of(Kind.FAULT) if it.detail["fault"] == "withheld"]
    assert fault.detail["pressure"] == "refused: illegal data address"
    assert {state for state, _ in context.states} == {"online"}
