"""Runs commands, each one's output the next one's input, without a shell, and leaves none behind.

Each is the head of a process group of its own, so that what it started ends with it. Text reaches
the first only through its standard input: nothing that came from outside is ever an argument.
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from gateway.errors import DeviceRefused, DeviceSilent, LinkLost

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# Of what a command complains: enough for a line of a message.
MOST_COMPLAINT = 160
# Three minutes of 44.1 kHz stereo. An engine that writes more than this is out of its mind.
MOST_SOUND = 32 * 1024 * 1024
# s. What was killed is gone in a few ms, and its pipes with it.
_ENDING_S = 2.0
# How a command ends well. One that nobody listens to any more did not fail, the listener had
# enough; a shell says so by 128 and the signal.
_WELL = frozenset({0, -signal.SIGPIPE, 128 + signal.SIGPIPE})

_PACKAGES = {"espeak-ng": "apt install espeak-ng", "aplay": "apt install alsa-utils"}


class _Command(asyncio.SubprocessProtocol):
    """One command at work: how it ended, what it said."""

    def __init__(self, name: str) -> None:
        loop = asyncio.get_running_loop()
        self.name = name
        self.transport: asyncio.SubprocessTransport | None = None
        self.ended: asyncio.Future[int] = loop.create_future()  # its exit code
        self.closed: asyncio.Future[None] = loop.create_future()  # its pipes, too
        self.output = bytearray()
        self.complaint = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.SubprocessTransport", transport)

    def pipe_data_received(self, fd: int, data: bytes | str) -> None:
        piece = data.encode() if isinstance(data, str) else data
        if fd == 2:
            self.complaint += piece[: MOST_COMPLAINT - len(self.complaint)]
        elif len(self.output) <= MOST_SOUND:
            self.output += piece
        else:
            self.kill()

    def process_exited(self) -> None:
        code = self.transport.get_returncode() if self.transport else None
        if not self.ended.done():
            self.ended.set_result(-1 if code is None else code)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if not self.closed.done():
            self.closed.set_result(None)

    def feed(self, source: bytes) -> None:
        """Give it this to read, and no more. What it does not read is seen by how it ends."""
        pipe = self.transport.get_pipe_transport(0) if self.transport else None
        if isinstance(pipe, asyncio.WriteTransport):
            pipe.write(source)
            pipe.write_eof()

    def kill(self) -> None:
        """End it and whatever it started."""
        if self.transport:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.transport.get_pid(), signal.SIGKILL)

    def failure(self) -> DeviceRefused:
        """That it ended badly."""
        said = " ".join(self.complaint.decode("utf-8", "replace").split())
        what = f"{self.name} ended with {self.ended.result()}: {said or 'no reason given'}"
        hint = "aplay -l lists the sound cards" if self.name == "aplay" else ""
        return DeviceRefused(what, hint=hint)


async def run_chain(
    commands: Sequence[Sequence[str]], source: bytes | Path, limit_s: float, *, keep: bool = False
) -> bytes:
    """Run commands to their ends; when it returns or raises, all of them are dead.

    Args:
        commands: each with its arguments.
        source: what the first reads.
        limit_s: after that they hang.
        keep: whether the last one's output is wanted.

    Returns:
        that output.

    Raises:
        LinkLost: a command could not be started.
        DeviceRefused: a command failed.
        DeviceSilent: they were not done in time.
    """
    running: list[_Command] = []
    try:
        async with asyncio.timeout(limit_s):
            await _start(running, commands, source, keep=keep)
            await _all_ended(running)
            await _end(running)  # what they left behind may hold the pipes open
    except TimeoutError as error:
        names = " | ".join(command[0] for command in commands)
        raise DeviceSilent(f"{names}: not done within {limit_s:.1f} s") from error
    finally:
        await _end(running)
    return bytes(running[-1].output)


async def _start(
    running: list[_Command],
    commands: Sequence[Sequence[str]],
    source: bytes | Path,
    *,
    keep: bool,
) -> None:
    """Start all; what one writes is what the next reads."""
    reading = asyncio.subprocess.PIPE if isinstance(source, bytes) else _open(source)
    for index, command in enumerate(commands):
        behind, writing = -1, asyncio.subprocess.PIPE if keep else asyncio.subprocess.DEVNULL
        if index < len(commands) - 1:
            behind, writing = os.pipe()
        try:
            running.append(await _spawn(command, reading, writing))
        except BaseException:
            _close(behind)
            raise
        finally:
            _close(reading, writing)
        reading = behind
    if isinstance(source, bytes):
        running[0].feed(source)


async def _all_ended(running: Sequence[_Command]) -> None:
    """Until all ended well, or the first one failed: it is the cause of what others do next."""
    waiting = {command.ended for command in running}
    while waiting:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for command in running:
            if command.ended in done and command.ended.result() not in _WELL:
                await _end(running)
                raise command.failure()


async def _end(running: Sequence[_Command]) -> None:
    """End all of them, with what they started."""
    for command in running:
        command.kill()
    if closing := [command.closed for command in running]:
        await asyncio.wait(closing, timeout=_ENDING_S)
    for command in running:
        if command.transport:
            command.transport.close()


async def _spawn(command: Sequence[str], reading: int, writing: int) -> _Command:
    """Start one.

    A start that is cancelled half-way is waited for: asyncio would kill the command then, and let
    live what the command had started.
    """
    starting = asyncio.ensure_future(_exec(command, reading, writing))
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        await asyncio.wait({starting})
        if not starting.exception():
            await _end([starting.result()])
        raise


async def _exec(command: Sequence[str], reading: int, writing: int) -> _Command:
    loop = asyncio.get_running_loop()
    try:
        _, started = await loop.subprocess_exec(
            lambda: _Command(command[0]),
            *command,
            stdin=reading,
            stdout=writing,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        what = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        hint = _PACKAGES.get(command[0], "")
        raise LinkLost(f"{command[0]} cannot be started: {what}", hint=hint) from error
    return started


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise LinkLost(f"{path} cannot be read: {error.strerror}") from error


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        if descriptor >= 0:  # PIPE and DEVNULL are negative
            os.close(descriptor)
