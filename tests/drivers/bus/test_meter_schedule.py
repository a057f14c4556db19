"""The schedule all meters share: missed polls are counted, polls there was no time for are told."""

import asyncio
from itertools import accumulate
from types import MappingProxyType

import msgspec
import pytest
from driven import driven_by
from stub_context import StubContext

from drivers import fault as fault_module
from drivers.bus import meter as meter_module
from drivers.bus.line import LineText
from drivers.bus.meter import MeterDriver, Reading
from gateway.errors import DeviceSilent, DriverError, LinkLost
from gateway.model import Kind, Measurement
from gateway.settings import BusSettings


class ScriptedSettings(msgspec.Struct, frozen=True):
    poll: float = 0.01
    timeout: float = 0.001
    retries: int = 0
    line: LineText = ""


class Scripted(MeterDriver):
    """A meter whose polls go as `script` says: a number that is read, or an error; then it stops."""

    script = ()
    identity = MappingProxyType({"address": 7})

    def __init__(self, settings, context):
        super().__init__(settings, context)
        self.waits_s = []  # how long it left the meter alone after each poll that brought nothing

    def _wait_s(self, error):
        self.waits_s.append(super()._wait_s(error))
        return self.waits_s[-1]

    async def read(self, bus):
        await asyncio.sleep(0)
        if not self.script:
            await asyncio.Event().wait()
        outcome = self.script.pop(0)
        if callable(outcome):
            outcome = await outcome()
        if isinstance(outcome, Exception):
            raise outcome
        return Reading((Measurement("flow", outcome, "m3/s"),))


def scripted(script, port="/dev/null", **settings):
    context = StubContext("m", BusSettings("wires", port), hears_overload=True)
    driver = Scripted(ScriptedSettings(**settings), context)
    driver.script = list(script)
    return driver


async def run_out(driver):
    async with driven_by(driver), asyncio.timeout(10):
        while driver.script:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.001)  # what the last poll brought
    return driver.context


def silent():
    return DeviceSilent("no answer")


async def left_alone_s(polls, **settings):
    """How long a dead meter was left alone after each poll but the last, in s."""
    clock = asyncio.get_running_loop().time
    asked, began = [], clock()

    async def dead():
        asked.append(clock())
        return silent()

    driver = scripted([dead] * polls, **settings)
    await run_out(driver)
    waits_s = driver.waits_s[: polls - 1]
    # A poll that a busy machine made late does not put off the next: the sum is what is kept.
    assert all(
        at - began >= due for at, due in zip(asked, accumulate(waits_s, initial=0.0), strict=True)
    )
    return waits_s


async def test_every_missed_poll_is_counted(monkeypatch):
    monkeypatch.setattr(meter_module, "DEAD_POLL_S", 0.02)
    driver = scripted([1.0, silent(), silent(), silent(), 2.0, 3.0, silent(), 4.0])
    context = await run_out(driver)
    assert context.values("flow") == [1.0, 2.0, 3.0, 4.0]
    assert [what for what, _ in context.states] == [
        *("online", "offline", "offline", "offline"),
        *("online", "online", "offline", "online"),
    ]
    told = [detail for what, detail in context.states if what == "online"]
    assert told == [
        {"address": 7},
        {"address": 7, "missed": 3},
        {"address": 7},
        {"address": 7, "missed": 1},
    ]


async def test_a_poll_saved_by_a_retry_is_not_missed():
    context = await run_out(scripted([silent(), silent(), 1.0, 2.0], retries=2))
    assert context.states == [("online", {"address": 7})] * 2


async def test_a_dead_meter_is_asked_less_and_less_often_and_never_forgotten(monkeypatch):
    monkeypatch.setattr(meter_module, "DEAD_POLL_S", 0.08)
    waits_s = await left_alone_s(polls=9)
    assert waits_s[0] >= 0.01
    assert all(wait_s >= 0.04 for wait_s in waits_s[3:])  # half of DEAD_POLL_S


async def test_a_dead_meter_gets_a_small_share_of_the_wire():
    waits_s = await left_alone_s(polls=4, timeout=0.003)
    assert waits_s[0] < 0.09
    assert all(wait_s >= 0.09 for wait_s in waits_s[1:])


async def test_a_lost_port_is_tried_at_every_poll_and_its_polls_are_missed():
    lost = LinkLost("the port is gone")
    context = await run_out(scripted([1.0, *[lost] * 6, 2.0]))
    assert context.states[1] == ("offline", "the port is gone")
    assert context.states[-1] == ("online", {"address": 7, "missed": 6})
    assert context.values("flow") == [1.0, 2.0]


async def test_polls_there_was_no_time_for_are_told(monkeypatch):
    monkeypatch.setattr(fault_module, "QUIET_S", 0.2)

    async def slow():
        await asyncio.sleep(0.225)  # four polls
        return 1.0

    driver = scripted([1.0, slow, slow, *[1.0] * 1000], poll=0.05)
    async with driven_by(driver):
        # A busy machine may leave out polls as well: it is over when it was quiet for long enough.
        await driver.context.wait_until(lambda: len(driver.context.of(Kind.FAULT)) >= 2)
    begin, end = driver.context.of(Kind.FAULT)[:2]
    assert begin.detail["fault"] == "overloaded"
    assert begin.detail["active"] is True
    assert begin.detail["missed"] >= 3
    assert end.detail["active"] is False
    assert end.detail["missed"] >= 6


async def test_a_meter_that_cannot_be_reached_through_this_port():
    driver = scripted([1.0], port="modbus-tcp://127.0.0.1:502")
    with pytest.raises(DriverError, match="does not speak modbus-tcp"):
        await driver.run()


async def test_a_meter_with_a_line_of_its_own():
    driver = scripted([], line="2400 8E1")
    assert str(driver.bus.line) == "2400 8E1"
    assert str(scripted([]).bus.line) == "9600 8N1"
