"""Writing: only what is permitted, exactly what was meant, and believed only when it is read back."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from line_faults import Echoing, Faulty, mute
from modbus_bench import HEAD, asked, device, driving, use_profile
from stub_context import StubContext

from drivers.modbus import writer as writer_module
from drivers.modbus.driver import ModbusDriver, ModbusSettings
from drivers.modbus.profile import parse_profile
from drivers.modbus.register import Register
from drivers.modbus.values import raw_value
from gateway.errors import DecodeError, DeviceRefused, DeviceSilent, DriverError, SettingsError

MAP = (
    HEAD
    + """
[[register]]
name = "relay_1"
address = 0
function = 1
type = "bit"
writable = true
[[register]]
name = "relay_2"
address = 1
function = 1
type = "bit"
invert = true
writable = true
[[register]]
name = "relay_9"
address = 8
function = 1
type = "bit"
writable = true
[[register]]
name = "input_1"
address = 0
function = 2
type = "bit"
[[register]]
name = "limit"
address = 100
type = "u16"
scale = "0.1"
unit = "A"
min = 0
max = 32
invalid = [0]
writable = true
[[register]]
name = "wide"
address = 101
type = "s32"
order = "cdab"
writable = true
[[register]]
name = "mode"
address = 103
type = "u16"
states = { 0x00 = "off", 0x55 = "on" }
writable = true
[[register]]
name = "target"
address = 110
type = "f32"
writable = true
[[register]]
name = "serial"
address = 120
type = "bcd"
digits = 8
writable = true
"""
)
NAMES = ["relay_1", "relay_2", "relay_9", "limit", "wide", "mode", "target", "serial"]
ALL = {"writable": NAMES}


@pytest.fixture(autouse=True)
def mapped(monkeypatch):
    use_profile(monkeypatch, MAP)
    monkeypatch.setattr(writer_module, "SETTLE_S", 1.0)
    monkeypatch.setattr(writer_module, "LOOK_S", 0.02)


WRITES = [
    ({"relay_1": True}, [(5, 0, 1), (1, 0, 1)]),
    ({"relay_2": False}, [(5, 1, 1), (1, 1, 1)]),
    ({"relay_1": True, "relay_2": True}, [(15, 0, 2), (1, 0, 2)]),
    ({"relay_9": True, "relay_1": True}, [(5, 0, 1), (1, 0, 1), (5, 8, 1), (1, 8, 1)]),
    ({"limit": 12.3}, [(6, 100, 1), (3, 100, 1)]),
    ({"wide": -70_000}, [(16, 101, 2), (3, 101, 2)]),
    ({"mode": "on"}, [(6, 103, 1), (3, 103, 1)]),
    ({"target": 21.5}, [(16, 110, 2), (3, 110, 2)]),
    ({"serial": "00123456"}, [(16, 120, 2), (3, 120, 2)]),
    ({"mode": "on", "wide": 7, "limit": 32}, [(16, 100, 4), (3, 100, 4)]),
]


@pytest.mark.parametrize(("told", "conversation"), WRITES)
async def test_it_is_written_and_read_back(told, conversation):
    it = device()
    async with driving(it, **ALL) as driver:
        await driver.write(told)
    assert {name: it.meter.values[name] for name in told} == told
    assert asked(it) == conversation


async def test_single_only(monkeypatch):
    text = MAP.replace("[profile]\n", '[profile]\nwrite = "single"\n')
    for wide in ("s32", "f32", "bcd"):
        text = text.replace(f'type = "{wide}"\n', 'type = "u16"\n')
    use_profile(monkeypatch, text.replace('order = "cdab"\n', "").replace("digits = 8\n", ""))
    it = device()
    async with driving(it, **ALL) as driver:
        await driver.write({"wide": 6, "relay_2": False, "limit": 5, "relay_1": True})
    assert [function for function, *_ in asked(it)] == [5, 1, 5, 1, 6, 3, 6, 3]
    assert [address for _, address, _ in asked(it)] == [0, 0, 1, 1, 100, 100, 101, 101]


async def test_multiple_only(monkeypatch):
    use_profile(monkeypatch, MAP.replace("[profile]\n", '[profile]\nwrite = "multiple"\n'))
    it = device(functions=frozenset({1, 3, 15, 16}))
    async with driving(it, **ALL) as driver:
        await driver.write({"relay_1": True, "limit": 5})
    assert asked(it) == [(15, 0, 1), (1, 0, 1), (16, 100, 1), (3, 100, 1)]


async def test_not_without_permission():
    it = device()
    async with driving(it, writable=["relay_1"]) as driver:
        with pytest.raises(DriverError, match="unit 1: relay_2 is not to be written") as caught:
            await driver.write({"relay_1": True, "relay_2": True})
    assert caught.value.hint == 'writable = ["relay_2"] in this [[device]] permits it'
    assert it.heard == []


def test_permission_is_not_the_default():
    assert ModbusSettings(1, "xintai").writable == ()


def test_permission_for_what_cannot_be_written_is_a_fault_of_the_settings():
    ModbusDriver.check(ModbusSettings(1, "test", writable=("relay_1", "mode")))
    with pytest.raises(SettingsError) as caught:
        ModbusDriver.check(ModbusSettings(1, "test", writable=("relay_1", "input_1", "relay_3")))
    assert caught.value.faults == (
        "writable: 'input_1' cannot be written",
        "writable: 'relay_3' cannot be written",
    )
    assert "profile test lets be written: relay_1, relay_2" in caught.value.hint


@pytest.mark.parametrize(
    ("told", "what"),
    [
        ({"input_1": True}, "there is no input_1 to write"),
        ({"nonesuch": 1}, "there is no nonesuch to write"),
        ({"relay_1": 1}, "relay_1: 1 is neither true nor false"),
        ({"relay_1": "on"}, "relay_1: 'on' is neither"),
        ({"limit": 32.1}, "limit: 32.1 A is not within 0 and 32"),
        ({"limit": -0.1}, "limit: -0.1 A is not within"),
        ({"limit": 1.23}, "limit: 1.23 is no multiple of 0.1"),
        ({"limit": 0}, "limit: 0x0 would mean no reading"),
        ({"limit": True}, "limit: True is no number"),
        ({"limit": "5"}, "limit: '5' is no number"),
        ({"limit": float("nan")}, "limit: nan is no number"),
        ({"wide": 2**31}, "wide: 2147483648 is no s32"),
        ({"target": 1e39}, "target: "),
        ({"mode": "half"}, "mode: 'half' is none of off, on"),
        ({"mode": 0}, "mode: 0 is none of"),
        ({"serial": 12345678}, "serial: 12345678 is no text of 8 digits"),
        ({"serial": "1234567"}, "is no text of 8 digits"),
        ({"serial": "1234567x"}, "is no text of 8 digits"),
    ],
)
async def test_what_does_not_fit_is_named_and_nothing_is_sent(told, what):
    it = device()
    async with driving(it, **ALL) as driver:
        with pytest.raises(DriverError, match=what) as caught:
            await driver.write({"relay_1": True, **told})
    assert not caught.value.retryable
    assert it.heard == []


async def test_values_that_lie_over_each_other_are_not_written_at_once(monkeypatch):
    half = '[[register]]\nname = "half"\naddress = 101\ntype = "u16"\nwritable = true\n'
    use_profile(monkeypatch, MAP + half)
    it = device()
    async with driving(it, writable=["wide", "half"]) as driver:
        with pytest.raises(DriverError, match="half, wide lie over each other"):
            await driver.write({"wide": 1, "half": 2})
    assert it.heard == []


async def test_a_device_that_says_no():
    it = device(refusals=[4])
    async with driving(it, **ALL) as driver:
        with pytest.raises(
            DeviceRefused, match=r"unit 1: refuses to write coils 0\+1: device failure"
        ):
            await driver.write({"relay_1": True})
    assert asked(it) == [(5, 0, 1)]


async def test_a_refusal_in_the_middle_stops_it():
    it = device(functions=frozenset({1, 3, 5, 16}))
    async with driving(it, **ALL) as driver:
        with pytest.raises(DeviceRefused, match=r"refuses to write registers 100\+1"):
            await driver.write({"relay_1": True, "limit": 5, "target": 3.0})
    assert it.meter.values["relay_1"] is True
    assert "target" not in it.meter.values


async def test_a_device_that_says_yes_and_does_nothing():
    it = device(stuck=True)
    async with driving(it, **ALL) as driver:
        with pytest.raises(DeviceRefused, match=r"said yes, and after 1 s relay_1 is False"):
            await driver.write({"relay_1": True})
    assert len(it.heard) > 3


async def test_a_device_that_takes_its_time():
    it = device(stuck=True)
    hear = it.hear

    def hear_and_do(telegram):
        if len(it.heard) == 3:
            it.meter.values["relay_1"] = True
        return hear(telegram)

    it.hear = hear_and_do
    async with driving(it, **ALL) as driver:
        await driver.write({"relay_1": True})
    assert asked(it)[0] == (5, 0, 1)


class DeafToAnswers(Faulty):
    """It does what it is told, and the answer is lost."""

    def hear(self, telegram):
        said = super().hear(telegram)
        return [] if telegram[1] in {5, 6, 15, 16} else said


async def test_a_lost_answer_is_made_up_for_by_reading_it_back():
    it = DeafToAnswers(device().meter)
    async with driving(it, timeout=0.05, **ALL) as driver:
        await driver.write({"limit": 7.5})
    assert it.meter.values["limit"] == 7.5


async def test_a_lost_answer_to_what_was_not_done_is_told_as_such():
    it = DeafToAnswers(device(stuck=True).meter)
    async with driving(it, timeout=0.05, **ALL) as driver:
        with pytest.raises(DeviceSilent, match="no answer within"):
            await driver.write({"limit": 7.5})


async def test_it_is_said_again_when_the_answer_is_lost_or_the_device_is_busy():
    it = device(refusals=[6, 6])
    async with driving(it, retries=2, **ALL) as driver:
        await driver.write({"limit": 7.5})
    assert asked(it) == 3 * [(6, 100, 1)] + [(3, 100, 1)]


async def test_a_silent_device():
    it = device()
    it.bend = mute
    async with driving(it, timeout=0.03, **ALL) as driver:
        with pytest.raises(DeviceSilent):
            await driver.write({"relay_1": True})


async def test_on_an_adapter_that_hears_itself_a_yes_is_not_believed():
    stuck = device(stuck=True)
    async with driving(Echoing(stuck), **ALL) as driver:
        with pytest.raises(DeviceRefused, match="relay_1 is False"):
            await driver.write({"relay_1": True})
        stuck.meter.script.stuck = False
        await driver.write({"relay_1": True})
    assert stuck.meter.values["relay_1"] is True


async def test_without_a_bus():
    driver = ModbusDriver(ModbusSettings(1, "test", writable=("relay_1",)), StubContext())
    with pytest.raises(DriverError, match="names no bus"):
        await driver.write({"relay_1": True})


# --- what is written is what is read --------------------------------------------------------------


def registers():
    return {it.name: it for it in parse_profile(MAP, "test", "test.toml").registers}


@given(st.integers(1, 320))
def test_scaled_numbers(tenths):
    limit = registers()["limit"]
    assert limit.read(limit.encode(tenths / 10)) == tenths / 10
    assert limit.encode(tenths / 10) == tenths.to_bytes(2, "big")


@given(
    st.sampled_from(["u16", "s16", "u32", "s32", "u64", "bcd"]),
    st.sampled_from(["abcd", "dcba", "cdab", "badc"]),
    st.sampled_from([1, "0.01", "1/3600", 1000, "7/3"]),
    st.data(),
)
def test_what_is_read_can_be_written_and_is_the_same_bytes(kind, order, scale, data):
    register = Register(name="x", address=0, type=kind, order=order, scale=scale)
    raw = data.draw(st.binary(min_size=2 * register.width, max_size=2 * register.width))
    try:
        value = register.read(raw)
    except DecodeError:
        return
    try:
        written = register.encode(value)
    except DecodeError:  # a float that stands for 1/3600 of something is not exactly that
        assert isinstance(value, float)
        return
    if raw_value(raw, order) <= 2**53:  # beyond, a float has not all of its digits
        assert written == raw


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_floats(value):
    target = registers()["target"]
    data = struct.pack(">f", value)
    try:
        assert target.encode(target.read(data)) == struct.pack(">f", value + 0.0)  # no -0.0
    except DecodeError:
        assert abs(value) > 2**63


@given(
    st.sampled_from(NAMES),
    st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
)
def test_fuzz_encode(name, value):
    register = registers()[name]
    try:
        data = register.encode(value)
    except DecodeError:
        return
    assert len(data) == (1 if register.type == "bit" else 2 * register.width)
    if register.type != "f32":
        assert register.read(data) == value
