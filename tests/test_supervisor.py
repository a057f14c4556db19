"""Devices side by side: whatever one driver does, the others go on, and it is told and restarted."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import supervisor as supervisor_module
from gateway.clock import SystemClock
from gateway.codec import decode_event, encode_event
from gateway.driver import Driver, NoSettings
from gateway.errors import DeviceSilent, DriverError, JournalSaturated, LinkLost
from gateway.health import DeviceHealth, Health
from gateway.journal import Journal
from gateway.model import Event, Kind, Lane, Measurement, Observation
from gateway.notes import FileNotes
from gateway.recorder import Recorder
from gateway.settings import BusSettings, DeviceSettings
from gateway.supervisor import DeviceContext, Shared, Supervisor

READING = Observation(Kind.MEASUREMENT, (Measurement("volume", 1.5, "m3"),))
BUS = BusSettings(id="b", port="p")


class MemoryRecorder:
    """Takes what can be encoded, or refuses as a full journal does."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.refuse = 0
        self._clock = SystemClock()
        self._changed = asyncio.Event()

    def record(self, observation: Observation, device: str, labels=None) -> int:
        if self.refuse:
            self.refuse -= 1
            raise JournalSaturated("full")
        stamp = self._clock.stamp(observation.uptime_ms)
        event = Event(
            observation.kind, device, stamp, observation.measurements, labels, observation.detail
        )
        self.events.append(decode_event(encode_event(event)))
        self._changed.set()
        return len(self.events)

    def of(self, device: str, kind: Kind = Kind.DEVICE) -> list[Event]:
        return [event for event in self.events if (event.device, event.kind) == (device, kind)]

    def states(self, device: str) -> list[dict]:
        return [event.detail for event in self.of(device)]

    async def until(self, condition) -> None:
        async with asyncio.timeout(10):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


class PlainHousehold:
    """A home in which calls are events and nothing comes of them."""

    def __init__(self, recorder) -> None:
        self.desk = self
        self.recorder = recorder
        self.cancelled: list[str] = []
        self.alarms: list[dict] = []

    def of(self):
        return self

    def signs(self, device=None):
        return self

    def call(self, device, labels, seen):
        return self.recorder.record(seen, device, labels)

    def alarm(self, detail) -> None:
        self.alarms.append(detail)

    def cancel(self, device) -> bool:
        self.cancelled.append(device)
        return True


class Rig:
    """A supervisor whose restarts take no time, over a recorder in memory."""

    def __init__(self) -> None:
        self.recorder = MemoryRecorder()
        self.health = Health("g", None, None)
        self.household = PlainHousehold(self.recorder)
        self.supervisor = Supervisor(
            self.recorder, self.health, Path("/nonexistent"), self.household
        )
        self.task: asyncio.Task | None = None

    def add(self, device: str, driver: type[Driver], bus: BusSettings | None = None, **labels):
        settings = DeviceSettings(device, "x", **labels)
        self.supervisor.add(driver, NoSettings(), settings, bus)

    def start(self) -> None:
        self.task = asyncio.create_task(self.supervisor.run())

    async def stop(self) -> None:
        self.task.cancel()
        ended, _ = await asyncio.wait({self.task}, timeout=5)
        assert ended, "the supervisor goes on"
        assert self.task.cancelled()


@pytest.fixture
async def rig(monkeypatch):
    monkeypatch.setattr(supervisor_module, "FIRST_RESTART_S", 0.001)
    monkeypatch.setattr(supervisor_module, "LAST_RESTART_S", 0.002)
    rig = Rig()
    yield rig
    if rig.task and not rig.task.done():
        await rig.stop()


class Counting(Driver):
    """A driver that knows how often it was started; tests say what `run` does."""

    summary = "test"
    starts: ClassVar[int]

    def __init_subclass__(cls) -> None:
        cls.starts = 0

    def __init__(self, settings, context) -> None:
        super().__init__(settings, context)
        type(self).starts += 1


class Steady(Counting):
    """Reports a reading each time it gets its turn."""

    async def run(self) -> None:
        self.context.online()
        while True:
            self.context.emit(READING)
            await asyncio.sleep(0)


