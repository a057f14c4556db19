"""One alarm to a program: what it gets, what counts as told, and how it ends when it does not."""

import asyncio
import os
import stat
import time

import pytest
from brokers import until

from collector.outputs.alarm import Alarm
from collector.outputs.command import MAX_OUTPUT_BYTES, Command, argv_of
from collector.outputs.port import TOLD, Outcome
from gateway.errors import SettingsError

ALARM = Alarm("00ff/urgent/7", "gw-1", b'{"id":"00ff/urgent/7","kind":"call"}')


@pytest.fixture
def program(tmp_path):
    """Makes a shell script."""

    def make(text):
        path = tmp_path / "program"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(stat.S_IRWXU)
        return str(path)

    return make


async def test_the_alarm_is_its_input_and_arguments_are_its_own(program, tmp_path):
    script = program(f'cat > {tmp_path}/got; printf "%s|" "$@" > {tmp_path}/arguments')
    command = Command(argv_of(f"{script} --to '+86 13' '$HOME;*'"))
    assert await command.tell(ALARM) == TOLD
    assert (tmp_path / "got").read_bytes() == ALARM.json + b"\n"
    assert (tmp_path / "arguments").read_text() == "--to|+86 13|$HOME;*|"


async def test_a_program_that_reads_nothing_is_no_trouble(program):
    large = Alarm("x", "gw-1", b"x" * 1_000_000)
    assert await Command([program("exit 0")]).tell(large) == TOLD


async def test_what_it_prints_is_the_reason(program):
    verdict = await Command([program("echo no signal; echo 'try\n again' >&2; exit 3")]).tell(ALARM)
    assert verdict.outcome is Outcome.FAILED
    assert verdict.reason.endswith("exit code 3: no signal try again")


async def test_it_may_print_without_end_and_is_remembered_by_its_last_words(program):
    script = program("head -c 50000000 /dev/zero; printf '\\377 the end'; exit 1")
    verdict = await Command([script]).tell(ALARM)
    assert verdict.reason.endswith("\ufffd the end")
    assert len(verdict.reason) < MAX_OUTPUT_BYTES + 200


async def test_it_is_killed_with_all_that_it_started(program, tmp_path):
    script = program(f"sleep 1000 & echo $! > {tmp_path}/child; sleep 1000")
    started = time.monotonic()
    verdict = await Command([script], timeout_s=0.5).tell(ALARM)
    assert time.monotonic() - started < 20
    assert (verdict.outcome, "killed after" in verdict.reason) == (Outcome.FAILED, True)
    child = int((tmp_path / "child").read_text())
    await until(lambda: not alive(child))


async def test_a_child_that_goes_on_keeps_nobody_waiting(program, tmp_path):
    """It holds the pipe that its parent printed to."""
    script = program(f"sleep 1000 & echo $! > {tmp_path}/child; exit 0")
    async with asyncio.timeout(20):
        assert await Command([script]).tell(ALARM) == TOLD
    child = int((tmp_path / "child").read_text())
    assert alive(child)
    os.kill(child, 9)


async def test_it_is_killed_when_the_collector_ends(program, tmp_path):
    script = program(f"echo $$ > {tmp_path}/pid; sleep 1000")
    task = asyncio.create_task(Command([script]).tell(ALARM))
    await until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: not alive(int((tmp_path / "pid").read_text())))


async def test_killed_by_a_signal(program):
    verdict = await Command([program("kill -9 $$")]).tell(ALARM)
    assert verdict.reason.endswith("killed by signal 9")


async def test_a_program_that_went_away(program):
    script = program("exit 0")
    os.unlink(script)
    verdict = await Command([script]).tell(ALARM)
    assert (verdict.outcome, "No such file" in verdict.reason) == (Outcome.FAILED, True)


async def test_no_descriptor_is_left_behind(program):
    command = Command([program("echo x; exit 1")])
    await command.tell(ALARM)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        await command.tell(ALARM)
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("line", ["", "  ", "'open", "/no/such/program x", "/etc/passwd"])
def test_what_is_no_program(line):
    with pytest.raises(SettingsError, match="--command"):
        argv_of(line)


def alive(pid):
    """Running: a zombie that nobody has waited for yet is not."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
