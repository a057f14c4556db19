"""Alarms on standard output: whole lines, a slow reader, and one who went away."""

import asyncio
import json
import os

import pytest

from collector.due import Due
from collector.outputs.alarm import Alarm, alarm_of
from collector.outputs.lines import Lines
from collector.outputs.port import TOLD, Outcome

ALARM = Alarm("00ff/urgent/7", "gw-1", b'{"kind":"call"}')


@pytest.fixture
def pipe():
    ends = list(os.pipe())
    yield ends
    for end in ends:
        if end is not None:
            os.close(end)


async def test_a_line_is_there_when_it_is_told(pipe):
    lines = Lines(pipe[1])
    assert await lines.tell(ALARM) == TOLD
    assert await lines.tell(ALARM) == TOLD
    assert os.read(pipe[0], 1000) == (ALARM.json + b"\n") * 2
    await lines.close()


async def test_a_reader_who_does_not_read_makes_only_this_output_wait(pipe):
    large = Alarm("x", "gw-1", b"x" * 1_000_000)
    lines = Lines(pipe[1])
    told = asyncio.create_task(lines.tell(large))
    for _ in range(100):  # the loop goes round
        await asyncio.sleep(0.001)
    assert not told.done()
    got = 0
    while got < len(large.json) + 1:
        got += len(await asyncio.to_thread(os.read, pipe[0], 1 << 20))
    assert await told == TOLD
    await lines.close()


async def test_nobody_reads_any_more(pipe):
    os.close(pipe[0])
    pipe[0] = None
    verdict = await Lines(pipe[1]).tell(ALARM)
    assert (verdict.outcome, "nobody reads" in verdict.reason) == (Outcome.ENDED, True)


async def test_a_full_disk_is_tried_again():
    with open("/dev/full", "wb") as full:
        verdict = await Lines(full.fileno()).tell(ALARM)
    assert (verdict.outcome, "No space left" in verdict.reason) == (Outcome.FAILED, True)


async def test_after_a_line_that_failed_half_way_comes_a_new_one(pipe, monkeypatch):
    lines, write, failures = Lines(pipe[1]), os.write, [True]

    def fail_once(descriptor, data):
        if descriptor == pipe[1] and failures:
            failures.pop()
            write(descriptor, data[:5])
            raise OSError(28, "No space left on device")
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", fail_once)
    assert (await lines.tell(ALARM)).outcome is Outcome.FAILED
    assert await lines.tell(ALARM) == TOLD
    assert await lines.tell(ALARM) == TOLD
    assert os.read(pipe[0], 1000).split(b"\n") == [ALARM.json[:5], ALARM.json, ALARM.json, b""]


# --- what is told ---


def due(**changes):
    fields = {
        "id": 3,
        "output": "lines",
        "tries": 0,
        "gateway": "gw-1",
        "journal": "00" * 16,
        "lane": "urgent",
        "seq": 7,
        "device": "button-1",
        "kind": "call",
        "time_ms": 1_700_000_000_001,
        "time_quality": "synchronised",
        "body": '{"labels":{"room":"厨房"},"detail":{"call":"c1"}}',
    }
    return Due(**(fields | changes))


def test_an_alarm_as_others_read_it():
    alarm = alarm_of(due())
    assert b"\n" not in alarm.json
    assert json.loads(alarm.json) == {
        "id": f"{'00' * 16}/urgent/7",
        "gateway": "gw-1",
        "device": "button-1",
        "kind": "call",
        "time": "2023-11-14T22:13:20.001Z",
        "time_quality": "synchronised",
        "measurements": [],
        "labels": {"room": "厨房"},
        "detail": {"call": "c1"},
    }


@pytest.mark.parametrize(
    ("time_ms", "time"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (2**63 - 1, None),
        (-(2**63), None),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        (253_402_300_800_000, None),
    ],
)
def test_a_time_that_no_calendar_has_is_none(time_ms, time):
    assert json.loads(alarm_of(due(time_ms=time_ms)).json)["time"] == time


def test_a_line_is_one_line_whatever_a_gateway_sends():
    body = json.dumps({"detail": {"note": "a\nb\u2028\r"}})
    assert len(alarm_of(due(body=body)).json.splitlines()) == 1