# --- failures -----------------------------------------------------------------------------------


def failing(error: Exception) -> type[Counting]:
    class Failing(Counting):
        async def run(self) -> None:
            self.context.online()
            raise error

    return Failing


@pytest.mark.parametrize(
    "error",
    [DeviceSilent("no answer"), LinkLost("unplugged"), KeyError("a bug"), OSError(5, "EIO")],
)
async def test_one_that_fails_is_restarted_and_stops_no_other(rig, error):
    driver = failing(error)
    rig.add("bad", driver)
    rig.add("good", Steady)
    rig.start()
    await rig.recorder.until(lambda: driver.starts >= 4)
    readings = len(rig.recorder.of("good", Kind.MEASUREMENT))
    await rig.recorder.until(
        lambda: len(rig.recorder.of("good", Kind.MEASUREMENT)) > readings and driver.starts >= 6
    )
    assert Steady.starts >= 1
    assert rig.recorder.states("good") == [{"state": "online"}]
    assert rig.health.devices["bad"].restarts >= 3
    assert (
        rig.recorder.states("bad")[:4]
        == [
            {"state": "online"},
            {"state": "failed", "error": type(error).__name__, "reason": str(error)},
        ]
        * 2
    )


async def test_one_that_cannot_even_be_made(rig):
    class Unmakeable(Driver):
        summary = "test"

        def __init__(self, settings, context) -> None:
            raise RuntimeError("no such thing")

        async def run(self) -> None: ...

    rig.add("bad", Unmakeable)
    rig.add("good", Steady)
    rig.start()
    await rig.recorder.until(lambda: rig.health.devices["bad"].restarts >= 3)
    assert rig.recorder.states("bad") == [
        {"state": "failed", "error": "RuntimeError", "reason": "no such thing"}
    ]
    assert rig.health.devices["bad"].state == "failed"
    assert rig.health.devices["good"].state == "online"


async def test_one_that_ends_by_itself(rig):
    class Ending(Counting):
        async def run(self) -> None:
            self.context.emit(READING)

    rig.add("short", Ending)
    rig.start()
    await rig.recorder.until(lambda: Ending.starts >= 3)
    assert rig.recorder.states("short")[0]["reason"] == "the driver ended by itself"


async def test_one_that_cancels_itself(rig):
    """An inner task that was cancelled looks like the end of everything, and is not."""

    class Tangled(Counting):
        async def run(self) -> None:
            inner = asyncio.ensure_future(asyncio.sleep(60))
            self.context.emit(READING)
            await asyncio.sleep(0)
            inner.cancel()
            await inner

    rig.add("tangled", Tangled)
    rig.start()
    await rig.recorder.until(lambda: Tangled.starts >= 3)
    assert rig.recorder.states("tangled")[0]["reason"] == "the driver cancelled itself"


async def test_one_that_fails_in_a_group(rig):
    class Grouped(Counting):
        async def run(self) -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.fail())
                group.create_task(asyncio.sleep(60))

        async def fail(self) -> None:
            raise DeviceSilent("no answer")

    rig.add("grouped", Grouped)
    rig.start()
    await rig.recorder.until(lambda: Grouped.starts >= 1 and rig.recorder.states("grouped"))
    assert rig.recorder.states("grouped")[0]["error"] == "ExceptionGroup"


async def test_an_error_that_cannot_be_printed(rig, caplog):
    class Unspeakable(Exception):
        def __str__(self) -> str:
            raise ValueError("no words")

    driver = failing(Unspeakable())
    rig.add("bad", driver)
    rig.add("good", Steady)
    logging.raiseExceptions, before = False, logging.raiseExceptions
    try:
        rig.start()
        await rig.recorder.until(lambda: driver.starts >= 3)
        await rig.stop()
    finally:
        logging.raiseExceptions = before
    assert "could not be recorded" in caplog.text


