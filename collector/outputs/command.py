"""Alarms handed to a program, one run for each: `hearth collect --command 'sms.sh +8613...'`.

The alarm is its standard input, one JSON object; there is no shell between. Exit code 0 is told.
What it prints is the reason, if it fails. It has its time; then it is killed with all it started.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import shutil
import signal
from typing import TYPE_CHECKING

from collector.outputs.port import TOLD, Outcome, Verdict
from gateway.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from collector.outputs.alarm import Alarm

# A modem takes up to 20 s for a text message; the store keeps a claim for 60 s.
TIMEOUT_S = 30.0
# Of what it prints: the last words, which is where programs say what went wrong.
MAX_OUTPUT_BYTES = 2048
_READ_BYTES = 65_536


class Command:
    """Runs one program for each alarm; see `argv_of`."""

    name = "command"
    width = 4
    in_order = False

    def __init__(self, argv: Sequence[str], timeout_s: float = TIMEOUT_S) -> None:
        self._argv = tuple(argv)
        self._timeout_s = timeout_s

    async def tell(self, alarm: Alarm) -> Verdict:
        """Run the program with one alarm."""
        with _file_of(alarm.json + b"\n") as given, _Printed() as printed:
            try:
                process = await asyncio.create_subprocess_exec(
                    *self._argv,
                    stdin=given,
                    stdout=printed.writer,
                    stderr=printed.writer,
                    start_new_session=True,  # so that all it starts is killed with it
                )
            except OSError as error:
                return self._failed(error.strerror or str(error))
            try:
                async with asyncio.timeout(self._timeout_s):
                    code = await process.wait()
            except TimeoutError:
                return self._failed(f"killed after {self._timeout_s:.0f} s")
            finally:
                if process.returncode is None:
                    _kill_group(process.pid)
                    await process.wait()
            return TOLD if code == 0 else self._failed(_ended(code, printed.text()))

    async def close(self) -> None:
        """Nothing is held between two alarms."""

    def _failed(self, what: str) -> Verdict:
        return Verdict(Outcome.FAILED, f"{self._argv[0]}: {what}")


def argv_of(line: str) -> tuple[str, ...]:
    """The program and its arguments, split as a shell would; SettingsError if there is no such."""
    try:
        argv = tuple(shlex.split(line))
    except ValueError as error:
        raise SettingsError([f"--command: {error}"]) from error
    if not argv or shutil.which(argv[0]) is None:
        raise SettingsError(
            [f"--command: {line!r} names no program that can be run"],
            hint="is the path right, and is it executable (chmod +x) for this user?",
        )
    return argv


class _Printed:
    """The last of what a program prints; the rest is read and dropped, so that it never waits."""

    def __init__(self) -> None:
        self._reader, self.writer = os.pipe()
        os.set_blocking(self._reader, False)
        self._tail = b""

    def __enter__(self) -> _Printed:
        asyncio.get_running_loop().add_reader(self._reader, self._read)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._reader)
        os.close(self._reader)
        os.close(self.writer)

    def text(self) -> str:
        """What is there, on one line."""
        self._read()
        return " ".join(self._tail.decode("utf-8", "replace").split())

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._tail = (self._tail + os.read(self._reader, _READ_BYTES))[-MAX_OUTPUT_BYTES:]


@contextlib.contextmanager
def _file_of(data: bytes) -> Iterator[int]:
    """A file in memory: a program that does not read it makes nobody wait, as a pipe would."""
    descriptor = os.memfd_create("alarm")
    try:
        os.write(descriptor, data)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _ended(code: int, printed: str) -> str:
    how = f"exit code {code}" if code > 0 else f"killed by signal {-code}"
    return f"{how}: {printed}" if printed else how
