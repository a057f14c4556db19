"""The network of a home, apart from that of the far side, with a bad link between them.

The home is a network namespace; the far side is where we are. The addresses are of 198.18.0.0/15,
which RFC 2544 sets aside for tests of networks.
"""

import asyncio
import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).with_name("badlink.py")
NETS = 1 << 15  # of four addresses
_NUMBERS = itertools.count()


def why_not() -> str:
    """Why there can be no such network here; empty if there can."""
    if os.geteuid() != 0:
        return "needs root for a network namespace"
    if shutil.which("ip") is None:
        return "needs ip(8) of iproute2"
    if not Path("/dev/net/tun").exists():
        return "needs /dev/net/tun"
    return ""


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=10)
    if done.returncode:
        raise OSError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


class HomeNetwork:
    """`async with`: a namespace, two devices, and the relay between them."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._name(next(_NUMBERS))
        self._process: asyncio.subprocess.Process | None = None

    def _name(self, number: int) -> None:
        """What it is called, and where its two ends are."""
        number = (os.getpid() * 8 + number) % NETS
        net = (198 << 24) + (18 << 16) + number * 4
        self.far, self.near = (
            ".".join(str(byte) for byte in (net + host).to_bytes(4, "big")) for host in (1, 2)
        )
        self.namespace = f"hearth-{number}"

    @property
    def prefix(self) -> tuple[str, ...]:
        """What a command line begins with to run in the home."""
        return ("ip", "netns", "exec", self.namespace)

    async def __aenter__(self) -> "HomeNetwork":
        while Path(f"/run/netns/{self.namespace}").exists():  # another process's
            self._name(next(_NUMBERS))
        _ip("netns", "add", self.namespace)
        try:
            await self._lay()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def _lay(self) -> None:
        here, there = f"{self.namespace}f", f"{self.namespace}h"
        pipe = asyncio.subprocess.PIPE
        command = [sys.executable, str(PROGRAM), here, self.namespace, there, str(self._seed)]
        self._process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
        await self._answer()
        _ip("addr", "add", self.far, "peer", self.near, "dev", here)
        _ip("link", "set", here, "up")
        _ip("-n", self.namespace, "addr", "add", self.near, "peer", self.far, "dev", there)
        _ip("-n", self.namespace, "link", "set", there, "up")
        _ip("-n", self.namespace, "link", "set", "lo", "up")

    async def __aexit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.stdin.close()
            await self._process.wait()
        _ip("netns", "del", self.namespace)

    async def set(self, **faults: object) -> dict:
        """Change what is wrong with the link; its counters. See badlink.py."""
        self._process.stdin.write(json.dumps(faults).encode() + b"\n")
        return await self._answer()

    async def _answer(self) -> dict:
        line = await asyncio.wait_for(self._process.stdout.readline(), 10)
        return json.loads(line or b"null")