async def test_bugs_are_logged_with_their_traceback_and_failures_in_a_line(rig, caplog):
    rig.add("buggy", failing(KeyError("oops")))
    rig.add("silent", failing(DeviceSilent("no answer", where="unit 7")))
    rig.start()
    await rig.recorder.until(
        lambda: len(rig.recorder.states("buggy")) > 1 and len(rig.recorder.states("silent")) > 1
    )
    await rig.stop()
    told = {record.args[0]: record for record in caplog.records}
    assert told["buggy"].exc_info
    assert not told["silent"].exc_info
    assert "unit 7: no answer" in told["silent"].getMessage()


# --- waiting between restarts -------------------------------------------------------------------


class WatchedBackoff:
    """Counts what the supervisor asks of a Backoff; waits no time."""

    made: ClassVar[list[WatchedBackoff]] = []

    def __init__(self, first_s: float, cap_s: float) -> None:
        self.bounds = (first_s, cap_s)
        self.calls: list[str] = []
        self.made.append(self)

    def next_s(self) -> float:
        self.calls.append("next")
        return 0.0

    def reset(self) -> None:
        self.calls.append("reset")


@pytest.mark.parametrize(
    ("steady_s", "expected"),
    [(60.0, ["next", "next"]), (-1.0, ["reset", "next", "reset", "next"])],
    ids=["failed at once", "ran for long"],
)
async def test_only_a_steady_run_starts_the_backoff_again(rig, monkeypatch, steady_s, expected):
    WatchedBackoff.made.clear()
    monkeypatch.setattr(supervisor_module, "Backoff", WatchedBackoff)
    monkeypatch.setattr(supervisor_module, "STEADY_S", steady_s)
    driver = failing(DeviceSilent("no answer"))
    rig.add("bad", driver)
    rig.start()
    await rig.recorder.until(lambda: driver.starts >= 3)
    (backoff,) = WatchedBackoff.made  # one for all restarts, so that the delays grow
    assert backoff.bounds == (0.001, 0.002)
    assert backoff.calls[: len(expected)] == expected


# --- states -------------------------------------------------------------------------------------


def context_over(recorder: MemoryRecorder, shared: Shared | None = None) -> DeviceContext:
    settings = DeviceSettings("d", "x", room="kitchen")
    return DeviceContext(
        settings,
        BUS,
        notes=FileNotes(Path("/nonexistent/d.json")),
        recorder=recorder,
        shared=shared or Shared(),
        health=DeviceHealth(),
        household=PlainHousehold(recorder),
    )


words = st.sampled_from(["", "no answer", "out of range"])


@given(st.lists(st.sampled_from(["online", "offline", "failed"]) | words), st.data())
def test_states_become_events_on_change_only(told, data):
    recorder = MemoryRecorder()
    context = context_over(recorder)
    expected, last = [], None
    for state in told:
        reason = data.draw(words)
        if state == "online":
            context.online(battery=50)
            detail, key = {"state": "online", "battery": 50}, ("online", "")
        elif state == "failed":
            context.failed(LinkLost(reason))
            detail, key = {"state": state, "error": "LinkLost"}, (state, reason or "LinkLost")
            detail |= {"reason": reason} if reason else {}
        else:
            context.offline(reason)
            detail = {"state": "offline"} | ({"reason": reason} if reason else {})
            key = ("offline", reason)
        expected += [detail] if key != last else []
        last = key
        assert (context.health.state, context.health.reason) == key
    assert recorder.states("d") == expected


async def test_what_the_journal_refused_is_told_the_next_time():
    recorder = MemoryRecorder()
    context = context_over(recorder)
    recorder.refuse = 1
    with pytest.raises(JournalSaturated):
        context.offline("no answer")
    assert context.health.state == "offline"
    context.offline("no answer")
    context.offline("no answer")
    assert recorder.states("d") == [{"state": "offline", "reason": "no answer"}]


async def test_a_failure_that_cannot_be_recorded_is_survived(rig, caplog):
    driver = failing(DeviceSilent("no answer"))
    rig.recorder.refuse = 5
    rig.add("bad", driver)
    rig.start()
    await rig.recorder.until(lambda: len(rig.recorder.states("bad")) >= 2)
    assert "could not be recorded" in caplog.text


