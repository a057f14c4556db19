"""Engines and players that are tiny scripts, and what they saw."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from stub_context import StubContext

from drivers.speaker.driver import SpeakerDriver
from drivers.speaker.settings import SpeakerSettings
from drivers.speaker.wav import silence

SOUND = silence(0.01)
# What it reads lies whole under its final name, or not at all.
_READS = 'n=$(ls "$0".in.* 2>/dev/null | wc -l); cat > "$0.new"; mv "$0.new" "$0.in.$n"'
ENGINE = f'{_READS}; printf "%s\\n" "$@" >> "$0.args"; cat "$0.wav"'
PLAYER = _READS


class Bench:
    """A speaker driver in a folder of scripts."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.context = StubContext("speaker-hall")
        self.engine = self.script("engine", ENGINE)
        self.player = self.script("player", PLAYER)
        self.sounds = folder / "sounds"
        given = {
            "engine": (str(self.engine), "{language}"),
            "player": (str(self.player),),
            "sounds": str(self.sounds),
        }
        self.driver = SpeakerDriver(SpeakerSettings(**(given | settings)), self.context)

    def script(self, name: str, body: str) -> Path:
        """A command, in place of one of that name; a process that runs keeps what it read of it."""
        path = self.folder / name
        fresh = path.with_suffix(".fresh")
        fresh.write_text(f"#!/bin/sh\n{body}\n")
        fresh.chmod(0o755)
        fresh.replace(path)
        path.with_name(f"{name}.wav").write_bytes(SOUND)
        return path

    def seen(self, name: str) -> list[bytes]:
        """What a command read, each time it ran; the first of each is the driver's proof."""
        files = sorted(self.folder.glob(f"{name}.in.*"), key=lambda it: int(it.suffix[1:]))
        return [file.read_bytes() for file in files]

    def sound(self, language: str, phrase: str, content: bytes = SOUND) -> Path:
        path = self.sounds / language / f"{phrase}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    async def until(self, predicate, timeout: float = 10.0):
        """What the predicate gives once that is anything: scripts cannot set an Event."""
        async with asyncio.timeout(timeout):
            while not (found := predicate()):
                await asyncio.sleep(0.005)
        return found

    async def until_state(self, state: str) -> Any:
        await self.context.wait_until(lambda: state in [name for name, _ in self.context.states])
        return next(what for name, what in self.context.states if name == state)


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def children() -> set[int]:
    """Processes that this one started and that still run."""
    me = str(os.getpid())
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if parent == me and alive(int(entry.name)):
                found.add(int(entry.name))
    return found