@pytest.mark.parametrize(
    "reason", ["x" * 5000, "界" * 5000, "/dev/\udcff", "\ud800" * 5000], ids=lambda text: text[:3]
)
async def test_reasons_of_every_kind_fit_into_an_event(reason):
    recorder = MemoryRecorder()
    context = context_over(recorder)
    context.offline(reason)
    context.failed(OSError(reason))
    context.online(name=reason)
    assert [detail["state"] for detail in recorder.states("d")] == ["offline", "failed", "online"]


async def test_observations_go_out_with_device_and_labels():
    recorder = MemoryRecorder()
    context = context_over(recorder)
    assert (context.device, context.bus) == ("d", BUS)
    context.emit(READING)
    (event,) = recorder.events
    assert (event.device, event.labels) == ("d", {"room": "kitchen"})
    assert event.measurements == READING.measurements
    assert context.health.events == 1
    assert context.health.last_event_uptime_ms is not None


async def test_an_observation_that_was_refused_is_not_counted():
    recorder = MemoryRecorder()
    context = context_over(recorder)
    recorder.refuse = 1
    with pytest.raises(JournalSaturated):
        context.emit(READING)
    assert context.health.events == 0


# --- what devices share, and the end ------------------------------------------------------------


class Closable:
    def __init__(self, closed: list[str], name: str, error: Exception | None = None) -> None:
        self._closed, self._name, self._error = closed, name, error

    async def close(self) -> None:
        self._closed.append(self._name)
        if self._error:
            raise self._error


async def test_devices_share_one_object(rig):
    seen, closed = [], []

    class Sharing(Driver):
        summary = "test"

        async def run(self) -> None:
            seen.append(self.context.shared("bus:b", lambda: Closable(closed, "bus")))
            self.context.online()
            await asyncio.sleep(60)

    for name in ("one", "two", "three"):
        rig.add(name, Sharing, BUS)
    rig.start()
    await rig.recorder.until(lambda: len(seen) == 3)
    assert len(set(map(id, seen))) == 1
    await rig.stop()
    assert closed == ["bus"]


async def test_all_that_is_shared_is_closed_newest_first(caplog):
    closed, shared = [], Shared()
    for name, error in (("radio", None), ("bus", OSError("gone")), ("chip", None)):
        shared.get(name, lambda name=name, error=error: Closable(closed, name, error))
    await shared.close()
    assert closed == ["chip", "bus", "radio"]
    assert "bus could not be closed: gone" in caplog.text
    await shared.close()
    assert len(closed) == 3


async def test_drivers_are_cancelled_and_awaited_before_what_they_share_is_closed(rig):
    order = []

    class Careful(Driver):
        summary = "test"

        async def run(self) -> None:
            self.context.shared("bus:b", lambda: Closable(order, "bus"))
            self.context.online()
            try:
                await asyncio.sleep(60)
            finally:
                await asyncio.sleep(0.01)
                order.append("driver")

    rig.add("careful", Careful)
    rig.start()
    await rig.recorder.until(lambda: rig.recorder.events)
    await rig.stop()
    assert order == ["driver", "bus"]


async def test_one_that_answers_the_end_with_an_error_ends_all_the_same(rig):
    class Stubborn(Counting):
        async def run(self) -> None:
            self.context.online()
            try:
                await asyncio.sleep(60)
            finally:
                if (
                    self.starts == 1
                ):  # only once, so that a supervisor with this fault fails, not hangs
                    raise LinkLost("the port was gone already")

    rig.add("stubborn", Stubborn)
    rig.start()
    await rig.recorder.until(lambda: rig.recorder.events)
    await rig.stop()
    assert Stubborn.starts == 1
    assert rig.recorder.states("stubborn")[-1]["reason"] == "the port was gone already"


async def test_the_end_while_waiting_for_a_restart(rig, monkeypatch):
    monkeypatch.setattr(supervisor_module, "FIRST_RESTART_S", 3600)
    monkeypatch.setattr(supervisor_module, "LAST_RESTART_S", 3600)
    rig.add("bad", failing(DeviceSilent("no answer")))
    rig.start()
    await rig.recorder.until(lambda: len(rig.recorder.states("bad")) == 2)
    await rig.stop()


async def test_a_driver_finds_its_notes_again_and_no_other_drivers(rig, tmp_path):
    """Each device has a file of its own, and a driver that is started again reads it."""
    found: dict[str, list[object]] = {"one": [], "two": []}
    enough = asyncio.Event()

    class Noting(Counting):
        async def run(self) -> None:
            notes, device = self.context.notes, self.context.device
            found[device].append(notes.get("starts"))
            await notes.put({"starts": f"{device} {len(found[device])}"})
            if min(map(len, found.values())) >= 2:
                enough.set()
            raise DeviceSilent("again")

    rig.supervisor = Supervisor(rig.recorder, rig.health, tmp_path, rig.household)
    rig.add("one", Noting)
    rig.add("two", Noting)
    rig.start()
    async with asyncio.timeout(10):
        await enough.wait()
    assert found["one"][:2] == [None, "one 1"]
    assert found["two"][:2] == [None, "two 1"]
    assert sorted(path.name for path in tmp_path.glob("*.json")) == ["one.json", "two.json"]


async def test_into_a_real_journal(tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor_module, "FIRST_RESTART_S", 0.001)
    clock = SystemClock()
    journal = Journal.open(tmp_path / "j", quota_bytes=2 << 20, clock=clock, commit_interval_s=0.01)
    durable = asyncio.Event()

    class Calling(Driver):
        summary = "test"

        async def run(self) -> None:
            await self.context.emit(Observation(Kind.CALL, detail={"cause": "button"}))
            durable.set()
            raise LinkLost("unplugged")

    recorder = Recorder(journal, clock)
    household = PlainHousehold(recorder)
    supervisor = Supervisor(recorder, Health("g", journal, clock), tmp_path, household)
    settings = DeviceSettings("call-bedroom", "x", room="bedroom")
    supervisor.add(Calling, NoSettings(), settings, None)
    running = asyncio.create_task(supervisor.run())
    await asyncio.wait_for(durable.wait(), 10)
    assert journal.durable(Lane.URGENT) >= 1
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    journal.flush()
    (call, *_) = journal.read(Lane.URGENT, 0, 1 << 16).payloads
    assert decode_event(call).labels == {"room": "bedroom"}
    journal.close()


class Obedient(Driver):
    """Does what it is told, and remembers."""

    summary = "test"
    orders: ClassVar[list] = []

    async def run(self) -> None:
        await asyncio.Event().wait()

    async def command(self, name, arguments):
        self.orders.append((self.context.device, name, arguments))
        return {"heard": name}


async def test_a_device_is_commanded_by_name(rig):
    rig.add("bell", Obedient)
    rig.add("deaf", Quiet)
    with pytest.raises(DriverError, match="no device 'bell'"):  # not running yet
        await rig.supervisor.command("bell", "ring", {})
    rig.start()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert await rig.supervisor.command("bell", "ring", {"times": 3}) == {"heard": "ring"}
    assert Obedient.orders[-1] == ("bell", "ring", {"times": 3})
    with pytest.raises(DriverError, match="does not know 'ring'"):
        await rig.supervisor.command("deaf", "ring", {})
    with pytest.raises(DriverError, match="no device 'none'"):
        await rig.supervisor.command("none", "ring", {})


class Quiet(Driver):
    """Runs, and knows no command."""

    summary = "test"

    async def run(self) -> None:
        await asyncio.Event().wait()


def test_calls_go_by_the_desk_and_are_taken_back_there():
    context = context_over(MemoryRecorder())
    context.emit(Observation(Kind.CALL, detail={"cause": "button"}))
    assert context.cancel_calls() is True
    assert context._desk.cancelled == ["d"]


def test_an_alarm_is_said_in_the_home():
    context = context_over(MemoryRecorder())
    context.emit(Observation(Kind.ALARM, detail={"alarm": "smoke", "active": True}))
    assert context._household.alarms == [{"alarm": "smoke", "active": True}]
